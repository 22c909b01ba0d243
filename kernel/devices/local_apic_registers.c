/* SPDX-License-Identifier: MIT */
/*
 * The emulated local APIC's registers.  Both faces number them alike: xAPIC
 * has register n at byte n * 16 of its page, x2APIC at MSR 0x800 + n.  Where
 * xAPIC ignores what is reserved, x2APIC refuses it (#GP).
 */
#include "local_apic_parts.h"

#include <mullion/arch.h>
#include <mullion/guest.h>
#include <mullion/vm.h>

#define MSR_APIC_BASE 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC 0x800u
#define X2APIC_REGISTERS 0x100u

#define SVR_WRITABLE (SVR_ENABLED | BITS(7, 0))
#define LDR_WRITABLE BITS(31, 24)
#define DFR_WRITABLE BITS(31, 28)
#define DIVIDE_WRITABLE (BIT(3) | BITS(1, 0))

/* Delivery status is always idle, and ignored when written. */
#define ICR_STATUS BIT(12)
#define ICR_RESERVED (BITS(31, 20) | BITS(17, 16) | BIT(13))

/* "Local Vector Table (LVT)": delivery status and remote IRR are read-only. */
#define LVT_READ_ONLY (BIT(14) | BIT(12))
#define LVT_POLARITY BIT(13)
#define LVT_LEVEL BIT(15)
#define LVT_PIN (LVT_LEVEL | LVT_POLARITY | LVT_DELIVERY)
static const uint32_t lvt_writable[LVT_COUNT] = {
	[LVT_TIMER] = LVT_TIMER_MODE | LVT_MASKED | LVT_VECTOR,
	[LVT_THERMAL] = LVT_MASKED | LVT_DELIVERY | LVT_VECTOR,
	[LVT_COUNTERS] = LVT_MASKED | LVT_DELIVERY | LVT_VECTOR,
	[LVT_LINT0] = LVT_MASKED | LVT_PIN | LVT_VECTOR,
	[LVT_LINT1] = LVT_MASKED | LVT_PIN | LVT_VECTOR,
	[LVT_ERROR] = LVT_MASKED | LVT_VECTOR,
};

/* ---- what both faces have in common ------------------------------------- */

/* Beside the identities and the ICR, which the faces show differently. */
static bool read_common(struct vcpu *vcpu, uint32_t number, uint32_t *value)
{
	struct local_apic *apic = &vcpu->apic;

	guest_eoi_settle(vcpu);
	switch (number) {
	case REGISTER_PPR:
		local_apic_set(apic, number, local_apic_priority(apic));
		break;
	case REGISTER_TMR ... REGISTER_IRR + APIC_VECTOR_WORDS - 1:
		local_apic_take_posted(apic);
		break;
	case REGISTER_CURRENT_COUNT:
		local_apic_set(apic, number, local_apic_timer_count(vcpu));
		break;
	case REGISTER_ID:
	case REGISTER_VERSION:
	case REGISTER_TPR:
	case REGISTER_LDR:
	case REGISTER_SVR:
	case REGISTER_ISR ... REGISTER_ISR + APIC_VECTOR_WORDS - 1:
	case REGISTER_ESR:
	case REGISTER_LVT ... REGISTER_LVT + LVT_COUNT - 1:
	case REGISTER_INITIAL_COUNT:
	case REGISTER_DIVIDE:
		break;
	default:
		return false;
	}
	*value = local_apic_get(apic, number);
	return true;
}

static void write_svr(struct local_apic *apic, uint32_t value)
{
	local_apic_set(apic, REGISTER_SVR, value & SVR_WRITABLE);
	if (apic->given)
		arch_apic_set_spurious((uint8_t)value);
	if (value & SVR_ENABLED)
		return;
	if (apic->given)
		arch_apic_mask_timer();
	for (int i = REGISTER_LVT; i < REGISTER_LVT + LVT_COUNT; i++)
		local_apic_set(apic, i, local_apic_get(apic, i) | LVT_MASKED);
}

static void write_lvt(struct local_apic *apic, enum apic_lvt entry,
		      uint32_t value)
{
	value &= lvt_writable[entry];
	if (!(local_apic_get(apic, REGISTER_SVR) & SVR_ENABLED))
		value |= LVT_MASKED;
	if (entry == LVT_TIMER)
		local_apic_timer_lvt(apic, value);
	local_apic_set(apic, REGISTER_LVT + entry, value);
}

