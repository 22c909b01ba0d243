/* SPDX-License-Identifier: MIT */
/* Instructions that a guest does not have, and odd moments for others. */
#include "hostile.h"

#define CPUID1_ECX_MONITOR BIT(3)
#define RFLAGS_TRAP 0x100

#define INSTRUCTION(name, code) \
	static void name(void *argument) \
	{ \
		(void)argument; \
		asm volatile(code ::: "rax", "rcx", "rdx", "memory", "cc"); \
	}

INSTRUCTION(do_vmxon, "push $0; vmxon (%%rsp); pop %%rax")
INSTRUCTION(do_vmxoff, "vmxoff")
INSTRUCTION(do_vmlaunch, "vmlaunch")
INSTRUCTION(do_vmresume, "vmresume")
INSTRUCTION(do_vmclear, "push $0; vmclear (%%rsp); pop %%rax")
INSTRUCTION(do_vmptrld, "push $0; vmptrld (%%rsp); pop %%rax")
INSTRUCTION(do_vmptrst, "push $0; vmptrst (%%rsp); pop %%rax")
INSTRUCTION(do_vmread, "xor %%eax, %%eax; vmread %%rax, %%rcx")
INSTRUCTION(do_vmwrite, "xor %%eax, %%eax; vmwrite %%rcx, %%rax")
INSTRUCTION(do_invept, "xor %%eax, %%eax; push $0; push $0;"
		       "invept (%%rsp), %%rax; pop %%rax; pop %%rax")
INSTRUCTION(do_vmfunc, "xor %%eax, %%eax; xor %%ecx, %%ecx; vmfunc")
INSTRUCTION(do_getsec, "xor %%eax, %%eax; .byte 0x0f, 0x37")
INSTRUCTION(do_vmrun, "xor %%eax, %%eax; vmrun")
INSTRUCTION(do_vmload, "xor %%eax, %%eax; vmload")
INSTRUCTION(do_vmsave, "xor %%eax, %%eax; vmsave")
INSTRUCTION(do_stgi, "stgi")
INSTRUCTION(do_clgi, "clgi")
INSTRUCTION(do_skinit, "xor %%eax, %%eax; skinit")
INSTRUCTION(do_invlpga, "xor %%eax, %%eax; xor %%ecx, %%ecx; invlpga")
INSTRUCTION(do_rsm, "rsm")
INSTRUCTION(do_rdpmc, "xor %%ecx, %%ecx; rdpmc")
INSTRUCTION(do_wbinvd, "wbinvd")
INSTRUCTION(do_invd, "invd")
INSTRUCTION(do_monitor, "mov %%rsp, %%rax; xor %%ecx, %%ecx;"
			"xor %%edx, %%edx; monitor")
INSTRUCTION(do_mwait, "xor %%eax, %%eax; xor %%ecx, %%ecx; mwait")

static const struct {
	const char *name;
	void (*run)(void *argument);
} privileged[] = {
	{ "vmxon", do_vmxon },	     { "vmxoff", do_vmxoff },
	{ "vmlaunch", do_vmlaunch }, { "vmresume", do_vmresume },
	{ "vmclear", do_vmclear },   { "vmptrld", do_vmptrld },
	{ "vmptrst", do_vmptrst },   { "vmread", do_vmread },
	{ "vmwrite", do_vmwrite },   { "invept", do_invept },
	{ "vmfunc", do_vmfunc },     { "getsec", do_getsec },
	{ "vmrun", do_vmrun },	     { "vmload", do_vmload },
	{ "vmsave", do_vmsave },     { "stgi", do_stgi },
	{ "clgi", do_clgi },	     { "skinit", do_skinit },
	{ "invlpga", do_invlpga },   { "rsm", do_rsm },
};

