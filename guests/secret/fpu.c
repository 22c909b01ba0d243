/* SPDX-License-Identifier: MIT */
/*
 * x87, SSE, AVX and AVX-512 registers, XCR0 and PKRU.  Looked at as XSAVE
 * writes them, in its standard format; SDM 325462, "XSAVE Area" and "FXSAVE
 * 64-bit Mode Map".  Guest 1 enables all that there is, guest 2 no AVX, but it
 * goes on using x87.
 */
#include "secret.h"

#define AREA_SIZE 4096
#define X87_SSE 3
#define FIRST_EXTENDED 2 /* component; below is the legacy region */
#define COMPONENTS 63
#define HEADER 512
#define X87_AT 32
#define X87_STEP 16
#define X87_USED 10
#define XMM_AT 160
#define XMM_END 416
#define FCW_RESET 0x37f
#define MXCSR_RESET 0x1f80
#define ALL_EMPTY 0xffff
#define ENVIRONMENT_LOOKS 20
#define CR4_PKE BIT(22)

/* The legacy region's first bytes. */
struct legacy {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
};

static uint8_t area[AREA_SIZE] __attribute__((aligned(64)));
static uint8_t filled[AREA_SIZE] __attribute__((aligned(64)));

static uint64_t all_components(void)
{
	struct cpuid_result r = cpuid(0xd, 0);

	return r.eax | (uint64_t)r.edx << 32;
}

static uint64_t xgetbv(void)
{
	uint32_t low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low | (uint64_t)high << 32;
}

static void xsetbv(uint64_t value)
{
	asm volatile("xsetbv" ::"c"(0), "a"((uint32_t)value),
		     "d"((uint32_t)(value >> 32)));
}

static void xsave(uint8_t *to)
{
	asm volatile("xsave64 (%0)" ::"r"(to), "a"(~0u), "d"(~0u) : "memory");
}

static uint64_t wanted_components(void)
{
	return secret_number == 1 ? all_components() : X87_SSE;
}

/* ---- x87 to AVX-512 ------------------------------------------------------ */

/* Where component @i is; false: it is not there or does not fit. */
static bool component_at(uint32_t i, uint32_t *at, uint32_t *size)
{
	struct cpuid_result r = cpuid(0xd, i);

	*at = r.ebx;
	*size = r.eax;
	return xgetbv() >> i & 1 && r.ebx + r.eax <= AREA_SIZE;
}

static bool is_zero(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (area[i])
			return false;
	return true;
}

/* Once only in the program: x87 remembers where its last instruction is. */
static __attribute__((noinline)) void use_x87(void)
{
	static double operand;

	asm volatile("fstl %0" : "=m"(operand));
}

/*
 * By FNSTENV, in 32-bit protected mode's format: it shows the last instruction
 * and operand where XSAVE and XRSTOR leave them alone, as AMD's do without a
 * pending exception.  Others get time to have one.
 */
static void look_at_environment(void)
{
	uint32_t words[7], last = 0;

	for (int i = 0; i < ENVIRONMENT_LOOKS; i++) {
		asm volatile("fnstenv %0" : "=m"(words));
		last |= words[3] | words[4] | words[5] | (uint16_t)words[6];
		sleep_ns(NS_PER_MS);
	}
	report((words[0] & 0xffff) == FCW_RESET && !(words[1] & 0xffff) &&
		       (words[2] & 0xffff) == ALL_EMPTY,
	       "x87 control, status and tags are as at power-on");
	report(!last, "x87 has no instruction and no operand yet (%x)", last);
}

static void look(void)
{
	struct legacy *legacy = (struct legacy *)area;
	bool x87 = true, extended = true;
	uint32_t at, size;

	look_at_environment();
	cr4_write(cr4_read() | CR4_OSXSAVE);
	report(xgetbv() == 1, "XCR0 is as at power-on (%lx)", xgetbv());
	xsetbv(all_components());
	memset(area, 0xa5, sizeof area);
	memset(area + HEADER, 0, 64);
	xsave(area);
	report(legacy->fcw == FCW_RESET && !legacy->fsw && !legacy->ftw &&
		       !legacy->fip && !legacy->fdp,
	       "the x87 environment is as at power-on");
	report(legacy->mxcsr == MXCSR_RESET, "MXCSR is as at power-on (%x)",
	       legacy->mxcsr);
	for (uint32_t i = X87_AT; i < XMM_AT; i += X87_STEP)
		x87 = x87 && is_zero(i, i + X87_USED);
	report(x87, "x87 registers are zero");
	report(is_zero(XMM_AT, XMM_END), "XMM registers are zero");
	for (uint32_t i = FIRST_EXTENDED; i < COMPONENTS; i++)
		if (component_at(i, &at, &size))
			extended = extended && is_zero(at, at + size);
	report(extended, "YMM and ZMM registers are zero (XCR0 %lx)", xgetbv());
}

