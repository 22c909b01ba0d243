/* SPDX-License-Identifier: MIT */
/*
 * What CPUID offers can be used: each class that needs a bit of CR4, of XCR0
 * or an MSR, or the hypervisor's consent, is used once.  What is not offered
 * is not there, where the processor lets that be decided.
 */
#include "selftest.h"

#define CR4_UMIP BIT(11)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_NXE BIT(11)
#define PAGE_USER BIT(2)
#define PAGE_LARGE BIT(7)
#define PAGE_NX BIT(63)
#define ALIAS (512 * GIB(1)) /* of the first 4 GiB, by the root's entry 1 */
#define XCR0_X87_SSE_AVX 7
#define XCR0_AVX512 0xe7
#define VENDOR_AMD 0x68747541 /* "Auth" */

enum { EAX, EBX, ECX, EDX };

static uint8_t area[4096] __attribute__((aligned(64)));
static volatile uint64_t word = 0x1234567890;

static void fs_and_gs(void *unused)
{
	uint64_t back;

	(void)unused;
	cr4_write(cr4_read() | CR4_FSGSBASE);
	asm volatile("wrfsbase %1; rdfsbase %0" : "=r"(back) : "r"(0x5000ul));
	report(back == 0x5000 && msr_read(MSR_FS_BASE) == 0x5000,
	       "FS's base is what an instruction wrote");
	msr_write(MSR_FS_BASE, 0);
}

static void pcid(void *unused)
{
	uint64_t root = cr3_read();

	(void)unused;
	cr4_write(cr4_read() | CR4_PCIDE);
	cr3_write(root | 1);
	report(cr3_read() == (root | 1) && word == 0x1234567890,
	       "CR3 has a process-context identifier");
	cr3_write(root);
}

static void invpcid(void *unused)
{
	static const uint64_t all[2];

	(void)unused;
	asm volatile("invpcid %0, %1" ::"m"(all), "r"(2ul) : "memory");
}

static void read_alias(void *unused)
{
	(void)unused;
	(void)*(volatile uint64_t *)(ALIAS + (uintptr_t)&word);
}

static void read_alias_allowed(void *unused)
{
	asm volatile("stac" ::: "memory");
	read_alias(unused);
	asm volatile("clac" ::: "memory");
}

static void nothing(void *unused)
{
	(void)unused;
}

static void call_alias(void *unused)
{
	((void (*)(void *))(ALIAS + (uintptr_t)nothing))(unused);
}

/* @flags: of the alias; the rest is the supervisor's alone. */
static uint64_t *make_alias(uint64_t flags)
{
	uint64_t *root = (uint64_t *)paging_root();

	root[1] = root[0] | flags;
	root[0] &= ~PAGE_USER;
	cr3_write((uintptr_t)root);
	return root;
}

static void end_alias(uint64_t *root)
{
	root[0] |= PAGE_USER;
	root[1] = 0;
	cr3_write((uintptr_t)root);
}

static void test_smap(bool offered)
{
	uint64_t *root;

	if (!offered)
		return;
	root = make_alias(0);
	cr4_write(cr4_read() | CR4_SMAP);
	report(guarded_call(read_alias, NULL) == VECTOR_PAGE_FAULT,
	       "SMAP keeps the kernel off user memory");
	report(guarded_call(read_alias_allowed, NULL) < 0, "but for STAC");
	cr4_write(cr4_read() & ~CR4_SMAP);
	end_alias(root);
}

static void test_smep(bool offered)
{
	uint64_t *root;

	if (!offered)
		return;
	root = make_alias(0);
	report(guarded_call(call_alias, NULL) < 0, "user code can be called");
	cr4_write(cr4_read() | CR4_SMEP);
	report(guarded_call(call_alias, NULL) == VECTOR_PAGE_FAULT,
	       "SMEP keeps the kernel off user code");
	cr4_write(cr4_read() & ~CR4_SMEP);
	end_alias(root);
}

static void test_nx(bool offered)
{
	uint64_t *root;

	if (!offered)
		return;
	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NXE);
	root = make_alias(PAGE_NX);
	report(guarded_call(read_alias, NULL) < 0 &&
		       guarded_call(call_alias, NULL) == VECTOR_PAGE_FAULT,
	       "what is marked NX is read, but not executed");
	end_alias(root);
	msr_write(MSR_EFER, msr_read(MSR_EFER) & ~EFER_NXE);
}

static void huge_page(void *unused)
{
	uint64_t *root = (uint64_t *)paging_root();
	uint64_t *pointers = (uint64_t *)(root[0] & ~BITS(11, 0));
	uint64_t at = 100;

	(void)unused;
	pointers[at] = PAGE_LARGE | (pointers[0] & BITS(11, 0));
	report(*(volatile uint64_t *)(GIB(at) + (uintptr_t)&word) == word,
	       "a page of 1 GiB shows memory");
	pointers[at] = 0;
	cr3_write((uintptr_t)root);
}

