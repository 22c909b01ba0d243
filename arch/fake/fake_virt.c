/* SPDX-License-Identifier: MIT */
/* A vendor that runs nothing: it plays what the test says and keeps record. */
#include <arch/fake/fake.h>
#include <mullion/vcpu.h>
#include <stdio.h>
#include <stdlib.h>

struct fake_virt fake_virt;

static enum error fake_probe(const char **words)
{
	*words = "";
	return ERR_NONE;
}

static void fake_describe(char *to, size_t room)
{
	snprintf(to, room, "nothing");
}

static enum error fake_cpu_enable(void)
{
	fake_virt.cpus_enabled++;
	return ERR_NONE;
}

static enum error fake_vcpu_create(struct vcpu *vcpu)
{
	if (fake_virt.vcpus_max && fake_virt.vcpus == fake_virt.vcpus_max)
		return ERR_NO_MEMORY;
	vcpu->vendor = &fake_virt;
	fake_virt.vcpus++;
	return ERR_NONE;
}

static void fake_vcpu_destroy(struct vcpu *vcpu)
{
	if (!vcpu->vendor) {
		fprintf(stderr, "fake vendor: a vCPU that was never made\n");
		abort();
	}
	vcpu->vendor = NULL;
	fake_virt.vcpus--;
}

static void fake_vcpu_reset(struct vcpu *vcpu)
{
	(void)vcpu;
	fake_virt.resets++;
}

static void fake_vcpu_run(struct vcpu *vcpu, struct vm_exit *exit)
{
	fake_virt.runs++;
	if (!fake_virt.run) {
		fprintf(stderr, "fake vendor: the test sets no guest to run\n");
		abort();
	}
	fake_virt.run(vcpu, exit);
}

static void fake_watch_breakpoints(struct vcpu *vcpu)
{
	(void)vcpu;
	fake_virt.watches++;
}

static void fake_read_system(struct vcpu *vcpu, struct guest_system *system)
{
	(void)vcpu;
	fake_virt.system_reads++;
	*system = fake_virt.system;
}

static void fake_write_system(struct vcpu *vcpu,
			      const struct guest_system *system)
{
	(void)vcpu;
	fake_virt.system = *system;
}

static void fake_inject(struct vcpu *vcpu, const struct guest_event *event)
{
	(void)vcpu;
	fake_virt.injected++;
	fake_virt.event = *event;
}

static bool fake_event_pending(struct vcpu *vcpu)
{
	(void)vcpu;
	return fake_virt.event_pending;
}

static bool fake_can_interrupt(struct vcpu *vcpu)
{
	if (fake_virt.shadow_rip && vcpu->rip == fake_virt.shadow_rip)
		return false;
	return fake_virt.can_interrupt;
}

static void fake_want_window(struct vcpu *vcpu, bool want)
{
	(void)vcpu;
	fake_virt.want_window = want;
}

static void fake_flush_tlb(struct vcpu *vcpu)
{
	(void)vcpu;
	fake_virt.flushes++;
}

static bool fake_delivers(struct vcpu *vcpu)
{
	(void)vcpu;
	fake_virt.asked_to_deliver++;
	return fake_virt.delivers;
}

static enum error fake_read_msr(struct vcpu *vcpu, uint32_t msr,
				uint64_t *value)
{
	(void)vcpu;
	if (msr != fake_virt.msr)
		return ERR_NOT_FOUND;
	*value = fake_virt.msr_value;
	return ERR_NONE;
}

static enum error fake_write_msr(struct vcpu *vcpu, uint32_t msr,
				 uint64_t value)
{
	(void)vcpu;
	if (msr != fake_virt.msr)
		return ERR_NOT_FOUND;
	if (!fake_virt.msr_write_error)
		fake_virt.msr_value = value;
	return fake_virt.msr_write_error;
}

static enum error fake_stage2_create(hpa_t *root)
{
	static uint64_t next_root;

	if (fake_virt.root_error)
		return fake_virt.root_error;
	next_root += PAGE_SIZE;
	*root = hpa(next_root);
	fake_virt.roots++;
	return ERR_NONE;
}

static enum error fake_stage2_map(hpa_t root, gpa_t at, hpa_t to, uint64_t size,
				  enum stage2_rights rights)
{
	if (fake_virt.mapping_count == ARRAY_COUNT(fake_virt.mappings))
		return ERR_NO_MEMORY;
	fake_virt.mappings[fake_virt.mapping_count++] = (struct fake_mapping){
		.root = root, .at = at, .to = to, .size = size, .rights = rights
	};
	return ERR_NONE;
}

static void fake_stage2_destroy(hpa_t root)
{
	(void)root;
	fake_virt.roots--;
}

const struct virt_ops fake_virt_ops = {
	.name = "fake",
	.probe = fake_probe,
	.describe = fake_describe,
	.cpu_enable = fake_cpu_enable,
	.vcpu_create = fake_vcpu_create,
	.vcpu_destroy = fake_vcpu_destroy,
	.vcpu_reset = fake_vcpu_reset,
	.vcpu_run = fake_vcpu_run,
	.watch_breakpoints = fake_watch_breakpoints,
	.read_system = fake_read_system,
	.write_system = fake_write_system,
	.inject = fake_inject,
	.event_pending = fake_event_pending,
	.can_interrupt = fake_can_interrupt,
	.want_window = fake_want_window,
	.flush_tlb = fake_flush_tlb,
	.delivers = fake_delivers,
	.read_msr = fake_read_msr,
	.write_msr = fake_write_msr,
	.stage2_create = fake_stage2_create,
	.stage2_map = fake_stage2_map,
	.stage2_destroy = fake_stage2_destroy,
};

FAKE const struct virt_ops *virt = &fake_virt_ops;
FAKE const struct virt_ops *const arch_virt[] = { &fake_virt_ops };
FAKE const size_t arch_virt_count = ARRAY_COUNT(arch_virt);
