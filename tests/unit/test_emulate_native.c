/* SPDX-License-Identifier: MIT */
/*
 * The processor that runs the tests is the reference: random instructions run
 * natively and emulated, from the same registers and memory, and must leave
 * the same registers, flags and memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/guest_ram.h"
#include <cpuid.h>
#include <mullion/bits.h>
#include <mullion/emulate.h>
#include <sys/mman.h>

#define BUFFER 0x10000000ull /* the same address natively and emulated */
#define BUFFER_SIZE 0x4000ull
#define MIDDLE (BUFFER + BUFFER_SIZE / 2)
#define ROUNDS 200000

#define FLAG_AF BIT(4)
#define FLAG_DF BIT(10)
#define STATUS_FLAGS 0x8d5ull
#define FLAGS_COMPARED (STATUS_FLAGS | FLAG_DF)

/* ---- native ------------------------------------------------------------- */

uint64_t native_gpr[GPR_COUNT], native_flags, native_host_stack;
void *native_target;
void native_enter(void);
extern const char native_leave[];

__asm__(".text\n"
	".globl native_enter, native_leave\n"
	"native_enter:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n"
	"	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rsp, native_host_stack(%rip)\n"
	"	pushq native_flags(%rip)\n"
	"	popfq\n"
	"	mov native_gpr(%rip), %rax\n"
	"	mov native_gpr+8(%rip), %rcx\n"
	"	mov native_gpr+16(%rip), %rdx\n"
	"	mov native_gpr+24(%rip), %rbx\n"
	"	mov native_gpr+32(%rip), %rsp\n"
	"	mov native_gpr+40(%rip), %rbp\n"
	"	mov native_gpr+48(%rip), %rsi\n"
	"	mov native_gpr+56(%rip), %rdi\n"
	"	mov native_gpr+64(%rip), %r8\n"
	"	mov native_gpr+72(%rip), %r9\n"
	"	mov native_gpr+80(%rip), %r10\n"
	"	mov native_gpr+88(%rip), %r11\n"
	"	mov native_gpr+96(%rip), %r12\n"
	"	mov native_gpr+104(%rip), %r13\n"
	"	mov native_gpr+112(%rip), %r14\n"
	"	mov native_gpr+120(%rip), %r15\n"
	"	jmp *native_target(%rip)\n"
	"native_leave:\n"
	"	mov %rax, native_gpr(%rip)\n"
	"	mov %rcx, native_gpr+8(%rip)\n"
	"	mov %rdx, native_gpr+16(%rip)\n"
	"	mov %rbx, native_gpr+24(%rip)\n"
	"	mov %rsp, native_gpr+32(%rip)\n"
	"	mov %rbp, native_gpr+40(%rip)\n"
	"	mov %rsi, native_gpr+48(%rip)\n"
	"	mov %rdi, native_gpr+56(%rip)\n"
	"	mov %r8, native_gpr+64(%rip)\n"
	"	mov %r9, native_gpr+72(%rip)\n"
	"	mov %r10, native_gpr+80(%rip)\n"
	"	mov %r11, native_gpr+88(%rip)\n"
	"	mov %r12, native_gpr+96(%rip)\n"
	"	mov %r13, native_gpr+104(%rip)\n"
	"	mov %r14, native_gpr+112(%rip)\n"
	"	mov %r15, native_gpr+120(%rip)\n"
	"	mov native_host_stack(%rip), %rsp\n"
	"	pushfq\n"
	"	popq native_flags(%rip)\n"
	"	cld\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n"
	"	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n");

static uint8_t *code, *buffer;

/* The instruction, and a jump through the address behind it. */
static void native_run(const uint8_t *bytes, size_t length)
{
	static const uint8_t jump[6] = { 0xff, 0x25 };
	uint64_t leave = (uintptr_t)native_leave;

	memcpy(code, bytes, length);
	memcpy(code + length, jump, sizeof jump);
	memcpy(code + length + sizeof jump, &leave, sizeof leave);
	native_target = code;
	native_enter();
}

