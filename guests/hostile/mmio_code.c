/* SPDX-License-Identifier: MIT */
/* Instructions on device memory that an emulator may not expect. */
#include "hostile.h"

#define CHANGES 20000
#define OPCODE_LOAD 0x8b  /* mov (%rdi), %eax */
#define OPCODE_STORE 0x89 /* mov %eax, (%rdi) */

/* Each takes the address in RDI; a name for the report. */
#define OPERATION(name, code) \
	static void name(void *at) \
	{ \
		asm volatile(code ::"D"(at) \
			     : "rax", "rcx", "rdx", "rbx", "cc", "memory"); \
	}

OPERATION(do_xchg, "mov $1, %%eax; xchg %%eax, (%%rdi)")
OPERATION(do_add, "addl $1, (%%rdi)")
OPERATION(do_or, "lock orl $1, (%%rdi)")
OPERATION(do_not, "notl (%%rdi)")
OPERATION(do_test, "testl $1, (%%rdi)")
OPERATION(do_compare, "cmpl %%eax, (%%rdi)")
OPERATION(do_xadd, "mov $1, %%eax; lock xadd %%eax, (%%rdi)")
OPERATION(do_cmpxchg, "mov $1, %%ecx; lock cmpxchg %%ecx, (%%rdi)")
OPERATION(do_bit, "btsl $3, (%%rdi)")
OPERATION(do_zero_extend, "movzbl (%%rdi), %%eax")
OPERATION(do_sign_extend, "movswq (%%rdi), %%rax")
OPERATION(do_high_byte, "mov %%ah, (%%rdi)")
OPERATION(do_prefixed, ".byte 0x2e, 0x36, 0x3e; movl %%eax, (%%rdi)")
OPERATION(do_short_address, "movl %%eax, (%%edi)")

static const struct operation {
	const char *name;
	void (*run)(void *at);
} operations[] = {
	{ "xchg", do_xchg },	     { "add", do_add },
	{ "lock or", do_or },	     { "not", do_not },
	{ "test", do_test },	     { "cmp", do_compare },
	{ "lock xadd", do_xadd },    { "lock cmpxchg", do_cmpxchg },
	{ "bts", do_bit },	     { "movzx", do_zero_extend },
	{ "movsx", do_sign_extend }, { "high byte", do_high_byte },
	{ "prefixes", do_prefixed }, { "32-bit address", do_short_address },
};

void mmio_operations(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(operations); i++) {
		int vector = guarded_call(operations[i].run, (void *)NOWHERE);

		report(vector < 0, "%s on nothing is done (%d)",
		       operations[i].name, vector);
	}
}

/* What no driver does to a device; the guest may be ended for it. */
OPERATION(do_push, "pushq (%%rdi); pop %%rax")
OPERATION(do_pop, "pushq $0; popq (%%rdi)")
OPERATION(do_fbld, "fninit; fbld (%%rdi)")
OPERATION(do_fxsave, "fxsave (%%rdi)")
OPERATION(do_sse, "movdqu %%xmm0, (%%rdi)")
OPERATION(do_wide, "lock cmpxchg16b (%%rdi)")
OPERATION(do_lgdt, "sgdt (%%rdi)")
OPERATION(do_far_call, "lcall *(%%rdi)")
OPERATION(do_call, "call *(%%rdi)")
OPERATION(do_bit_far, "mov $0x7fffffff, %%eax; bts %%eax, (%%rdi)")

void mmio_odd(void)
{
	static void (*const odd[])(void *) = { do_push, do_pop,	   do_bit_far,
					       do_fbld, do_fxsave, do_sse,
					       do_wide, do_lgdt,   do_far_call,
					       do_call };
	uint64_t only = option_number("operation", ARRAY_COUNT(odd));

	cr0_write(cr0_read() & ~(CR0_EM | CR0_TS));
	cr4_write(cr4_read() | CR4_OSFXSR);
	for (size_t i = 0; i < ARRAY_COUNT(odd); i++) {
		if (only < ARRAY_COUNT(odd) && only != i)
			continue;
		print("odd operation %lu: %d\n", (unsigned long)i,
		      guarded_call(odd[i], (void *)NOWHERE));
	}
}

static volatile uint8_t changing_code[] = { OPCODE_LOAD, 0x07, 0xc3 };
static volatile bool changing;

static void change_code(void *argument)
{
	(void)argument;
	while (changing)
		changing_code[0] ^= OPCODE_LOAD ^ OPCODE_STORE;
}

static void run_changing_code(void *at)
{
	void (*code)(void *) = (void (*)(void *))(uintptr_t)changing_code;

	code(at);
}

/* The code is another when the hypervisor reads it than when it exited. */
void mmio_changing_code(void)
{
	int worst = -1;

	smp_start();
	changing = true;
	if (!smp_run(1, change_code, NULL)) {
		report(true, "changing code needs a second vCPU");
		return;
	}
	for (int i = 0; i < CHANGES; i++) {
		int vector = guarded_call(run_changing_code, (void *)NOWHERE);

		if (vector > worst)
			worst = vector;
	}
	changing = false;
	smp_wait(1, NS_PER_SECOND);
	report(worst < 0, "code that changes under the access (%d)", worst);
}