void privileged_instructions(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(privileged); i++) {
		int vector = guarded_call(privileged[i].run, NULL);

		report(vector == VECTOR_UNDEFINED ||
			       vector == VECTOR_PROTECTION,
		       "%s is refused (%d)", privileged[i].name, vector);
	}
	if (!(cpuid(1, 0).ecx & CPUID1_ECX_MONITOR)) {
		report(guarded_call(do_monitor, NULL) == VECTOR_UNDEFINED,
		       "monitor is refused");
		report(guarded_call(do_mwait, NULL) == VECTOR_UNDEFINED,
		       "mwait is refused");
	}
	report(guarded_call(do_rdpmc, NULL) == VECTOR_PROTECTION,
	       "rdpmc is refused");
}

void cache_instructions(void)
{
	static volatile uint64_t kept;

	kept = 0x1122334455667788;
	report(guarded_call(do_wbinvd, NULL) < 0, "wbinvd is done");
	report(guarded_call(do_invd, NULL) < 0, "invd is done");
	report(kept == 0x1122334455667788, "no memory is lost by it");
}

static volatile unsigned int steps;

static void on_step(struct interrupt_frame *frame)
{
	(void)frame;
	steps++;
}

static void walk_with_trap_flag(void *argument)
{
	(void)argument;
	asm volatile("pushfq; orl %0, (%%rsp); popfq\n\t"
		     "xor %%eax, %%eax; cpuid\n\t"
		     "mov %%ss, %%eax; mov %%eax, %%ss; cpuid\n\t"
		     "mov $0x80, %%edx; in %%dx, %%al; out %%al, %%dx\n\t"
		     "mov $0xc0000100, %%ecx; rdmsr; wrmsr\n\t"
		     "mov $0xd0000000, %%eax; mov (%%rax), %%ecx\n\t"
		     "sti; cpuid; cli\n\t"
		     "pushfq; andl %1, (%%rsp); popfq" ::"i"(RFLAGS_TRAP),
		     "i"(~RFLAGS_TRAP)
		     : "rax", "rbx", "rcx", "rdx", "cc", "memory");
}

/* A trap after each instruction, also those that exit. */
void single_step(void)
{
	int vector;

	steps = 0;
	interrupt_handle(VECTOR_DEBUG, on_step);
	vector = guarded_call(walk_with_trap_flag, NULL);
	interrupt_handle(VECTOR_DEBUG, NULL);
	report(vector < 0 && steps > 10, "single steps over exits (%d, %u)",
	       vector, steps);
}

#define PAGE_TABLE 7 /* present, writable, user */
#define PAGE_LARGE 0x80
#define LAST_LOW 0x00007fffffffffff
#define CODE_FRAME MIB(2) /* whose end the image does not reach */

static void jump(void *to)
{
	asm volatile("xor %%eax, %%eax; xor %%ecx, %%ecx; mov $0x80, %%edx;"
		     "jmp *%0" ::"r"(to)
		     : "rax", "rcx", "rdx");
}

/*
 * Instructions that exit, as the last bytes below the hole of addresses that
 * are not canonical: behind them there is no place to go on.
 */
void last_canonical(void)
{
	static uint64_t pointers[512] __attribute__((aligned(4096)));
	static uint64_t directory[512] __attribute__((aligned(4096)));
	static const struct {
		const char *name;
		uint8_t size, bytes[3];
	} codes[] = {
		{ "cpuid", 2, { 0x0f, 0xa2 } },	 { "in", 1, { 0xec } },
		{ "out", 1, { 0xee } },		 { "rdmsr", 2, { 0x0f, 0x32 } },
		{ "wbinvd", 2, { 0x0f, 0x09 } },
	};
	uint64_t *root = (uint64_t *)paging_root();

	root[255] = (uintptr_t)pointers | PAGE_TABLE;
	pointers[511] = (uintptr_t)directory | PAGE_TABLE;
	directory[511] = CODE_FRAME | PAGE_TABLE | PAGE_LARGE;
	for (size_t i = 0; i < ARRAY_COUNT(codes); i++) {
		uint64_t at = LAST_LOW + 1 - codes[i].size;
		int vector;

		memcpy((void *)at, codes[i].bytes, codes[i].size);
		vector = guarded_call(jump, (void *)at);
		report(vector == VECTOR_PROTECTION,
		       "%s before the hole of addresses (%d)", codes[i].name,
		       vector);
	}
	root[255] = 0;
	cr3_write(paging_root());
}
