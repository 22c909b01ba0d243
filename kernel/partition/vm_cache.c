/* SPDX-License-Identifier: MIT */
/*
 * VMs' parts of the machine's cache, in its processors.  Who changes the plan
 * kicks all CPUs, and each writes all of it to the registers that it reaches:
 * several share a cache, and write the same there, so nobody need know which
 * do.
 */
#include <mullion/arch.h>
#include <mullion/cache.h>
#include <mullion/lock.h>
#include <mullion/log.h>
#include <mullion/package_reader.h>
#include <mullion/vm.h>

static struct cache_plan plan;
static struct lock plan_lock; /* no other lock is held with it */
_Atomic uint32_t cache_changes;

static struct cpu_class {
	uint32_t changes; /* those that this CPU knows */
	uint32_t class;
} cpu_classes[MULL_CPU_MAX];

const struct cache_plan *cache_now(void)
{
	return &plan;
}

void cache_start(void)
{
	const struct cache_means *means = &plan.means;

	arch_cache_find(&plan.means);
	if (means->level)
		log_write("cache: %u ways of level %u, %u classes%s",
			  means->ways, means->level, means->classes,
			  means->splits ? ", code apart" : "");
	if (means->bandwidth == BANDWIDTH_PERCENT)
		log_write("memory bandwidth: limits in steps of %u%%",
			  means->bandwidth_step);
	else if (means->bandwidth == BANDWIDTH_RATE)
		log_write("memory bandwidth: limits of %u to %u MB/s",
			  means->bandwidth_step, means->bandwidth_most);
}

void cache_expect(const struct package *package)
{
	bool split = false;

	for (uint32_t i = 0; i < package->vm_count; i++)
		split |= !package->vm_words[i][0] &&
			 package->vms[i].cache_code_ways;
	cache_plan_split(&plan, split);
}

static void tell_all(void)
{
	atomic_fetch_add(&cache_changes, 1);
	for (uint32_t cpu = 0; cpu < arch_cpu_count(); cpu++)
		if (cpu != arch_cpu_index())
			arch_kick(cpu);
}

static void log_class(const struct vm *vm)
{
	const struct cache_class *class = &plan.classes[vm->cache_class];
	uint32_t rest = cache_plan_rest(&plan);

	log_write("%s: class %u of service, cache ways 0x%x for data, 0x%x for "
		  "code",
		  vm->description.name, vm->cache_class,
		  class->data ? class->data : rest,
		  class->code ? class->code : rest);
	if (class->bandwidth)
		log_write("%s: memory bandwidth up to %u %s",
			  vm->description.name, class->bandwidth,
			  plan.means.bandwidth == BANDWIDTH_RATE ? "MB/s" :
								   "percent");
}

bool cache_take(struct vm *vm)
{
	const struct mull_vm *description = &vm->description;
	enum cache_lack lack;

	if (!cache_is_wanted(description))
		return true;
	lock_take(&plan_lock);
	if (description->cache_code_ways)
		cache_plan_split(&plan, true);
	lack = cache_plan_take(&plan, description, &vm->cache_class);
	lock_give(&plan_lock);
	if (lack != CACHE_FITS)
		return false;
	log_class(vm);
	tell_all();
	return true;
}

void cache_give(struct vm *vm)
{
	if (!vm->cache_class)
		return;
	lock_take(&plan_lock);
	cache_plan_give(&plan, vm->cache_class);
	cache_plan_split(&plan, false); /* if it was the last */
	lock_give(&plan_lock);
	vm->cache_class = 0;
	tell_all();
}

/* A CPU that has let go of its last vCPU goes to class 0 as well: the end of
 * that VM was a change, and it was kicked for it.  The class comes first, since
 * the last one may be gone with the change. */
void cache_follow(const struct vm *vm)
{
	struct cpu_class *mine = &cpu_classes[arch_cpu_index()];
	uint32_t class = vm ? vm->cache_class : 0;
	uint32_t now = atomic_load(&cache_changes);

	if (mine->changes == now && (!vm || mine->class == class))
		return;
	if (mine->class != class) {
		arch_cache_use(class);
		mine->class = class;
	}
	if (mine->changes != now) {
		lock_take(&plan_lock);
		arch_cache_set(&plan);
		lock_give(&plan_lock);
		mine->changes = now;
	}
}