static void store_gdt_in_ring3(void)
{
	uint8_t table[10];

	asm volatile("sgdt %0" : "=m"(table));
	BREAKPOINT();
}

static void test_umip(bool offered)
{
	if (!offered)
		return;
	cr4_write(cr4_read() | CR4_UMIP);
	report(guarded_call_ring3(store_gdt_in_ring3) == VECTOR_PROTECTION,
	       "UMIP hides the tables from ring 3");
	cr4_write(cr4_read() & ~CR4_UMIP);
}

/* ---- by XCR0 -------------------------------------------------------------- */

static void use_xcr0(uint64_t value)
{
	cr4_write(cr4_read() | CR4_OSXSAVE);
	asm volatile("xsetbv" ::"c"(0), "a"((uint32_t)value), "d"(0));
}

static void avx(void *unused)
{
	(void)unused;
	use_xcr0(XCR0_X87_SSE_AVX);
	asm volatile("vpcmpeqb %ymm1, %ymm1, %ymm1; vzeroupper");
}

static void avx2(void *unused)
{
	(void)unused;
	use_xcr0(XCR0_X87_SSE_AVX);
	asm volatile("vpaddd %ymm1, %ymm1, %ymm1; vzeroupper");
}

static void avx512(void *unused)
{
	(void)unused;
	use_xcr0(XCR0_AVX512);
	asm volatile("vpxord %zmm17, %zmm17, %zmm17; kxnorw %k1, %k1, %k1");
}

static void xsaveopt(void *unused)
{
	(void)unused;
	use_xcr0(XCR0_X87_SSE_AVX);
	asm volatile("xsaveopt64 %0" : "=m"(area) : "a"(~0u), "d"(~0u));
}

static void xsavec(void *unused)
{
	(void)unused;
	use_xcr0(XCR0_X87_SSE_AVX);
	asm volatile("xsavec64 %0" : "=m"(area) : "a"(~0u), "d"(~0u));
}

static void xsaves(void *unused)
{
	(void)unused;
	use_xcr0(XCR0_X87_SSE_AVX);
	asm volatile("xsaves64 %0" : "=m"(area) : "a"(~0u), "d"(~0u));
}

static void xgetbv_1(void *unused)
{
	(void)unused;
	use_xcr0(XCR0_X87_SSE_AVX);
	asm volatile("xgetbv" ::"c"(1) : "eax", "edx");
}

/* ---- by nothing but CPUID ------------------------------------------------- */

#define INSTRUCTION(name, ...) \
	static void name(void *unused) \
	{ \
		(void)unused; \
		asm volatile(__VA_ARGS__); \
	}
INSTRUCTION(rdrand, "rdrand %%rax" ::: "rax", "cc")
INSTRUCTION(rdseed, "rdseed %%rax" ::: "rax", "cc")
INSTRUCTION(rdtscp, "rdtscp" ::: "rax", "rcx", "rdx")
INSTRUCTION(rdpid, "rdpid %%rax" ::: "rax")
INSTRUCTION(popcnt, "popcnt %%rax, %%rax" ::: "rax", "cc")
INSTRUCTION(movbe, "movbe %0, %%rax" ::"m"(word) : "rax")
INSTRUCTION(andn, "andn %%rax, %%rax, %%rax" ::: "rax", "cc")
INSTRUCTION(pdep, "pdep %%rax, %%rax, %%rax" ::: "rax")
INSTRUCTION(adcx, "adcx %%rax, %%rax" ::: "rax", "cc")
INSTRUCTION(lzcnt, "lzcnt %%rax, %%rax" ::: "rax", "cc")
INSTRUCTION(clflushopt, "clflushopt %0" : "+m"(area[0]))
INSTRUCTION(clwb, "clwb %0" : "+m"(area[0]))
INSTRUCTION(prefetchw, "prefetchw %0" ::"m"(area[0]))
INSTRUCTION(cx16, "cmpxchg16b %0"
	    : "+m"(area)::"rax", "rbx", "rcx", "rdx", "cc")
INSTRUCTION(aes, "aesenc %xmm1, %xmm1")
INSTRUCTION(pclmul, "pclmulqdq $0, %xmm1, %xmm1")
INSTRUCTION(sha, "sha1nexte %xmm1, %xmm1")
INSTRUCTION(sse42, "crc32q %%rax, %%rax" ::: "rax")
INSTRUCTION(monitor, "monitor" ::"a"(area), "c"(0), "d"(0))
INSTRUCTION(rdpmc, "rdpmc" ::"c"(0) : "rax", "rdx")