static int map_buffer(void **state)
{
	(void)state;
	code = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	buffer = mmap((void *)BUFFER, BUFFER_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return code == MAP_FAILED || buffer != (void *)BUFFER;
}

/* ---- emulated ----------------------------------------------------------- */

static uint8_t shadow[BUFFER_SIZE]; /* the buffer, as a device */
static bool outside;

static uint64_t shadow_read(void *context, gpa_t at, size_t size)
{
	uint64_t value = 0;

	(void)context;
	if (at.value - BUFFER > BUFFER_SIZE - size)
		outside = true;
	else
		memcpy(&value, shadow + (at.value - BUFFER), size);
	return value;
}

static void shadow_write(void *context, gpa_t at, size_t size, uint64_t value)
{
	(void)context;
	if (at.value - BUFFER > BUFFER_SIZE - size)
		outside = true;
	else
		memcpy(shadow + (at.value - BUFFER), &value, size);
}

static const struct emulate_mmio device = { .read = shadow_read,
					    .write = shadow_write };

/* 64-bit code without paging: not for a processor, but good here. */
static const struct guest_system system_64 = {
	.cr0 = BIT(0),
	.efer = BIT(10),
	.segments[SEGMENT_CS].attributes = BIT(9),
};

/* Runs to the end, through all that REP leaves; false: left the buffer. */
static bool emulated_run(struct emulate_cpu *cpu,
			 const struct instruction *instruction)
{
	struct guest_event fault;
	uint64_t start = cpu->rip;

	outside = false;
	/* The processor would say which page it met; here each has its turn. */
	for (unsigned i = 0; i < 32 && cpu->rip == start && !outside; i++)
		if (emulate_run(cpu, &ram_memory, &device,
				gpa(BUFFER + i * PAGE_SIZE % BUFFER_SIZE),
				instruction, &fault))
			return false;
	return cpu->rip == start + instruction->length && !outside;
}

/* ---- random instructions ------------------------------------------------ */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static bool one_in(unsigned n)
{
	return random64() >> 11 & 1 ? random64() % n == 0 :
				      random64() / 3 % n == 0;
}

static void random_bytes(uint8_t *bytes)
{
	static const uint8_t interesting[] = {
		0x63, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88,
		0x89, 0x8a, 0x8b, 0x8f, 0xa4, 0xa5, 0xaa, 0xab, 0xac,
		0xad, 0xc6, 0xc7, 0xf6, 0xf7, 0xfe, 0xff,
	};
	static const uint8_t interesting_0f[] = {
		0xa3, 0xab, 0xb3, 0xbb, 0xb0, 0xb1, 0xc0, 0xc1,
		0xb6, 0xb7, 0xbe, 0xbf, 0xba, 0xc3, 0x38,
	};
	unsigned at = 0;

	for (unsigned i = 0; i < INSTRUCTION_MAX; i++)
		bytes[i] = (uint8_t)(random64() >> 24);
	if (one_in(4))
		bytes[at++] = 0x66;
	if (one_in(6))
		bytes[at++] = 0x67;
	if (one_in(4))
		bytes[at++] = one_in(3) ? 0xf0 : 0xf3;
	if (one_in(2))
		bytes[at++] = 0x40 | (uint8_t)(random64() >> 40 & 15);
	if (one_in(3)) {
		bytes[at++] = (uint8_t)(random64() >> 30) & 0x3f;
	} else if (one_in(2)) {
		bytes[at++] = 0x0f;
		bytes[at] = interesting_0f[random64() % sizeof interesting_0f];
		if (bytes[at++] == 0x38)
			bytes[at++] = 0xf0 | one_in(2);
	} else {
		bytes[at++] = interesting[random64() % sizeof interesting];
	}
	/* Short displacements keep two operands in one buffer. */
	if (one_in(2))
		bytes[at] = (bytes[at] & 0x3f) | 0x40;
}

static void aim_string(const struct instruction *instruction, uint64_t *gpr,
		       uint64_t high)
{
	if (instruction->memory.address_size == 8)
		high = 0;
	gpr[RSI] = (MIDDLE + random64() % 1000) | high;
	gpr[RDI] = (MIDDLE + random64() % 1000) | high;
	gpr[RCX] = (1 + random64() % 100) | high;
}

/* Changes registers so that the operand is in the buffer; false: cannot. */
static bool aim(const struct instruction *instruction, uint64_t *gpr)
{
	const struct memory_operand *memory = &instruction->memory;
	uint64_t target = (MIDDLE + random64() % 1000) & ~7ull;
	uint64_t high = random64() & BITS(63, 32);

	if (memory->segment >= SEGMENT_FS) /* those are the host's */
		return false;
	if (instruction->operation == OPERATION_MOVS ||
	    instruction->operation == OPERATION_STOS ||
	    instruction->operation == OPERATION_LODS) {
		aim_string(instruction, gpr, high);
		return true;
	}
	if (memory->base == NO_GPR || memory->base == memory->index)
		return false;
	gpr[RSP] = MIDDLE + random64() % 1000;
	/* A bit's number, which cannot be an address as well. */
	if (instruction->operation >= OPERATION_BT &&
	    instruction->operation <= OPERATION_BTC) {
		if (instruction->gpr == memory->base)
			return false;
		gpr[instruction->gpr] = random64() % 16000 - 8000;
	}
	/* LOCK across cache lines may be forbidden. */
	if (!instruction->locked && instruction->operation != OPERATION_XCHG)
		target += random64() % 8;
	target -= (uint64_t)memory->displacement;
	if (memory->index != NO_GPR)
		target -= gpr[memory->index] * memory->scale;
	gpr[memory->base] = memory->address_size == 8 ?
				    target :
				    (target & BITS(31, 0)) | high;
	return gpr[RSP] - BUFFER < BUFFER_SIZE - 8;
}

static void random_state_of(uint64_t *gpr, uint64_t *rflags)
{
	for (unsigned i = 0; i < GPR_COUNT; i++)
		gpr[i] = random64() >> (one_in(2) ? 0 : random64() % 64);
	*rflags = BIT(1) | BIT(9) | (random64() & FLAGS_COMPARED);
	/* Many zeros, so that comparisons meet equal operands. */
	if (one_in(2))
		gpr[RAX] = 0;
	if (one_in(50))
		for (unsigned i = 0; i < BUFFER_SIZE; i++)
			buffer[i] = (uint8_t)(one_in(2) ? 0 : random64() >> 33);
	memcpy(shadow, buffer, BUFFER_SIZE);
}

/* What the manuals leave undefined. */
static uint64_t defined_flags(enum operation operation)
{
	switch (operation) {
	case OPERATION_AND:
	case OPERATION_OR:
	case OPERATION_XOR:
	case OPERATION_TEST:
		return FLAGS_COMPARED & ~FLAG_AF;
	case OPERATION_BT:
	case OPERATION_BTS:
	case OPERATION_BTR:
	case OPERATION_BTC:
		return BIT(0) | BIT(6) | FLAG_DF; /* carry, zero */
	default:
		return FLAGS_COMPARED;
	}
}

static bool same(const uint64_t *gpr, uint64_t rflags, enum operation operation)
{
	return memcmp(gpr, native_gpr, sizeof native_gpr) == 0 &&
	       !((rflags ^ native_flags) & defined_flags(operation)) &&
	       memcmp(buffer, shadow, BUFFER_SIZE) == 0;
}

static void show(const struct instruction *instruction, const uint8_t *bytes,
		 const struct emulate_cpu *cpu)
{
	print_error("operation %d size %d:", instruction->operation,
		    instruction->size);
	for (unsigned i = 0; i < instruction->length; i++)
		print_error(" %02x", bytes[i]);
	print_error("\nflags %lx, processor %lx\n", cpu->rflags, native_flags);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		if (cpu->gpr[i] != native_gpr[i])
			print_error("gpr %u: %lx, processor %lx\n", i,
				    cpu->gpr[i], native_gpr[i]);
	for (unsigned i = 0; i < BUFFER_SIZE; i++)
		if (buffer[i] != shadow[i])
			print_error("at %x: %x, processor %x\n", i, shadow[i],
				    buffer[i]);
}

/* The only instruction here that a 64-bit processor may lack. */
static bool host_has_movbe(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & BIT(22);
}

static void same_as_the_processor(void **state)
{
	unsigned done[OPERATION_COUNT] = { 0 };
	bool has_movbe = host_has_movbe();

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct instruction instruction;
		uint8_t bytes[INSTRUCTION_MAX];
		uint64_t gpr[GPR_COUNT];
		struct emulate_cpu cpu = { .gpr = gpr,
					   .system = &system_64,
					   .physical_bits = 52 };

		random_bytes(bytes);
		if (instruction_decode(bytes, sizeof bytes, CODE_64,
				       &instruction))
			continue;
		if (instruction.operation == OPERATION_MOVE_SWAP && !has_movbe)
			continue;
		random_state_of(gpr, &cpu.rflags);
		if (!aim(&instruction, gpr))
			continue;
		memcpy(native_gpr, gpr, sizeof gpr);
		native_flags = cpu.rflags;
		assert_true(emulated_run(&cpu, &instruction));
		native_run(bytes, instruction.length);
		if (!same(gpr, cpu.rflags, instruction.operation)) {
			show(&instruction, bytes, &cpu);
			fail();
		}
		done[instruction.operation]++;
	}
	for (unsigned i = OPERATION_MOVE; i < OPERATION_COUNT; i++)
		if (done[i] < 100 && (i != OPERATION_MOVE_SWAP || has_movbe))
			fail_msg("operation %u ran only %u times", i, done[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_the_processor),
	};

	return cmocka_run_group_tests(tests, map_buffer, NULL);
}
