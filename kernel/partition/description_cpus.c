/* SPDX-License-Identifier: MIT */
/* The checker's part about the CPUs of VMs, and who may share one. */
#include <mullion/log.h>
#include <stddef.h>
#include <string.h>

#include "description_parts.h"

uint32_t check_processors(const struct check *check)
{
	uint32_t said = check->machine->cpu_count;
	uint32_t there = check->limits->cpu_count;

	return said && (!there || said < there) ? said : there;
}

void check_cpus(struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	uint32_t count = check_processors(check);

	if (it->vcpu_count == 0 || it->vcpu_count > MULL_VCPU_MAX) {
		check_complain(check, vm, MULL_FIELD_CPUS,
			       "the number of vCPUs is not 1 to %u",
			       MULL_VCPU_MAX);
		return;
	}
	for (uint32_t i = 0; i < it->vcpu_count; i++) {
		if (it->cpus[i] < (count ? count : MULL_CPU_MAX))
			continue;
		if (count)
			check_complain(
				check, vm, MULL_FIELD_CPUS,
				"needs CPU %u, but the machine has %u (from 0)",
				it->cpus[i], count);
		else
			check_complain(
				check, vm, MULL_FIELD_CPUS,
				"needs CPU %u, but the highest possible is %u",
				it->cpus[i], MULL_CPU_MAX - 1);
	}
}

static bool may_share(const struct check *check)
{
	return check->machine->flags & MULL_MACHINE_SHARE_CPUS;
}

/* Why @it cannot have a CPU that @user has, too; false: it can. */
static bool collides(const struct check *check, const struct mull_vm *it,
		     const struct mull_vm *user, char *why, size_t room)
{
	bool scheduled = mull_is_scheduled(it);

	if (scheduled != mull_is_scheduled(user)) {
		format_text(why, room,
			    "(only one of them has a part in the "
			    "machine's schedules)");
		return true;
	}
	if (may_share(check))
		return false;
	if (scheduled && it != user)
		return check_slot_overlap(check, it, user, why, room);
	format_text(why, room, "(the machine's share-cpus is not set)");
	return true;
}

static void complain_shared(struct check *check, int vm, uint32_t cpu,
			    int other, const char *why)
{
	const char *name = check->vms[other].name;

	if (other == vm)
		check_complain(check, vm, MULL_FIELD_CPUS,
			       "uses CPU %u for two of its vCPUs %s", cpu, why);
	else if (check_is_name(name, MULL_NAME_MAX))
		check_complain(check, vm, MULL_FIELD_CPUS,
			       "uses CPU %u, and so does vm \"%s\" %s", cpu,
			       name, why);
	else
		check_complain(check, vm, MULL_FIELD_CPUS,
			       "uses CPU %u, and so does VM number %d %s", cpu,
			       other, why);
}

static uint32_t vcpu_count(const struct mull_vm *vm)
{
	return vm->vcpu_count > MULL_VCPU_MAX ? 0 : vm->vcpu_count;
}

static bool uses(const struct mull_vm *vm, uint32_t count, uint16_t cpu)
{
	for (uint32_t i = 0; i < count; i++)
		if (vm->cpus[i] == cpu)
			return true;
	return false;
}

/* The first VM up to @vm that has the CPU of @vm's vCPU @index and should not,
 * or -1.  Of @vm itself, vCPUs before that one count. */
static int collision(const struct check *check, int vm, uint32_t index,
		     char *why, size_t room)
{
	const struct mull_vm *it = &check->vms[vm];

	for (int other = 0; other <= vm; other++) {
		const struct mull_vm *user = &check->vms[other];
		uint32_t count = other == vm ? index : vcpu_count(user);

		if ((other == vm || check_counts(check, other)) &&
		    uses(user, count, it->cpus[index]) &&
		    collides(check, it, user, why, room))
			return other;
	}
	return -1;
}

/* Asked before @vm's own collisions make it bad. */
void check_cpu_overlaps(struct check *check, int vm)
{
	const struct mull_vm *it = &check->vms[vm];
	char why[MULL_COMPLAINT_MAX / 2];

	for (uint32_t i = 0; i < vcpu_count(it); i++) {
		int other = collision(check, vm, i, why, sizeof why);

		if (other >= 0)
			complain_shared(check, vm, it->cpus[i], other, why);
	}
}