static bool write_common(struct vcpu *vcpu, uint32_t number, uint32_t value)
{
	struct local_apic *apic = &vcpu->apic;

	switch (number) {
	case REGISTER_TPR:
		local_apic_set(apic, REGISTER_TPR, value & 0xff);
		return true;
	case REGISTER_EOI:
		guest_eoi_take_back(vcpu);
		local_apic_end_of_interrupt(vcpu);
		return true;
	case REGISTER_SVR:
		write_svr(apic, value);
		return true;
	case REGISTER_ESR:
		local_apic_set(apic, REGISTER_ESR, apic->errors);
		apic->errors = 0;
		return true;
	case REGISTER_LVT ... REGISTER_LVT + LVT_COUNT - 1:
		write_lvt(apic, number - REGISTER_LVT, value);
		return true;
	case REGISTER_INITIAL_COUNT:
		local_apic_timer_start(apic, value);
		return true;
	case REGISTER_DIVIDE:
		local_apic_timer_divide(vcpu, value & DIVIDE_WRITABLE);
		return true;
	default:
		return false;
	}
}

/* ---- xAPIC -------------------------------------------------------------- */

static uint32_t xapic_read(struct vcpu *vcpu, uint32_t number)
{
	uint32_t value = 0;

	if (read_common(vcpu, number, &value))
		return value;
	switch (number) {
	case REGISTER_DFR:
	case REGISTER_ICR_LOW:
	case REGISTER_ICR_HIGH:
		return local_apic_get(&vcpu->apic, number);
	case REGISTER_APR: /* of older processors: nothing is in them */
	case REGISTER_REMOTE_READ:
	case REGISTER_EOI:
		return 0;
	default:
		local_apic_error(&vcpu->apic, ESR_ILLEGAL_REGISTER);
		return 0;
	}
}

static void xapic_write(struct vcpu *vcpu, uint32_t number, uint32_t value)
{
	struct local_apic *apic = &vcpu->apic;
	uint32_t unused;

	if (write_common(vcpu, number, value))
		return;
	switch (number) {
	case REGISTER_LDR:
		local_apic_set(apic, number, value & LDR_WRITABLE);
		return;
	case REGISTER_DFR:
		local_apic_set(apic, number, value | (uint32_t)~DFR_WRITABLE);
		return;
	case REGISTER_ICR_LOW:
		local_apic_set(apic, number,
			       value & ~(ICR_RESERVED | ICR_STATUS));
		local_apic_send(vcpu);
		return;
	case REGISTER_ICR_HIGH:
		local_apic_set(apic, number, value & BITS(31, 24));
		return;
	case REGISTER_ID: /* read-only, as on today's processors */
	case REGISTER_APR:
	case REGISTER_REMOTE_READ:
		return;
	default:
		if (!read_common(vcpu, number, &unused))
			local_apic_error(apic, ESR_ILLEGAL_REGISTER);
	}
}

bool local_apic_is_xapic(const struct local_apic *apic)
{
	return (apic->base & (APIC_BASE_ENABLED | APIC_BASE_X2APIC)) ==
	       APIC_BASE_ENABLED;
}

uint64_t local_apic_mmio_read(struct vcpu *vcpu, uint32_t offset, uint32_t size)
{
	uint32_t first = offset % 16;
	uint32_t value;

	if (!local_apic_is_xapic(&vcpu->apic))
		return ~0ull;
	/* A register is the first 4 of 16 bytes, the rest is undefined. */
	if (!size || first >= 4 || size > 4 - first)
		return 0;
	value = xapic_read(vcpu, offset / 16);
	return value >> 8 * first & BITS(8 * size - 1, 0);
}

void local_apic_mmio_write(struct vcpu *vcpu, uint32_t offset, uint32_t size,
			   uint64_t value)
{
	if (local_apic_is_xapic(&vcpu->apic) && size == 4 && offset % 16 == 0)
		xapic_write(vcpu, offset / 16, (uint32_t)value);
}

/* ---- x2APIC ------------------------------------------------------------- */

static enum error x2apic_read(struct vcpu *vcpu, uint32_t number,
			      uint64_t *value)
{
	struct local_apic *apic = &vcpu->apic;
	uint32_t low = 0, high = 0;

	if (number == REGISTER_ICR_LOW) {
		low = local_apic_get(apic, REGISTER_ICR_LOW);
		high = local_apic_get(apic, REGISTER_ICR_HIGH);
	} else if (!read_common(vcpu, number, &low)) {
		return ERR_BAD_REQUEST;
	}
	*value = (uint64_t)high << 32 | low;
	return ERR_NONE;
}

