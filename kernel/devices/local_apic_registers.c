/* SPDX-License-Identifier: MIT */
/*
 * The emulated local APIC's registers.  Both faces number them alike: xAPIC
 * has register n at byte n * 16 of its page, x2APIC at MSR 0x800 + n.  Where
 * xAPIC ignores what is reserved, x2APIC refuses it (#GP).
 */
#include "local_apic_parts.h"

#include <mullion/arch.h>
#include <mullion/guest.h>
#include <mullion/vcpu.h>

#define MSR_APIC_BASE 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC 0x800u
#define X2APIC_REGISTERS 0x100u

/* "Local APIC Register Address Map", offset / 16 */
enum apic_register {
	REGISTER_ID = 0x02,
	REGISTER_VERSION = 0x03,
	REGISTER_TPR = 0x08,
	REGISTER_APR = 0x09,
	REGISTER_PPR = 0x0a,
	REGISTER_EOI = 0x0b,
	REGISTER_REMOTE_READ = 0x0c,
	REGISTER_LDR = 0x0d,
	REGISTER_DFR = 0x0e,
	REGISTER_SVR = 0x0f,
	REGISTER_ISR = 0x10, /* 8 registers each */
	REGISTER_TMR = 0x18,
	REGISTER_IRR = 0x20,
	REGISTER_ESR = 0x28,
	REGISTER_ICR_LOW = 0x30,
	REGISTER_ICR_HIGH = 0x31,
	REGISTER_LVT = 0x32, /* enum apic_lvt */
	REGISTER_INITIAL_COUNT = 0x38,
	REGISTER_CURRENT_COUNT = 0x39,
	REGISTER_DIVIDE = 0x3e,
	REGISTER_SELF_IPI = 0x3f,
};

/* "Local APIC Version Register": of an integrated APIC; EOI broadcasts cannot
 * be suppressed. */
#define VERSION (0x14u | (LVT_COUNT - 1) << 16)

#define SVR_WRITABLE (SVR_ENABLED | BITS(7, 0))
#define LDR_WRITABLE BITS(31, 24)
#define DFR_WRITABLE BITS(31, 28)
#define DIVIDE_WRITABLE (BIT(3) | BITS(1, 0))

/* Delivery status is always idle, and ignored when written. */
#define ICR_STATUS BIT(12)
#define ICR_RESERVED (BITS(31, 20) | BITS(17, 16) | BIT(13))

/* "Local Vector Table (LVT)": delivery status and remote IRR are read-only. */
#define LVT_READ_ONLY (BIT(14) | BIT(12))
#define LVT_DELIVERY BITS(10, 8)
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

static uint32_t vectors(const _Atomic uint64_t *set, uint32_t part)
{
	return (uint32_t)(set[part / 2] >> part % 2 * 32);
}

static bool read_common(struct vcpu *vcpu, uint32_t number, uint32_t *value)
{
	struct local_apic *apic = &vcpu->apic;

	switch (number) {
	case REGISTER_VERSION:
		*value = VERSION;
		return true;
	case REGISTER_TPR:
		*value = apic->tpr;
		return true;
	case REGISTER_PPR:
		*value = local_apic_priority(apic);
		return true;
	case REGISTER_SVR:
		*value = apic->svr;
		return true;
	case REGISTER_ISR ... REGISTER_ISR + 7:
		*value = vectors(apic->isr, number - REGISTER_ISR);
		return true;
	case REGISTER_TMR ... REGISTER_TMR + 7:
		*value = vectors(apic->tmr, number - REGISTER_TMR);
		return true;
	case REGISTER_IRR ... REGISTER_IRR + 7:
		*value = vectors(apic->irr, number - REGISTER_IRR);
		return true;
	case REGISTER_ESR:
		*value = apic->esr_shown;
		return true;
	case REGISTER_LVT ... REGISTER_LVT + LVT_COUNT - 1:
		*value = apic->lvt[number - REGISTER_LVT];
		return true;
	case REGISTER_INITIAL_COUNT:
		*value = apic->initial_count;
		return true;
	case REGISTER_CURRENT_COUNT:
		*value = local_apic_timer_count(vcpu);
		return true;
	case REGISTER_DIVIDE:
		*value = apic->divide;
		return true;
	default:
		return false;
	}
}

static void write_svr(struct local_apic *apic, uint32_t value)
{
	apic->svr = value & SVR_WRITABLE;
	if (!(value & SVR_ENABLED))
		for (int i = 0; i < LVT_COUNT; i++)
			apic->lvt[i] |= LVT_MASKED;
}

