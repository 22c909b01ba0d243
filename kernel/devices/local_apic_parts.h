/* SPDX-License-Identifier: MIT */
/* What the files of the emulated local APIC share. */
#ifndef LOCAL_APIC_PARTS_H
#define LOCAL_APIC_PARTS_H

#include <mullion/bits.h>
#include <mullion/local_apic.h>

/* "Local APIC Register Address Map", offset / 16 */
enum apic_register_number {
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

#define SVR_ENABLED BIT(8) /* "Spurious-Interrupt Vector Register (SVR)" */

#define LVT_VECTOR BITS(7, 0) /* "Local Vector Table (LVT)" */
#define LVT_DELIVERY BITS(10, 8)
#define LVT_MASKED BIT(16)
#define LVT_TIMER_MODE BITS(18, 17)

/* "Interrupt Command Register (ICR)" */
#define ICR_VECTOR BITS(7, 0)
#define ICR_ASSERT BIT(14)

/* "Error Status Register (ESR)" */
#define ESR_SEND_ILLEGAL_VECTOR BIT(5)
#define ESR_RECEIVE_ILLEGAL_VECTOR BIT(6)
#define ESR_ILLEGAL_REGISTER BIT(7)

static inline uint32_t local_apic_get(const struct local_apic *apic,
				      uint32_t number)
{
	return atomic_load_explicit(&apic->registers[number].value,
				    memory_order_relaxed);
}

static inline void local_apic_set(struct local_apic *apic, uint32_t number,
				  uint32_t value)
{
	atomic_store_explicit(&apic->registers[number].value, value,
			      memory_order_relaxed);
}

/* ID and LDR as the mode has them. */
void local_apic_show_ids(struct local_apic *apic);
/* The guest made a mistake with its APIC: sets ESR @bit and interrupts. */
void local_apic_error(struct local_apic *apic, uint32_t bit);
/* One of the APIC's own sources fires. */
void local_apic_local(struct local_apic *apic, enum apic_lvt source);
/* The guest has written the EOI register. */
void local_apic_end_of_interrupt(struct vcpu *vcpu);
/* Sends what stands in the ICR. */
void local_apic_send(struct vcpu *vcpu);
void local_apic_send_self(struct local_apic *apic, uint8_t vector);

/* Writes to the timer's registers; the count is what is left of it. */
void local_apic_timer_lvt(struct local_apic *apic, uint32_t value);
void local_apic_timer_divide(struct vcpu *vcpu, uint32_t value);
void local_apic_timer_start(struct local_apic *apic, uint32_t count);
void local_apic_timer_set_deadline(struct vcpu *vcpu, uint64_t tsc);
uint32_t local_apic_timer_count(struct vcpu *vcpu);

#endif
