/* SPDX-License-Identifier: MIT */
/*
 * MSRs that the guest has, by passing or by emulation, and those that would
 * tell of others.  The first ten are all that the MSR bitmap of either vendor
 * lets pass without an exit, but for those of an x2APIC (apic.c).
 */
#include "secret.h"

#define KVM_WALL_CLOCK 0x4b564d00
#define KVM_SYSTEM_TIME 0x4b564d01

/* What a secret must look like there. */
enum form { ANY, LOW_HALF, SELECTOR, ADDRESS, GIVEN };

static const struct own_msr {
	uint32_t number;
	const char *name;
	uint64_t reset;
	enum form form;
	uint64_t given[2]; /* of guest 1 and of guest 2 */
} own[] = {
	{ 0xc0000081, "STAR", 0, ANY, {} },
	{ 0xc0000082, "LSTAR", 0, ADDRESS, {} },
	{ 0xc0000083, "CSTAR", 0, ADDRESS, {} },
	{ 0xc0000084, "SFMASK", 0, LOW_HALF, {} },
	{ MSR_FS_BASE, "FS_BASE", 0, ADDRESS, {} },
	{ MSR_GS_BASE, "GS_BASE", 0, ADDRESS, {} },
	{ MSR_KERNEL_GS_BASE, "KERNEL_GS_BASE", 0, ADDRESS, {} },
	{ 0x174, "SYSENTER_CS", 0, SELECTOR, {} },
	{ 0x175, "SYSENTER_ESP", 0, ADDRESS, {} },
	{ 0x176, "SYSENTER_EIP", 0, ADDRESS, {} },
	{ MSR_EFER, "EFER", 0x500, GIVEN, { 0xd01, 0x501 } },
	{ 0x277,
	  "PAT",
	  0x0007040600070406,
	  GIVEN,
	  { 0x0605040100070606, 0x0405060107000506 } },
	/* FAST_STRINGS, XD_DISABLE; BTS and PEBS are not there. */
	{ 0x1a0, "MISC_ENABLE", 0x1801, GIVEN, { 0x400001801, 0x1800 } },
	/* Bit 0 is off: nothing is written there. */
	{ KVM_SYSTEM_TIME, "the KVM clock", 0, GIVEN, { 0x100000, 0x200000 } },
};

static uint64_t expected(const struct own_msr *msr)
{
	uint32_t i = 30 + (uint32_t)(msr - own);

	switch (msr->form) {
	case ANY:
		return secret(i);
	case LOW_HALF:
		return (uint32_t)secret(i) ^ secret_number;
	case SELECTOR: /* QEMU keeps no more of it */
		return (uint16_t)secret(i) ^ secret_number;
	case ADDRESS:
		return secret_address(i);
	case GIVEN:
		break;
	}
	return msr->given[secret_number - 1];
}

/* The SDK's selectors have changed FS and GS since the entry. */
static uint64_t at_start(const struct own_msr *msr)
{
	if (msr->number == MSR_FS_BASE)
		return entered.fs_base;
	if (msr->number == MSR_GS_BASE)
		return entered.gs_base;
	return msr_read(msr->number);
}

static void look(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
		uint64_t value = at_start(&own[i]);

		report(value == own[i].reset, "%s is as at power-on (%lx)",
		       own[i].name, value);
	}
}

static void fill(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(own); i++)
		if (!msr_try_write(own[i].number, expected(&own[i])))
			report(false, "%s takes %lx", own[i].name,
			       expected(&own[i]));
}

static bool kept(void)
{
	bool all = true;

	for (size_t i = 0; i < ARRAY_COUNT(own); i++)
		all &= secret_same(own[i].name, msr_read(own[i].number),
				   expected(&own[i]));
	return all;
}

const struct secret_class class_msrs = {
	.name = "MSRs", .look = look, .fill = fill, .kept = kept
};

/* ---- what tells of others ------------------------------------------------ */

