/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/guest_clock.h>
#include <mullion/log.h>
#include <mullion/vm.h>

#define NS_A_SECOND 1000000000ull
#define CLOCK_ON BIT(0)
#define FLAG_TSC_STABLE 1
#define FLAG_STOPPED 2 /* cleared by the guest */

/* struct pvclock_vcpu_time_info of KVM's contract. */
struct clock_page {
	uint32_t version; /* odd while it changes */
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time; /* ns at tsc_timestamp */
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad[2];
};
static_assert(sizeof(struct clock_page) == 32, "pvclock_vcpu_time_info");

/* struct pvclock_wall_clock */
struct wall_page {
	uint32_t version;
	uint32_t seconds;
	uint32_t nanoseconds;
};
static_assert(sizeof(struct wall_page) == 12, "pvclock_wall_clock");

static struct {
	uint64_t wall_seconds; /* at start_time */
	uint64_t start_time;   /* arch_time() */
	uint32_t multiplier;
	int8_t shift;
} source;

/* ns = (ticks << shift) * multiplier / 2^32, the multiplier with its top bit
 * set for the best precision. */
static void choose_scale(uint64_t hz)
{
	uint64_t scaled = (NS_A_SECOND << 32) / hz;
	int shift = 0;

	while (scaled >> 32 != 0) {
		scaled >>= 1;
		shift++;
	}
	/* 10^9 is below 2^30, so two bits more fit: up to 8.6 GHz. */
	while (scaled < BIT(31) && shift > -2) {
		shift--;
		scaled = (NS_A_SECOND << (32 - shift)) / hz;
	}
	source.multiplier = scaled;
	source.shift = shift;
}

void guest_clock_start(uint64_t wall_clock_seconds)
{
	source.wall_seconds = wall_clock_seconds;
	source.start_time = arch_time();
	choose_scale(arch_time_khz() * 1000);
}

uint64_t guest_clock_wall(uint64_t time)
{
	return source.wall_seconds * NS_A_SECOND +
	       arch_time_ns(time - source.start_time);
}

enum error guest_clock_write(struct vcpu *vcpu, uint64_t value, bool stopped)
{
	struct clock_page page = {
		.tsc_timestamp = vcpu->vm->started_at,
		.tsc_to_system_mul = source.multiplier,
		.tsc_shift = source.shift,
		.flags = FLAG_TSC_STABLE | (stopped ? FLAG_STOPPED : 0),
	};
	gpa_t at = gpa(value & ~CLOCK_ON);

	vcpu->clock.msr = value;
	if (!(value & CLOCK_ON))
		return ERR_NONE;
	/* The rate never changes; the page is valid when the version is even
	 * again. */
	vcpu->clock.version += 2;
	page.version = vcpu->clock.version - 1;
	if (at.value & 3 || guest_write(&vcpu->vm->memory, at, &page,
					sizeof page) != ERR_NONE) {
		log_guest(vcpu, "kvm-clock at 0x%lx is not in its memory",
			  at.value);
		vcpu->clock.msr = 0;
		return ERR_BAD_ADDRESS;
	}
	page.version = vcpu->clock.version;
	return guest_write(&vcpu->vm->memory, at, &page.version,
			   sizeof page.version);
}

enum error guest_clock_write_wall(struct vcpu *vcpu, uint64_t value)
{
	uint64_t wall = guest_clock_wall(vcpu->vm->started_at);
	struct wall_page page = {
		.version = 2,
		.seconds = wall / NS_A_SECOND,
		.nanoseconds = wall % NS_A_SECOND,
	};

	if (value & 3 || guest_write(&vcpu->vm->memory, gpa(value), &page,
				     sizeof page) != ERR_NONE) {
		log_guest(vcpu, "wall clock at 0x%lx is not in its memory",
			  value);
		return ERR_BAD_ADDRESS;
	}
	return ERR_NONE;
}
