/* SPDX-License-Identifier: MIT */
#ifndef SECRET_H
#define SECRET_H

#include "sdk.h"

/* A kind of state that one guest must not see of another. */
struct secret_class {
	const char *name;
	/* At the start: reports whether it is as at power-on. */
	void (*look)(void);
	/* Puts this guest's secret into it; NULL: it takes none. */
	void (*fill)(void);
	/* Whether that is still there; called again and again. */
	bool (*kept)(void);
};

/* In the order in which they are looked at and filled. */
extern const struct secret_class class_registers, class_fpu, class_xcr0,
	class_pkru, class_apic, class_debug, class_control, class_tables,
	class_msrs, class_hidden, class_devices, class_memory;

/* What the first instructions of the guest found; filled by entry.S. */
struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern struct entered {
	uint64_t gpr[16]; /* RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8... */
	uint64_t rflags, cr2, cr3, cr8, fs_base, gs_base, ldtr, tr;
	struct table_pointer gdt __attribute__((aligned(16)));
	struct table_pointer idt __attribute__((aligned(16)));
} entered;
static_assert(offsetof(struct entered, rflags) == 16 * 8, "entry.S");
static_assert(offsetof(struct entered, tr) == 23 * 8, "entry.S");
static_assert(offsetof(struct entered, gdt) == 24 * 8, "entry.S");
static_assert(offsetof(struct entered, idt) == 26 * 8, "entry.S");

/* 1 or 2: whose secret; guests that share a CPU have different ones. */
extern uint32_t secret_number;

/* Number @i of this guest's secrets: any 64 bits; an address that is
 * canonical, in a page of its own, and reachable by nobody. */
static inline uint64_t secret(uint32_t i)
{
	return 0x5ec2e70000000000 | (uint64_t)secret_number << 32 |
	       0x01010101u * (i + 1);
}

static inline uint64_t secret_address(uint32_t i)
{
	return 0xffffa5c200000000 | (uint64_t)secret_number << 28 |
	       (uint64_t)(i + 1) << 12 | 0xec7;
}

/* Whether @value is what was expected; says so once in a while if not. */
bool secret_same(const char *name, uint64_t value, uint64_t expected);

#endif
