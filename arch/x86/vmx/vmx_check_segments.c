/* SPDX-License-Identifier: MIT */
/* SDM 326019, "Checks on Guest Segment Registers": see vmx_check.c. */
#include "vmx_check_parts.h"

#define SELECTOR_LOCAL BIT(2)

static bool is_usable(const struct vmx_segment *segment)
{
	return !(segment->rights & VMX_RIGHTS_UNUSABLE);
}

static uint64_t type_of(const struct vmx_segment *segment)
{
	return field_get(VMX_RIGHTS_TYPE, segment->rights);
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

static bool is_whole_system(const struct vmx_segment *segment)
{
	return !is_code_or_data(segment) && is_present(segment) &&
	       has_no_reserved(segment) && is_scaled(segment);
}

static bool segments_are_8086(state_t *s)
{
	for (int i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		const struct vmx_segment *segment = &s->segments[i];

		if (segment->base != (uint64_t)segment->selector << 4 ||
		    segment->limit != 0xffff || segment->rights != 0xf3)
			return false;
	}
	return true;
}

static bool bases_are_short(state_t *s)
{
	for (int i = SEGMENT_ES; i <= SEGMENT_DS; i++)
		if ((i == SEGMENT_CS || is_usable(&s->segments[i])) &&
		    s->segments[i].base >> 32)
			return false;
	return true;
}

/* Accessed; and readable where it is code. */
static bool data_is_readable(state_t *s)
{
	for (int i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		const struct vmx_segment *segment = &s->segments[i];
		uint64_t type = type_of(segment);

		if (i != SEGMENT_CS && i != SEGMENT_SS && is_usable(segment) &&
		    (!(type & 1) || (type & 8 && !(type & 2))))
			return false;
	}
	return true;
}

static bool cs_privilege_fits(state_t *s)
{
	uint64_t cs = dpl_of(s, SEGMENT_CS), ss = dpl_of(s, SEGMENT_SS);

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

const char *vmx_check_segments(state_t *s)
{
	const struct vmx_segment *cs = &s->segments[SEGMENT_CS];
	const struct vmx_segment *ss = &s->segments[SEGMENT_SS];
	const struct vmx_segment *tr = &s->segments[SEGMENT_TR];
	const struct vmx_segment *ldtr = &s->segments[SEGMENT_LDTR];
	const bool is_8086 = is_virtual_8086(s), has_ldt = is_usable(ldtr);
	const uint64_t type = type_of(cs);
	const struct vmx_rule rules[] = {
		{ !(tr->selector & SELECTOR_LOCAL), "TR is in the LDT" },
		{ !has_ldt || !(ldtr->selector & SELECTOR_LOCAL),
		  "LDTR is in the LDT" },
		{ !is_8086 || segments_are_8086(s),
		  "a segment is not virtual-8086 mode's" },
		{ is_canonical(tr->base) &&
			  is_canonical(s->segments[SEGMENT_FS].base) &&
			  is_canonical(s->segments[SEGMENT_GS].base) &&
			  (!has_ldt || is_canonical(ldtr->base)),
		  "the base of TR, FS, GS or LDTR is not canonical" },
		{ bases_are_short(s),
		  "the base of CS, SS, DS or ES is above 4 GiB" },
		{ is_8086 || type == 3 || (type & 9) == 9,
		  "CS is not accessed code" },
		{ is_8086 || !is_usable(ss) || (type_of(ss) & 11) == 3,
		  "SS is not accessed, writable data" },
		{ is_8086 || data_is_readable(s),
		  "DS, ES, FS or GS is not accessed, readable" },
		{ each_segment(s, is_code_or_data),
		  "a segment has a system descriptor" },
		{ is_8086 || cs_privilege_fits(s),
		  "the DPL of CS does not fit that of SS" },
		{ is_8086 || (type != 3 && s->cr0 & CR0_PE) ||
			  dpl_of(s, SEGMENT_SS) == 0,
		  "the DPL of SS is not 0 in real mode" },
		{ each_segment(s, is_present),
		  "a segment is usable but not present" },
		{ each_segment(s, has_no_reserved),
		  "a segment has reserved access rights" },
		{ !is_ia32e(s) || !(cs->rights & VMX_RIGHTS_LONG) ||
			  !(cs->rights & VMX_RIGHTS_BIG),
		  "64-bit code with CS.D" },
		{ each_segment(s, is_scaled),
		  "a segment's limit does not fit its G bit" },
		{ type_of(tr) == 11 || (!is_ia32e(s) && type_of(tr) == 3),
		  "TR is not a busy TSS of this mode" },
		{ is_usable(tr) && is_whole_system(tr),
		  "TR is unusable, absent or not a system segment" },
		{ !has_ldt || (type_of(ldtr) == 2 && is_whole_system(ldtr)),
		  "LDTR is usable but not a present LDT" },
	};

	return vmx_first_broken(rules, ARRAY_COUNT(rules));
}
