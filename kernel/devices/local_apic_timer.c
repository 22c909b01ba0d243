/* SPDX-License-Identifier: MIT */
/*
 * The emulated local APIC's timer.  Its bus clock is 1 GHz, so that a tick
 * before division is a nanosecond.  Counts become times of the time-stamp
 * counter at once; the current count is worked out when it is read.
 * SDM 325384, "APIC Timer".
 */
#include "local_apic_parts.h"

#include <mullion/arch.h>
#include <mullion/vcpu.h>

#define NS_PER_MS 1000000ull
/* A guest that asks for a shorter period gets this one: its timer alone must
 * not keep a processor in the hypervisor.  One-shot timers need no such
 * limit, since each costs the guest a write. */
#define PERIOD_MIN_NS 20000ull

enum timer_mode { ONE_SHOT, PERIODIC, TSC_DEADLINE, RESERVED_MODE };

static enum timer_mode mode_of(uint32_t entry)
{
	return (enum timer_mode)field_get(LVT_TIMER_MODE, entry);
}

static enum timer_mode timer_mode(const struct local_apic *apic)
{
	return mode_of(local_apic_get(apic, REGISTER_LVT + LVT_TIMER));
}

static uint32_t initial_count(const struct local_apic *apic)
{
	return local_apic_get(apic, REGISTER_INITIAL_COUNT);
}

static bool counts(enum timer_mode mode)
{
	return mode == ONE_SHOT || mode == PERIODIC;
}

/* "Divide Configuration Register": bits 3, 1, 0; 2, 4 ... 128, 1. */
static uint32_t divide_shift(const struct local_apic *apic)
{
	uint32_t divide = local_apic_get(apic, REGISTER_DIVIDE);
	uint32_t code = (divide & 3) | (divide & BIT(3)) >> 1;

	return (code + 1) & 7;
}

/* Both by whole milliseconds and the rest, so that no product overflows:
 * a count is below 2^32 * 128 ns, and the rate below 2^32 kHz. */
static uint64_t ns_to_time(uint64_t ns)
{
	uint64_t khz = arch_time_khz();

	return ns / NS_PER_MS * khz + ns % NS_PER_MS * khz / NS_PER_MS;
}

static uint64_t time_to_ns(uint64_t time)
{
	uint64_t khz = arch_time_khz();

	return time / khz * NS_PER_MS + time % khz * NS_PER_MS / khz;
}

static uint64_t count_to_time(const struct local_apic *apic, uint32_t count)
{
	uint64_t ns = (uint64_t)count << divide_shift(apic);

	if (timer_mode(apic) == PERIODIC && ns < PERIOD_MIN_NS)
		ns = PERIOD_MIN_NS;
	return ns_to_time(ns);
}

static void disarm(struct local_apic *apic)
{
	apic->timer_deadline = ARCH_NO_DEADLINE;
	local_apic_set(apic, REGISTER_INITIAL_COUNT, 0);
	apic->tsc_deadline = 0;
}

void local_apic_timer(struct vcpu *vcpu, uint64_t now)
{
	struct local_apic *apic = &vcpu->apic;
	uint64_t deadline = apic->timer_deadline;

	if (deadline == ARCH_NO_DEADLINE || now < deadline)
		return;
	if (timer_mode(apic) == PERIODIC) {
		uint64_t period = count_to_time(apic, initial_count(apic));

		/* Periods that were missed make one interrupt. */
		apic->timer_deadline += ((now - deadline) / period + 1) *
					period;
	} else {
		apic->timer_deadline = ARCH_NO_DEADLINE;
		apic->tsc_deadline = 0;
	}
	local_apic_local(apic, LVT_TIMER);
}

/* What is left is rounded up: the count is 0 only when it has expired. */
uint32_t local_apic_timer_count(struct vcpu *vcpu)
{
	struct local_apic *apic = &vcpu->apic;
	uint32_t shift = divide_shift(apic);
	uint64_t now = arch_time();
	uint64_t left;

	local_apic_timer(vcpu, now);
	if (apic->timer_deadline == ARCH_NO_DEADLINE ||
	    !counts(timer_mode(apic)))
		return 0;
	left = time_to_ns(apic->timer_deadline - now);
	left = (left + BIT(shift) - 1) >> shift;
	/* A stretched period is longer than its count. */
	return left > initial_count(apic) ? initial_count(apic) :
					    (uint32_t)left;
}

void local_apic_timer_start(struct local_apic *apic, uint32_t count)
{
	if (!counts(timer_mode(apic)))
		return;
	disarm(apic);
	local_apic_set(apic, REGISTER_INITIAL_COUNT, count);
	if (count)
		apic->timer_deadline = arch_time() + count_to_time(apic, count);
}

void local_apic_timer_divide(struct vcpu *vcpu, uint32_t value)
{
	struct local_apic *apic = &vcpu->apic;
	uint32_t left = local_apic_timer_count(vcpu);

	local_apic_set(apic, REGISTER_DIVIDE, value);
	if (left)
		apic->timer_deadline = arch_time() + count_to_time(apic, left);
}

void local_apic_timer_lvt(struct local_apic *apic, uint32_t value)
{
	enum timer_mode from = timer_mode(apic), to = mode_of(value);

	if (from != to && !(counts(from) && counts(to)))
		disarm(apic);
}

void local_apic_timer_set_deadline(struct vcpu *vcpu, uint64_t tsc)
{
	struct local_apic *apic = &vcpu->apic;

	if (timer_mode(apic) != TSC_DEADLINE)
		return;
	apic->tsc_deadline = tsc;
	apic->timer_deadline = tsc ? tsc : ARCH_NO_DEADLINE;
	local_apic_timer(vcpu, arch_time()); /* it may have passed already */
}