/* Bits that may be set in a register that write_common() knows. */
static uint32_t x2apic_allowed(uint32_t number)
{
	switch (number) {
	case REGISTER_TPR:
		return 0xff;
	case REGISTER_SVR:
		return SVR_WRITABLE;
	case REGISTER_LVT ... REGISTER_LVT + LVT_COUNT - 1:
		return lvt_writable[number - REGISTER_LVT] | LVT_READ_ONLY;
	case REGISTER_INITIAL_COUNT:
		return ~0u;
	case REGISTER_DIVIDE:
		return DIVIDE_WRITABLE;
	default: /* EOI and ESR */
		return 0;
	}
}

static enum error x2apic_write(struct vcpu *vcpu, uint32_t number,
			       uint64_t value)
{
	struct local_apic *apic = &vcpu->apic;

	if (number == REGISTER_ICR_LOW) {
		if (value & ICR_RESERVED)
			return ERR_BAD_REQUEST;
		local_apic_set(apic, REGISTER_ICR_LOW,
			       (uint32_t)value & ~(uint32_t)ICR_STATUS);
		local_apic_set(apic, REGISTER_ICR_HIGH,
			       (uint32_t)(value >> 32));
		local_apic_send(vcpu);
		return ERR_NONE;
	}
	if (number == REGISTER_SELF_IPI) {
		if (value > 0xff)
			return ERR_BAD_REQUEST;
		local_apic_send_self(apic, (uint8_t)value);
		return ERR_NONE;
	}
	if (value & ~(uint64_t)x2apic_allowed(number))
		return ERR_BAD_REQUEST;
	return write_common(vcpu, number, (uint32_t)value) ? ERR_NONE :
							     ERR_BAD_REQUEST;
}

void local_apic_written(struct vcpu *vcpu, uint32_t offset)
{
	/* One that is refused has said so to the guest by the processor. */
	x2apic_write(vcpu, offset / 16,
		     local_apic_get(&vcpu->apic, offset / 16));
}

/* "Local APIC State Transitions with IA32_APIC_BASE" */
static enum error write_base(struct vcpu *vcpu, uint64_t value)
{
	const uint64_t mode_bits = APIC_BASE_ENABLED | APIC_BASE_X2APIC;
	uint64_t base = vcpu->apic.base;
	uint64_t from = base & mode_bits, to = value & mode_bits;

	/* It stays where it is; and whether this is the bootstrap processor
	 * is not for the guest to say. */
	if ((value & ~(mode_bits | APIC_BASE_BOOTSTRAP)) !=
	    MULL_GUEST_LOCAL_APIC)
		return ERR_BAD_REQUEST;
	if (to == APIC_BASE_X2APIC || (!from && to == mode_bits) ||
	    (from == mode_bits && to == APIC_BASE_ENABLED))
		return ERR_BAD_REQUEST;
	guest_eoi_take_back(vcpu);
	if (to != mode_bits)
		local_apic_take(vcpu);
	vcpu->apic.base = (base & ~mode_bits) | to;
	if (!to) /* switched off, it forgets everything */
		local_apic_init(vcpu);
	else if (to != from)
		local_apic_show_ids(&vcpu->apic);
	return ERR_NONE;
}

enum error local_apic_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	switch (msr) {
	case MSR_APIC_BASE:
		*value = vcpu->apic.base;
		return ERR_NONE;
	case MSR_TSC_DEADLINE:
		if (!local_apic_has_deadline(vcpu->vm))
			return ERR_BAD_REQUEST;
		local_apic_timer(vcpu, arch_time());
		*value = vcpu->apic.tsc_deadline;
		return ERR_NONE;
	default:
		if (msr - MSR_X2APIC >= X2APIC_REGISTERS)
			return ERR_NOT_FOUND;
		if (!local_apic_in_x2apic(&vcpu->apic))
			return ERR_BAD_REQUEST;
		return x2apic_read(vcpu, msr - MSR_X2APIC, value);
	}
}

/* Apart, so that the others' way stays short. */
static __attribute__((noinline)) enum error write_deadline(struct vcpu *vcpu,
							   uint64_t value)
{
	if (!local_apic_has_deadline(vcpu->vm))
		return ERR_BAD_REQUEST;
	local_apic_timer_set_deadline(vcpu, value);
	return ERR_NONE;
}

enum error local_apic_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	switch (msr) {
	case MSR_APIC_BASE:
		return write_base(vcpu, value);
	case MSR_TSC_DEADLINE:
		return write_deadline(vcpu, value);
	default:
		if (msr - MSR_X2APIC >= X2APIC_REGISTERS)
			return ERR_NOT_FOUND;
		if (!local_apic_in_x2apic(&vcpu->apic))
			return ERR_BAD_REQUEST;
		return x2apic_write(vcpu, msr - MSR_X2APIC, value);
	}
}
