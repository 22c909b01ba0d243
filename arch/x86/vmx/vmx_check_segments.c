/* SPDX-License-Identifier: MIT */
/* SDM 326019, "Checks on Guest Segment Registers": see vmx_check.c. */
#include "vmx_check_parts.h"

static bool is_usable(const struct vmx_segment *segment)
{
	return !(segment->rights & VMX_RIGHTS_UNUSABLE);
}

static uint64_t type_of(const struct vmx_segment *segment)
{
	return field_get(VMX_RIGHTS_TYPE, segment->rights);
}

#define SELECTOR_LOCAL BIT(2)

static bool tr_is_global(state_t *s)
{
	return !(s->segments[SEGMENT_TR].selector & SELECTOR_LOCAL);
}

static bool ldtr_is_global(state_t *s)
{
	return !is_usable(&s->segments[SEGMENT_LDTR]) ||
	       !(s->segments[SEGMENT_LDTR].selector & SELECTOR_LOCAL);
}

static bool is_8086_segment(const struct vmx_segment *segment)
{
	return segment->base == (uint64_t)segment->selector << 4 &&
	       segment->limit == 0xffff && segment->rights == 0xf3;
}

static bool segments_are_8086(state_t *s)
{
	for (int i = SEGMENT_ES; is_virtual_8086(s) && i <= SEGMENT_GS; i++)
		if (!is_8086_segment(&s->segments[i]))
			return false;
	return true;
}

static bool bases_are_canonical(state_t *s)
{
	return is_canonical(s->segments[SEGMENT_TR].base) &&
	       is_canonical(s->segments[SEGMENT_FS].base) &&
	       is_canonical(s->segments[SEGMENT_GS].base) &&
	       (!is_usable(&s->segments[SEGMENT_LDTR]) ||
		is_canonical(s->segments[SEGMENT_LDTR].base));
}

static bool bases_are_short(state_t *s)
{
	for (int i = SEGMENT_ES; i <= SEGMENT_DS; i++)
		if ((i == SEGMENT_CS || is_usable(&s->segments[i])) &&
		    s->segments[i].base >> 32)
			return false;
	return true;
}

static bool cs_is_code(state_t *s)
{
	uint64_t type = type_of(&s->segments[SEGMENT_CS]);

	return is_virtual_8086(s) || type == 3 || (type & 9) == 9;
}

static bool ss_is_stack(state_t *s)
{
	const struct vmx_segment *ss = &s->segments[SEGMENT_SS];

	return is_virtual_8086(s) || !is_usable(ss) || type_of(ss) == 3 ||
	       type_of(ss) == 7;
}

/* Accessed; and readable where it is code. */
static bool data_is_readable(state_t *s)
{
	for (int i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		const struct vmx_segment *segment = &s->segments[i];
		uint64_t type = type_of(segment);

		if (i == SEGMENT_CS || i == SEGMENT_SS || is_virtual_8086(s) ||
		    !is_usable(segment))
			continue;
		if (!(type & 1) || (type & 8 && !(type & 2)))
			return false;
	}
	return true;
}

static bool cs_privilege_fits(state_t *s)
{
	uint64_t cs = dpl_of(s, SEGMENT_CS), ss = dpl_of(s, SEGMENT_SS);

	if (is_virtual_8086(s))
		return true;
	switch (type_of(&s->segments[SEGMENT_CS])) {
	case 3:
		return cs == 0;
	case 9:
	case 11:
		return cs == ss;
	default:
		return cs <= ss;
	}
}

static bool ss_privilege_fits(state_t *s)
{
	bool must_be_0 = type_of(&s->segments[SEGMENT_CS]) == 3 ||
			 !(s->cr0 & CR0_PE);

	return is_virtual_8086(s) || !must_be_0 || dpl_of(s, SEGMENT_SS) == 0;
}

