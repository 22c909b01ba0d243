/* SPDX-License-Identifier: MIT */
/*
 * Parts of the last-level cache, and limits of memory bandwidth, by VM.  A VM
 * that has such a part has a class of service of the processor's; class 0 is
 * everybody else's, the hypervisor's among them, with the ways that no VM has.
 * The plan is pure code (kernel/partition/cache_plan.c), which the checker of
 * descriptions uses as well.
 */
#ifndef MULLION_CACHE_H
#define MULLION_CACHE_H

#include <mullion/package.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum bandwidth_unit {
	BANDWIDTH_NONE,	   /* it cannot be limited */
	BANDWIDTH_PERCENT, /* of what a CPU could have (Intel) */
	BANDWIDTH_RATE,	   /* in MB/s (AMD) */
	BANDWIDTH_UNEVEN,  /* by delays of which no percent is known */
	BANDWIDTH_ANY,	   /* percent or rate: of a machine that is not known */
};

/* What a processor can do; found once. */
struct cache_means {
	uint32_t level;	  /* of the cache whose ways are given; 0: none is */
	uint32_t ways;	  /* of it, 1 to 32 */
	uint32_t least;	  /* ways that a class has at least */
	uint32_t others;  /* ways that devices use as well, as a mask */
	uint32_t classes; /* of ways, class 0 among them */
	bool splits;	  /* code from data, at half the classes */
	enum bandwidth_unit bandwidth;
	uint32_t bandwidth_classes;
	uint32_t bandwidth_step; /* percent, or MB/s; the least as well */
	uint32_t bandwidth_most; /* MB/s */
};

#define CACHE_CLASSES (MULL_VM_MAX + 1)

struct cache_class {
	bool used;
	/* Ways for data and for code, as masks; 0: those of class 0. */
	uint32_t data, code;
	/* As the processor will do it, so rounded down; 0: no limit. */
	uint32_t bandwidth; /* percent, or MB/s */
};

struct cache_plan {
	struct cache_means means;
	bool split; /* code and data have masks of their own */
	struct cache_class classes[CACHE_CLASSES]; /* the first is not used */
};

/* Why a VM cannot have what it wants. */
enum cache_lack {
	CACHE_FITS,
	CACHE_NO_WAYS,	   /* the processor gives none */
	CACHE_NO_SPLIT,	   /* it has no ways for code alone */
	CACHE_SPLIT_LATE,  /* that had to be said before the first class */
	CACHE_TOO_NARROW,  /* fewer than a class must have */
	CACHE_FULL,	   /* so many are not left side by side */
	CACHE_NO_CLASS,	   /* all are in use */
	CACHE_NO_LIMITS,   /* of memory bandwidth */
	CACHE_NO_PERCENT,  /* they are in MB/s */
	CACHE_NO_RATE,	   /* they are in percent */
	CACHE_NO_EVEN,	   /* they are in neither */
	CACHE_BELOW_LIMIT, /* it is less than the smallest */
};

/* Whether a VM wants anything of that kind. */
static inline bool cache_is_wanted(const struct mull_vm *by)
{
	return by->cache_ways || by->cache_code_ways || by->bandwidth_percent ||
	       by->bandwidth_rate;
}

/*
 * Whether code and data are to have masks of their own.  That halves the
 * classes, and can be changed only while none is in use, since it gives the
 * processor's masks other meanings.
 */
void cache_plan_split(struct cache_plan *plan, bool wanted);

/* A class for @vm, from 1, with its ways alone and side by side. */
enum cache_lack cache_plan_take(struct cache_plan *plan,
				const struct mull_vm *vm, uint32_t *class);
void cache_plan_give(struct cache_plan *plan, uint32_t class);

/* How many classes there are, class 0 among them. */
uint32_t cache_plan_classes(const struct cache_plan *plan);
/* How many ways side by side the next VM could have. */
uint32_t cache_plan_left(const struct cache_plan *plan);
/* The mask of class 0: of the ways that nobody has, the most side by side. */
uint32_t cache_plan_rest(const struct cache_plan *plan);

/* ---- the machine's (kernel/partition/vm_cache.c) ------------------------- */

struct vm;
struct package;

/* Looks what there is; boot CPU, once. */
void cache_start(void);
/* What is in use.  Service CPU, at the start the boot CPU, as the rest. */
const struct cache_plan *cache_now(void);
/* Before the VMs of @package are made: whether one wants code apart. */
void cache_expect(const struct package *package);
/* Gives @vm its class; false: there is none for it any more. */
bool cache_take(struct vm *vm);
void cache_give(struct vm *vm);

/* How often somebody's part has changed; 0: nobody ever had one. */
extern _Atomic uint32_t cache_changes;
void cache_follow(const struct vm *vm);

/* Before this CPU enters that VM's guest, or NULL: it has no vCPU to run.  Does
 * nothing while it stays with one VM and nobody's part changes. */
static inline void cache_enter(const struct vm *into)
{
	if (atomic_load(&cache_changes))
		cache_follow(into);
}

#endif
