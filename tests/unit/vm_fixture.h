/* SPDX-License-Identifier: MIT */
/* A machine with a pool of memory, and VMs whose images always load. */
#ifndef VM_FIXTURE_H
#define VM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/block.h>
#include <mullion/cpu_loop.h>
#include <mullion/frame_pool.h>
#include <mullion/images.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/package_reader.h>
#include <mullion/page.h>
#include <mullion/vm.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 100000
#define POOL_FRAMES 100 /* without frame 0 */

static struct vm *vm;
static uint32_t states[64], state_count; /* as manage_event() was told */
static uint32_t loads;			 /* begun */
static enum error load_error;		 /* what each load comes to */

void manage_event(struct vm *of)
{
	assert_true(state_count < ARRAY_COUNT(states));
	states[state_count++] = of->state;
}

static uint32_t notices;

void manage_notify(void)
{
	notices++;
}

void log_write(const char *format, ...)
{
	(void)format;
}

void log_guest(struct vcpu *of, const char *format, ...)
{
	(void)of;
	(void)format;
}

_Noreturn void panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	abort();
}

static struct load_image image; /* that of any number */

struct load_image image_find(uint32_t number)
{
	(void)number;
	return image;
}

void load_begin(struct load *load, const struct load_request *request)
{
	memset(load, 0, sizeof *load);
	load->request = *request;
	load->start = (struct guest_start){ .mode = GUEST_LONG,
					    .rip = 0x100000,
					    .rsp = 0x8000,
					    .rax = 0x2bad,
					    .rbx = 0x4000,
					    .rdi = 0x2000,
					    .rsi = 0x3000,
					    .cr3 = 0x8000,
					    .gdt_base = 0x1000,
					    .gdt_limit = 31,
					    .cs = 8,
					    .ds = 16 };
	loads++;
}

/* The machine's, up to the first that is NULL; and what a disk is asked. */
static struct block_partition *machine_partitions[4];
static struct block_request *disk_request;

enum error block_take(const char *name, bool write,
		      struct block_partition **partition, const char **words)
{
	for (uint32_t i = 0; machine_partitions[i]; i++) {
		if (strcmp(machine_partitions[i]->name, name) != 0)
			continue;
		*partition = machine_partitions[i];
		(*partition)->users++;
		(*partition)->written = write;
		return ERR_NONE;
	}
	*words = "there is no such partition";
	return ERR_NOT_FOUND;
}

void block_give(struct block_partition *partition)
{
	assert_true(partition->users--);
}

bool block_poll(void)
{
	return false;
}

uint64_t block_deadline(void)
{
	return ARCH_NO_DEADLINE;
}

void block_send(struct block_request *request)
{
	assert_null(disk_request);
	disk_request = request;
}

void load_begin_disk(struct load *load, const struct mull_vm *of,
		     uint32_t index, struct load_image its)
{
	(void)load;
	(void)of;
	(void)index;
	(void)its;
	fail_msg("no disk comes");
}

enum error load_step(struct load *load, bool *done)
{
	if (load_error)
		format_text(load->words, sizeof load->words, "damaged");
	*done = !load_error;
	return load_error;
}

/* Memory once for the program, since the pool and the pages keep account. */
static int start_memory(void **state)
{
	static const struct mull_memory_range ranges[] = {
		{ 0, MIB(2) + POOL_FRAMES * FRAME_SIZE, MULL_MEMORY_USABLE, 0 },
	};
	uint32_t span = frame_pool_span(ranges, 1);
	hpa_t first = frame_pool_first(ranges, 1, 1);

	(void)state;
	page_start(arch_direct(first), 1, span * sizeof(frame_owner));
	frame_pool_start(ranges, 1, arch_direct(first), span);
	frame_claim(FRAME_HYPERVISOR, (uint32_t)(first.value >> FRAME_SHIFT));
	return 0;
}

/* A description of four frames and @vcpus vCPUs on CPUs 0, 1, 2... */
static inline struct mull_vm *describe(uint32_t index, uint32_t vcpus)
{
	struct mull_vm *description = &boot_package.vms[index];

	memset(description, 0, sizeof *description);
	strcpy(description->name, "guest");
	description->memory_size = 4 * FRAME_SIZE;
	description->vcpu_count = vcpus;
	description->on_poweroff = MULL_END_STOP;
	description->on_reset = MULL_END_RESTART;
	description->on_crash = MULL_END_STOP;
	description->console_size = KIB(4);
	for (uint32_t i = 0; i < vcpus; i++)
		description->cpus[i] = (uint16_t)i;
	return description;
}

static int fresh(void **state)
{
	(void)state;
	memset(&fake_virt, 0, sizeof fake_virt);
	memset(fake_kicks, 0, sizeof fake_kicks);
	fake_cpu = 0;
	fake_cpu_count = 4;
	fake_time = 1000;
	fake_deadline = ARCH_NO_DEADLINE;
	state_count = loads = 0;
	load_error = ERR_NONE;
	memset(states, 0, sizeof states);
	memset(vms, 0, sizeof vms);
	describe(0, 2);
	vm = vm_create(&boot_package.vms[0], 0, NULL);
	return vm ? 0 : -1;
}

/* What its home CPU does until there is nothing more to do at once. */
static inline void work(void)
{
	for (int i = 0; i < STEPS_MAX; i++)
		if (!vm_work(vm))
			return;
	fail_msg("the work on the VM does not end");
}

static inline void obey_all(void)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vcpu_obey(vm->vcpus[i]);
}

static inline void start(void)
{
	vm_command(vm, MULL_COMMAND_START);
	work();
	obey_all();
}

/* Gives all memory back to the pool. */
static int stop_all(void **state)
{
	(void)state;
	state_count = 0;
	for (uint32_t i = 0; i < MULL_VM_MAX; i++) {
		vm = vms[i];
		if (!vm || vm->state == MULL_VM_REFUSED)
			continue;
		vm_command(vm, MULL_COMMAND_STOP);
		work();
		obey_all();
		work();
	}
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, stop_all)

#endif
