/* SPDX-License-Identifier: MIT */
/* What the files of entry rules share. */
#ifndef VMX_CHECK_PARTS_H
#define VMX_CHECK_PARTS_H

#include "../guest_state.h"
#include "../registers.h"
#include "vmx_check.h"
#include "vmx_regs.h"
#include <stdbool.h>
#include <stddef.h>

typedef const struct vmx_entry_state state_t;

struct vmx_rule {
	bool holds;
	const char *broken;
};

/* The words of the first of @count rules that does not hold, or NULL. */
static inline const char *vmx_first_broken(const struct vmx_rule *rules,
					   size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!rules[i].holds)
			return rules[i].broken;
	return NULL;
}

/* vmx_check_segments.c */
const char *vmx_check_segments(state_t *state);

static inline bool is_ia32e(state_t *s)
{
	return s->entry_controls & VMX_ENTRY_IA32E;
}

static inline bool is_virtual_8086(state_t *s)
{
	return s->rflags & RFLAGS_VM;
}

static inline uint64_t dpl_of(state_t *s, enum guest_segment_number number)
{
	return field_get(VMX_RIGHTS_DPL, s->segments[number].rights);
}

#endif
