/* SPDX-License-Identifier: MIT */
/* What both vendors must agree on: a guest's state at its reset, and which
 * values its registers may have. */
#ifndef X86_GUEST_STATE_H
#define X86_GUEST_STATE_H

#include <mullion/virt.h>
#include <stdbool.h>

/* SDM 325384, "IA-32 and Intel 64 Processor States Following Power-up". */
extern const struct guest_system guest_power_on;
/* The same of what @vcpu has itself, FPU and debug registers among it. */
void guest_reset(struct vcpu *vcpu);

/* As WRMSR: whether @value may be in the MSR, EFER apart. */
enum error guest_msr_check(uint32_t msr, uint64_t value);
/* What @old is after a write of @value, or ERR_BAD_REQUEST. */
enum error guest_efer_write(uint64_t *old, uint64_t value, uint64_t cr0);

static inline bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

/* "Memory Types That Can Be Encoded With PAT" */
static inline bool pat_is_valid(uint64_t pat)
{
	for (int i = 0; i < 8; i++) {
		uint64_t type = pat >> 8 * i & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

#endif