/* SDM 335592, "IA-32 Architectural MSRs"; AMD 24593, "MSR Cross-Reference". */
static const struct hidden_msrs {
	uint32_t first, last;
	const char *name;
} hidden[] = {
	{ 0x34, 0x34, "SMI_COUNT" },
	{ 0x3b, 0x3b, "TSC_ADJUST" },
	{ 0x48, 0x49, "SPEC_CTRL, PRED_CMD" },
	{ 0xc1, 0xc8, "PMC0 to PMC7" },
	{ 0xe1, 0xe1, "UMWAIT_CONTROL" },
	{ 0xe7, 0xe8, "MPERF, APERF" },
	{ 0x10a, 0x10b, "ARCH_CAPABILITIES, FLUSH_CMD" },
	{ 0x122, 0x122, "TSX_CTRL" },
	{ 0x186, 0x18d, "PERFEVTSEL0 to PERFEVTSEL7" },
	{ 0x198, 0x19c, "PERF_STATUS to THERM_STATUS" },
	{ 0x1c8, 0x1c9, "LBR_SELECT, LASTBRANCH_TOS" },
	{ 0x1dd, 0x1de, "LER_FROM, LER_TO" },
	{ 0x309, 0x30c, "FIXED_CTR0 to FIXED_CTR3" },
	{ 0x345, 0x345, "PERF_CAPABILITIES" },
	{ 0x38d, 0x391, "FIXED_CTR_CTRL, PERF_GLOBAL" },
	{ 0x3f1, 0x3f6, "PEBS_ENABLE, PEBS_LD_LAT" },
	{ 0x3f8, 0x3ff, "residencies" },
	{ 0x400, 0x47f, "banks of machine checks" },
	{ 0x480, 0x491, "VMX capabilities" },
	{ 0x4c1, 0x4c8, "A_PMC0 to A_PMC7" },
	{ 0x560, 0x587, "processor trace" },
	{ 0x600, 0x600, "DS_AREA" },
	{ 0x601, 0x64f, "energy counters" },
	{ 0x680, 0x69f, "LASTBRANCH_FROM" },
	{ 0x6a0, 0x6a8, "CET" },
	{ 0x6c0, 0x6df, "LASTBRANCH_TO" },
	{ 0x6e1, 0x6e1, "PKRS" },
	{ 0xc8d, 0xc90, "cache monitoring" },
	{ 0xd90, 0xd90, "BNDCFGS" },
	{ 0xda0, 0xda0, "XSS" },
	{ 0xdc0, 0xddf, "LBR_INFO" },
	{ 0x1200, 0x121f, "LBR_INFO" },
	{ 0x14ce, 0x14cf, "LBR_CTL, LBR_DEPTH" },
	{ 0xc00000e7, 0xc00000e9, "MPERF, APERF, IRPERF" },
	{ 0xc0000103, 0xc0000106, "TSC_AUX, TSC_RATIO, LWP" },
	{ 0xc0010000, 0xc0010003, "PERF_CTL" },
	{ 0xc0010117, 0xc0010117, "VM_HSAVE_PA" },
	{ 0xc001011f, 0xc001011f, "VIRT_SPEC_CTRL" },
	{ 0xc0010200, 0xc001020b, "PERF_CTL, PERF_CTR" },
	{ 0xc0010230, 0xc001023b, "L3 counters" },
	{ 0xc0010290, 0xc001029b, "energy counters" },
	{ 0xc0010300, 0xc001031f, "last branches" },
	{ 0xc0011019, 0xc001101b, "DR1 to DR3 masks" },
	{ 0xc0011027, 0xc0011027, "DR0 mask" },
	{ 0xc0011030, 0xc001103d, "IBS" },
};

#define MSR_DEBUGCTL 0x1d9
#define MSR_PERF_CTR 0xc0010004
#define RDTSCP_UNKNOWN 0xffffffff

static void look_at_hidden_msrs(void)
{
	unsigned int there = 0;

	for (size_t i = 0; i < ARRAY_COUNT(hidden); i++)
		for (uint32_t msr = hidden[i].first; msr <= hidden[i].last;
		     msr++) {
			uint64_t value;

			if (!msr_try_read(msr, &value) &&
			    !msr_try_write(msr, 1))
				continue;
			print("MSR %x is there: %s\n", msr, hidden[i].name);
			there++;
		}
	report(there == 0, "counters, traces and other processors' MSRs raise "
			   "#GP");
	msr_write(MSR_DEBUGCTL, 1);
	report(msr_read(MSR_DEBUGCTL) == 0, "last branches stay off");
	msr_write(MSR_PERF_CTR, 1);
	report(msr_read(MSR_PERF_CTR) == 0, "PERF_CTR0 is always 0");
}

static void read_counter(void *number)
{
	uint32_t low, high;

	asm volatile("rdpmc"
		     : "=a"(low), "=d"(high)
		     : "c"((uint32_t)(uintptr_t)number));
}

static void look_at_counters(void)
{
	static const uint32_t counters[] = {
		0, 1, 2, 3, 0x40000000, 0x40000001
	};
	struct cpuid_result monitoring = cpuid(0xa, 0), trace = cpuid(0x14, 0);
	bool refused = true;

	cr4_write(cr4_read() | BIT(8)); /* PCE */
	for (size_t i = 0; i < ARRAY_COUNT(counters); i++)
		refused &= guarded_call(read_counter,
					(void *)(uintptr_t)counters[i]) ==
			   VECTOR_PROTECTION;
	cr4_write(cr4_read() & ~BIT(8));
	report(refused, "RDPMC raises #GP");
	report(!(monitoring.eax | monitoring.ebx | monitoring.ecx |
		 monitoring.edx),
	       "CPUID shows no counters");
	report(!(trace.eax | trace.ebx | trace.ecx | trace.edx),
	       "CPUID shows no processor trace");
}

static uint32_t tsc_aux;

static void read_tsc_aux(void *unused)
{
	uint32_t low, high;

	(void)unused;
	asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(tsc_aux));
}

static void read_processor(void *unused)
{
	uint64_t value;

	(void)unused;
	asm volatile("rdpid %0" : "=r"(value));
	tsc_aux = (uint32_t)value;
}

/* CPUID hides RDTSCP, RDPID and RDPRU: no such instruction, or nothing in
 * it. */
static void look_at_instructions(void)
{
	void (*const readers[])(void *) = { read_tsc_aux, read_processor };

	for (size_t i = 0; i < ARRAY_COUNT(readers); i++) {
		int vector;

		tsc_aux = 0;
		vector = guarded_call(readers[i], NULL);
		report(vector == VECTOR_UNDEFINED ||
			       (vector < 0 && tsc_aux == 0),
		       "TSC_AUX is not shown by %s (%x)",
		       i ? "RDPID" : "RDTSCP", tsc_aux);
	}
}

static void look_at_hidden(void)
{
	look_at_hidden_msrs();
	look_at_counters();
	look_at_instructions();
}

const struct secret_class class_hidden = { .name = "what is hidden",
					   .look = look_at_hidden };