static const struct feature {
	uint32_t leaf, subleaf;
	uint8_t number, bit;
	bool must_fault; /* where it is not offered */
	const char *name;
	void (*use)(void *);
} features[] = {
	{ 7, 0, EBX, 0, true, "FSGSBASE", fs_and_gs },
	{ 1, 0, ECX, 17, false, "PCID", pcid },
	{ 7, 0, EBX, 10, true, "INVPCID", invpcid },
	{ 0x80000001, 0, EDX, 26, false, "1 GiB pages", huge_page },
	{ 1, 0, ECX, 28, true, "AVX", avx },
	{ 7, 0, EBX, 5, false, "AVX2", avx2 },
	{ 7, 0, EBX, 16, true, "AVX-512", avx512 },
	{ 0xd, 1, EAX, 0, false, "XSAVEOPT", xsaveopt },
	{ 0xd, 1, EAX, 1, false, "XSAVEC", xsavec },
	{ 0xd, 1, EAX, 2, false, "XGETBV(1)", xgetbv_1 },
	{ 1, 0, ECX, 30, false, "RDRAND", rdrand },
	{ 7, 0, EBX, 18, false, "RDSEED", rdseed },
	{ 0x80000001, 0, EDX, 27, false, "RDTSCP", rdtscp },
	{ 7, 0, ECX, 22, false, "RDPID", rdpid },
	{ 1, 0, ECX, 23, false, "POPCNT", popcnt },
	{ 1, 0, ECX, 22, false, "MOVBE", movbe },
	{ 7, 0, EBX, 3, false, "BMI1", andn },
	{ 7, 0, EBX, 8, false, "BMI2", pdep },
	{ 7, 0, EBX, 19, false, "ADX", adcx },
	{ 0x80000001, 0, ECX, 5, false, "LZCNT", lzcnt },
	{ 7, 0, EBX, 23, false, "CLFLUSHOPT", clflushopt },
	{ 7, 0, EBX, 24, false, "CLWB", clwb },
	{ 0x80000001, 0, ECX, 8, false, "PREFETCHW", prefetchw },
	{ 1, 0, ECX, 13, false, "CMPXCHG16B", cx16 },
	{ 1, 0, ECX, 25, false, "AES", aes },
	{ 1, 0, ECX, 1, false, "PCLMULQDQ", pclmul },
	{ 7, 0, EBX, 29, false, "SHA", sha },
	{ 1, 0, ECX, 20, false, "SSE4.2", sse42 },
	{ 1, 0, ECX, 3, true, "MONITOR", monitor },
};

static bool offers(uint32_t leaf, uint32_t subleaf, uint32_t number,
		   uint32_t bit)
{
	struct cpuid_result r = cpuid(leaf, subleaf);
	uint32_t registers[] = { r.eax, r.ebx, r.ecx, r.edx };
	uint32_t highest = cpuid(leaf & 0x80000000, 0).eax;

	return leaf <= highest && registers[number] & BIT(bit);
}

static void test_one(const struct feature *feature)
{
	uint64_t cr4 = cr4_read();
	bool offered = offers(feature->leaf, feature->subleaf, feature->number,
			      feature->bit);
	int vector = -1;

	if (offered || feature->must_fault)
		vector = guarded_call(feature->use, NULL);
	cr4_write(cr4);
	if (offered)
		report(vector < 0, "%s is offered and works (%d)",
		       feature->name, vector);
	else if (feature->must_fault)
		report(vector == VECTOR_UNDEFINED ||
			       vector == VECTOR_PROTECTION,
		       "%s is not offered and not there (%d)", feature->name,
		       vector);
}

/*
 * SVM cannot intercept it; so there IA32_XSS must be 0.  XCOMP_BV, in the second
 * word of the header, has XCR0 | IA32_XSS and bit 63.
 */
static void test_xsaves(void)
{
	const uint64_t *compacted = (const uint64_t *)&area[512 + 8];
	uint64_t cr4 = cr4_read();
	int vector = guarded_call(xsaves, NULL);

	cr4_write(cr4);
	report(!offers(0xd, 1, EAX, 3) &&
		       (vector == VECTOR_UNDEFINED ||
			(vector < 0 && cpuid(0, 0).ebx == VENDOR_AMD &&
			 !(*compacted & ~(BIT(63) | XCR0_X87_SSE_AVX)))),
	       "XSAVES is not offered, and not there or of no use (%d)",
	       vector);
}

void test_features(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(features); i++)
		test_one(&features[i]);
	test_xsaves();
	test_smap(offers(7, 0, EBX, 20));
	test_smep(offers(7, 0, EBX, 7));
	test_nx(offers(0x80000001, 0, EDX, 20));
	test_umip(offers(7, 0, ECX, 2));
	report(guarded_call(rdpmc, NULL) == VECTOR_PROTECTION &&
		       !(cpuid(0xa, 0).eax & 0xff),
	       "there are no performance counters");
	report(cpuid(6, 0).eax == BIT(2), "the timer never stops (ARAT)");
}