/* Whether @check holds for CS and all usable data segments. */
static bool each_segment(state_t *s,
			 bool (*check)(const struct vmx_segment *segment))
{
	for (int i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		if ((i == SEGMENT_CS || is_usable(&s->segments[i])) &&
		    !check(&s->segments[i]))
			return false;
	return true;
}

static bool is_code_or_data(const struct vmx_segment *segment)
{
	return segment->rights & VMX_RIGHTS_S;
}

static bool is_present(const struct vmx_segment *segment)
{
	return segment->rights & VMX_RIGHTS_PRESENT;
}

static bool has_no_reserved(const struct vmx_segment *segment)
{
	return !(segment->rights & VMX_RIGHTS_RESERVED);
}

/* G must be clear where a low bit of the limit is, set where a high one is. */
static bool is_scaled(const struct vmx_segment *segment)
{
	bool granular = segment->rights & VMX_RIGHTS_GRANULAR;

	if ((segment->limit & 0xfff) != 0xfff && granular)
		return false;
	return !(segment->limit & BITS(31, 20)) || granular;
}

static bool segments_are_segments(state_t *s)
{
	return each_segment(s, is_code_or_data);
}

static bool segments_are_present(state_t *s)
{
	return each_segment(s, is_present);
}

static bool rights_are_clean(state_t *s)
{
	return each_segment(s, has_no_reserved);
}

static bool limits_are_scaled(state_t *s)
{
	return each_segment(s, is_scaled);
}

static bool long_code_is_not_big(state_t *s)
{
	uint32_t rights = s->segments[SEGMENT_CS].rights;

	return !is_ia32e(s) || !(rights & VMX_RIGHTS_LONG) ||
	       !(rights & VMX_RIGHTS_BIG);
}

static bool tr_is_busy(state_t *s)
{
	const struct vmx_segment *tr = &s->segments[SEGMENT_TR];

	return type_of(tr) == 11 || (!is_ia32e(s) && type_of(tr) == 3);
}

static bool is_whole_system(const struct vmx_segment *segment)
{
	return !is_code_or_data(segment) && is_present(segment) &&
	       has_no_reserved(segment) && is_scaled(segment);
}

static bool tr_is_whole(state_t *s)
{
	const struct vmx_segment *tr = &s->segments[SEGMENT_TR];

	return is_usable(tr) && is_whole_system(tr);
}

static bool ldtr_is_whole(state_t *s)
{
	const struct vmx_segment *ldtr = &s->segments[SEGMENT_LDTR];

	return !is_usable(ldtr) ||
	       (type_of(ldtr) == 2 && is_whole_system(ldtr));
}

static const struct vmx_rule rules[] = {
	{ tr_is_global, "TR is in the LDT" },
	{ ldtr_is_global, "LDTR is in the LDT" },
	{ segments_are_8086, "a segment is not virtual-8086 mode's" },
	{ bases_are_canonical, "the base of TR, FS, GS or LDTR is not "
			       "canonical" },
	{ bases_are_short, "the base of CS, SS, DS or ES is above 4 GiB" },
	{ cs_is_code, "CS is not accessed code" },
	{ ss_is_stack, "SS is not accessed, writable data" },
	{ data_is_readable, "DS, ES, FS or GS is not accessed, readable" },
	{ segments_are_segments, "a segment has a system descriptor" },
	{ cs_privilege_fits, "the DPL of CS does not fit that of SS" },
	{ ss_privilege_fits, "the DPL of SS is not 0 in real mode" },
	{ segments_are_present, "a segment is usable but not present" },
	{ rights_are_clean, "a segment has reserved access rights" },
	{ long_code_is_not_big, "64-bit code with CS.D" },
	{ limits_are_scaled, "a segment's limit does not fit its G bit" },
	{ tr_is_busy, "TR is not a busy TSS of this mode" },
	{ tr_is_whole, "TR is unusable, absent or not a system segment" },
	{ ldtr_is_whole, "LDTR is usable but not a present LDT" },
};

const char *vmx_check_segments(state_t *state)
{
	return vmx_first_broken(rules, ARRAY_COUNT(rules), state);
}