static void write_lvt(struct local_apic *apic, enum apic_lvt entry,
		      uint32_t value)
{
	value &= lvt_writable[entry];
	if (!(apic->svr & SVR_ENABLED))
		value |= LVT_MASKED;
	if (entry == LVT_TIMER)
		local_apic_timer_lvt(apic, value);
	else
		apic->lvt[entry] = value;
}

static bool write_common(struct vcpu *vcpu, uint32_t number, uint32_t value)
{
	struct local_apic *apic = &vcpu->apic;

	switch (number) {
	case REGISTER_TPR:
		apic->tpr = value & 0xff;
		return true;
	case REGISTER_EOI:
		local_apic_end_of_interrupt(vcpu);
		return true;
	case REGISTER_SVR:
		write_svr(apic, value);
		return true;
	case REGISTER_ESR:
		apic->esr_shown = apic->esr;
		apic->esr = 0;
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
	struct local_apic *apic = &vcpu->apic;
	uint32_t value = 0;

	if (read_common(vcpu, number, &value))
		return value;
	switch (number) {
	case REGISTER_ID:
		return apic->id << 24;
	case REGISTER_LDR:
		return apic->ldr;
	case REGISTER_DFR:
		return apic->dfr;
	case REGISTER_ICR_LOW:
		return apic->icr_low;
	case REGISTER_ICR_HIGH:
		return apic->icr_high;
	case REGISTER_APR: /* of older processors: nothing is in them */
	case REGISTER_REMOTE_READ:
	case REGISTER_EOI:
		return 0;
	default:
		local_apic_error(apic, ESR_ILLEGAL_REGISTER);
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
		apic->ldr = value & LDR_WRITABLE;
		return;
	case REGISTER_DFR:
		apic->dfr = value | (uint32_t)~DFR_WRITABLE;
		return;
	case REGISTER_ICR_LOW:
		apic->icr_low = value & ~(ICR_RESERVED | ICR_STATUS);
		local_apic_send(vcpu);
		return;
	case REGISTER_ICR_HIGH:
		apic->icr_high = value & BITS(31, 24);
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

static bool answers_mmio(const struct local_apic *apic)
{
	return (apic->base & (APIC_BASE_ENABLED | APIC_BASE_X2APIC)) ==
	       APIC_BASE_ENABLED;
}

uint64_t local_apic_mmio_read(struct vcpu *vcpu, uint32_t offset, uint32_t size)
{
	uint32_t first = offset % 16;
	uint32_t value;

	if (!answers_mmio(&vcpu->apic))
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
	if (answers_mmio(&vcpu->apic) && size == 4 && offset % 16 == 0)
		xapic_write(vcpu, offset / 16, (uint32_t)value);
}

/* ---- x2APIC ------------------------------------------------------------- */

static enum error x2apic_read(struct vcpu *vcpu, uint32_t number,
			      uint64_t *value)
{
	struct local_apic *apic = &vcpu->apic;
	uint32_t low = 0;

	switch (number) {
	case REGISTER_ID:
		low = apic->id;
		break;
	case REGISTER_LDR: /* "Logical x2APIC ID" */
		low = apic->id >> 4 << 16 | (uint32_t)BIT(apic->id & 0xf);
		break;
	case REGISTER_ICR_LOW:
		*value = (uint64_t)apic->icr_high << 32 | apic->icr_low;
		return ERR_NONE;
	default:
		if (!read_common(vcpu, number, &low))
			return ERR_BAD_REQUEST;
	}
	*value = low;
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
		apic->icr_low = (uint32_t)value & ~(uint32_t)ICR_STATUS;
		apic->icr_high = (uint32_t)(value >> 32);
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
	vcpu->apic.base = (base & ~mode_bits) | to;
	if (!to) /* switched off, it forgets everything */
		local_apic_init(vcpu);
	return ERR_NONE;
}

enum error local_apic_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	switch (msr) {
	case MSR_APIC_BASE:
		*value = vcpu->apic.base;
		return ERR_NONE;
	case MSR_TSC_DEADLINE:
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

enum error local_apic_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	switch (msr) {
	case MSR_APIC_BASE:
		return write_base(vcpu, value);
	case MSR_TSC_DEADLINE:
		local_apic_timer_set_deadline(vcpu, value);
		return ERR_NONE;
	default:
		if (msr - MSR_X2APIC >= X2APIC_REGISTERS)
			return ERR_NOT_FOUND;
		if (!local_apic_in_x2apic(&vcpu->apic))
			return ERR_BAD_REQUEST;
		return x2apic_write(vcpu, msr - MSR_X2APIC, value);
	}
}