static void put(uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i += 8) {
		uint64_t value = secret(i);

		memcpy(filled + i, &value, 8);
	}
}

static void fill_legacy(void)
{
	struct legacy *legacy = (struct legacy *)filled;

	put(0, XMM_END);
	*legacy = (struct legacy){
		.fcw = FCW_RESET & ~0x300, /* single precision */
		.fsw = 0x3900,
		.ftw = 0xff,
		.fop = 0x280 + secret_number,
		.fip = secret_address(0),
		.fdp = secret_address(1),
		.mxcsr = MXCSR_RESET | secret_number << 13 | secret_number,
	};
	/* The registers' secrets have an exponent that is a number's. */
	for (uint32_t r = 0; r < 8; r++) {
		filled[X87_AT + X87_STEP * r + 7] |= 0x80;
		memset(filled + X87_AT + X87_STEP * r + X87_USED, 0,
		       X87_STEP - X87_USED);
	}
}

static void fill(void)
{
	uint64_t components = wanted_components();
	uint32_t at, size;

	fill_legacy();
	xsetbv(components);
	for (uint32_t i = FIRST_EXTENDED; i < COMPONENTS; i++)
		if (component_at(i, &at, &size))
			put(at, at + size);
	memcpy(filled + HEADER, &components, sizeof components);
	asm volatile("xrstor64 (%0)" ::"r"(filled), "a"(~0u), "d"(~0u)
		     : "memory");
	if (secret_number == 2)
		use_x87();
	/* What XRSTOR takes of the environment is the processor's affair. */
	memset(area, 0, sizeof area);
	xsave(area);
	memcpy(filled, area, sizeof(struct legacy));
}

static bool same(const char *name, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i += 8) {
		uint64_t value, expected;

		memcpy(&value, area + i, 8);
		memcpy(&expected, filled + i, 8);
		if (!secret_same(name, value, expected))
			return false;
	}
	return true;
}

static bool kept(void)
{
	uint32_t at, size;
	bool all;

	if (secret_number == 2)
		use_x87();
	memset(area, 0, sizeof area);
	xsave(area);
	all = same("the x87 environment and MXCSR", 0, X87_AT) &&
	      same("an x87 register", X87_AT, XMM_AT) &&
	      same("an XMM register", XMM_AT, XMM_END);
	for (uint32_t i = FIRST_EXTENDED; i < COMPONENTS; i++)
		if (component_at(i, &at, &size))
			all = all && same("AVX state", at, at + size);
	return all;
}

const struct secret_class class_fpu = {
	.name = "x87, SSE and AVX", .look = look, .fill = fill, .kept = kept
};

/* ---- XCR0 ---------------------------------------------------------------- */

/* Power-on is seen by class_fpu, which needs it first. */
static void nothing(void)
{
}

static bool xcr0_kept(void)
{
	return secret_same("XCR0", xgetbv(), wanted_components());
}

const struct secret_class class_xcr0 = { .name = "XCR0",
					 .look = nothing,
					 .kept = xcr0_kept };

/* ---- PKRU ---------------------------------------------------------------- */

/* CPUID hides it, but a processor may let it be switched on all the same. */
static bool pkru_there;

static uint32_t rdpkru(void)
{
	uint32_t value;

	asm volatile("rdpkru" : "=a"(value) : "c"(0) : "rdx");
	return value;
}

static void set_pke(void *unused)
{
	(void)unused;
	cr4_write(cr4_read() | CR4_PKE);
}

static void look_at_pkru(void)
{
	pkru_there = guarded_call(set_pke, NULL) < 0 && cr4_read() & CR4_PKE;
	if (pkru_there)
		report(rdpkru() == 0, "PKRU is as at power-on");
	else
		report(true, "CR4.PKE is refused, so there is no PKRU");
}

/* All keys but 0, which the SDK's pages have. */
static uint32_t pkru_secret(void)
{
	return secret_number == 1 ? 0x55555554 : 0xaaaaaaa8;
}

static void fill_pkru(void)
{
	if (pkru_there)
		asm volatile("wrpkru" ::"a"(pkru_secret()), "c"(0), "d"(0));
}

static bool pkru_kept(void)
{
	return !pkru_there || secret_same("PKRU", rdpkru(), pkru_secret());
}

const struct secret_class class_pkru = { .name = "PKRU",
					 .look = look_at_pkru,
					 .fill = fill_pkru,
					 .kept = pkru_kept };
