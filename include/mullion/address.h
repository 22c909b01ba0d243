/* SPDX-License-Identifier: MIT */
/* Addresses that cannot be mixed up: each kind is a type of its own. */
#ifndef MULLION_ADDRESS_H
#define MULLION_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
	uint64_t value;
} gpa_t; /* guest-physical */

typedef struct {
	uint64_t value;
} gva_t; /* guest-virtual (linear) */

typedef struct {
	uint64_t value;
} hpa_t; /* host-physical */

static inline gpa_t gpa(uint64_t value)
{
	return (gpa_t){ value };
}

static inline gva_t gva(uint64_t value)
{
	return (gva_t){ value };
}

static inline hpa_t hpa(uint64_t value)
{
	return (hpa_t){ value };
}

/* One entry of page tables: from @at on, @size bytes are at @to, or nowhere. */
struct mapping {
	uint64_t at, size;
	hpa_t to;
	bool present, writable;
};

#endif
