/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/guest_ram.h"
#include <mullion/bits.h>
#include <mullion/emulate.h>

#define PE BIT(0) /* CR0 */
#define WP BIT(16)
#define PG BIT(31)
#define PAE BIT(5)  /* CR4 */
#define LMA BIT(10) /* EFER */
#define TF BIT(8)   /* RFLAGS */
#define RF BIT(16)
#define VM BIT(17)

/* Attributes of segments. */
#define DATA (BIT(1) | BIT(4) | BIT(7))
#define CODE (BIT(1) | BIT(3) | BIT(4) | BIT(7))
#define READ_ONLY (BIT(4) | BIT(7))
#define EXECUTE_ONLY (BIT(3) | BIT(4) | BIT(7))
#define DOWN BIT(2)
#define LONG BIT(9)
#define BIG BIT(10)

#define DEVICE 0xfee00000ull /* two pages of registers */
#define DEVICE_SIZE 0x2000ull

/* Linear addresses of the 64-bit guest: 4 KiB pages side by side. */
#define LINEAR 0x400000ull
#define LINEAR_CODE LINEAR
#define LINEAR_RAM (LINEAR + 0x1000)	   /* then the device, */
#define LINEAR_DEVICE (LINEAR + 0x2000)	   /* its second page, */
#define LINEAR_RAM_2 (LINEAR + 0x4000)	   /* RAM again, */
#define LINEAR_READ_ONLY (LINEAR + 0x5000) /* the device, and nothing. */

#define RAM_CODE 0x8000
#define RAM_PAGE 0x9000
#define RAM_PAGE_2 0xa000

/* ---- the device --------------------------------------------------------- */

static uint8_t device[DEVICE_SIZE];
static unsigned device_reads, device_writes;
static size_t device_size; /* of the last access */
static gpa_t device_at;

static uint64_t device_read(void *context, gpa_t at, size_t size)
{
	uint64_t value = 0;

	assert_ptr_equal(context, device);
	assert_in_range(at.value, DEVICE, DEVICE + DEVICE_SIZE - size);
	memcpy(&value, device + (at.value - DEVICE), size);
	device_reads++;
	device_size = size;
	device_at = at;
	return value | (size < 8 ? ~0ull << 8 * size : 0); /* junk above */
}

static void device_write(void *context, gpa_t at, size_t size, uint64_t value)
{
	assert_ptr_equal(context, device);
	assert_in_range(at.value, DEVICE, DEVICE + DEVICE_SIZE - size);
	memcpy(device + (at.value - DEVICE), &value, size);
	device_writes++;
	device_size = size;
	device_at = at;
}

static const struct emulate_mmio mmio = { .context = device,
					  .read = device_read,
					  .write = device_write };

/* ---- the guests --------------------------------------------------------- */

static uint64_t gpr[GPR_COUNT];
static struct guest_system sys;
static struct emulate_cpu cpu;
static struct guest_event fault;

static void start(void)
{
	ram_clear();
	memset(device, 0, sizeof device);
	memset(gpr, 0, sizeof gpr);
	device_reads = device_writes = 0;
	sys = (struct guest_system){ 0 };
	cpu = (struct emulate_cpu){
		.gpr = gpr, .rflags = 2, .system = &sys, .physical_bits = 40
	};
}

static void map(unsigned page, uint64_t entry)
{
	memcpy(ram + 0x4000 + 8 * page, &entry, sizeof entry);
}

static void table(uint64_t at, uint64_t entry)
{
	memcpy(ram + at, &entry, sizeof entry);
}

/* 64-bit code with pages as named above. */
static void start_64(void)
{
	start();
	sys.cr0 = PE | PG | WP;
	sys.cr3 = 0x1000;
	sys.cr4 = PAE;
	sys.efer = LMA;
	sys.segments[SEGMENT_CS].attributes = CODE | LONG;
	table(0x1000, 0x2003);
	table(0x2000, 0x3003);
	table(0x3000 + 8 * (LINEAR >> 21), 0x4003);
	map(0, RAM_CODE | 3);
	map(1, RAM_PAGE | 3);
	map(2, DEVICE | 3);
	map(3, (DEVICE + 0x1000) | 3);
	map(4, RAM_PAGE_2 | 3);
	map(5, DEVICE | 1);
	cpu.rip = LINEAR_CODE;
}

/* 32-bit code without paging and with flat segments. */
static void start_32(void)
{
	start();
	sys.cr0 = PE;
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		sys.segments[i] = (struct guest_segment){
			.limit = 0xffffffff, .attributes = DATA | BIG
		};
	sys.segments[SEGMENT_CS].attributes = CODE | BIG;
	cpu.rip = RAM_CODE;
}

/* 16-bit code in real mode, whose DS reaches the device. */
static void start_16(void)
{
	start();
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		sys.segments[i] = (struct guest_segment){ .base = RAM_PAGE,
							  .limit = 0xffff,
							  .attributes = DATA };
	sys.segments[SEGMENT_CS].base = 0;
	sys.segments[SEGMENT_DS].base = DEVICE;
	cpu.rip = RAM_CODE;
}

/* Runs the instruction @bytes where the guest stands. */
static enum error run(gpa_t faulting, const char *bytes, size_t length)
{
	memset(ram + RAM_CODE, 0x90, 0x1000);
	memcpy(ram + RAM_CODE, bytes, length);
	memset(ram_reads, 0, sizeof ram_reads);
	memset(&fault, 0x5a, sizeof fault);
	return emulate_next(&cpu, &ram_memory, &mmio, faulting, &fault);
}

#define RUN(bytes) run(gpa(DEVICE), bytes, sizeof(bytes) - 1)
#define RUN_AT(at, bytes) run(gpa(at), bytes, sizeof(bytes) - 1)

static void check_done(enum error error, uint64_t rip)
{
	assert_int_equal(error, ERR_NONE);
	assert_int_equal(cpu.rip, rip);
}

static void check_fault(enum error error, uint8_t vector, uint32_t code)
{
	assert_int_equal(error, ERR_NOT_MAPPED);
	assert_int_equal(fault.kind, EVENT_EXCEPTION);
	assert_int_equal(fault.vector, vector);
	assert_int_equal(fault.error_code, code);
	assert_int_equal(device_reads + device_writes, 0);
}

/* ---- 64-bit code -------------------------------------------------------- */

static void loads_and_stores_reach_the_device(void **state)
{
	(void)state;
	start_64();
	gpr[RBX] = LINEAR_DEVICE;
	gpr[RAX] = 0x1122334455667788;
	cpu.rflags |= RF;
	check_done(RUN("\x89\x43\x30"), LINEAR + 3); /* mov [rbx+0x30], eax */
	assert_int_equal(device_at.value, DEVICE + 0x30);
	assert_int_equal(device_size, 4);
	assert_memory_equal(device + 0x30, "\x88\x77\x66\x55\0", 5);
	assert_int_equal(cpu.rflags, 2);
	assert_int_equal(ram_most_reads(RAM_CODE, RAM_SIZE - RAM_CODE), 1);
	cpu.rip = LINEAR;
	gpr[RAX] = ~0ull;
	check_done(RUN("\x8b\x43\x30"), LINEAR + 3); /* mov eax, [rbx+0x30] */
	assert_int_equal(gpr[RAX], 0x55667788);
	assert_int_equal(device_reads, 1);
	assert_int_equal(device_writes, 1);
}

static void rip_relative_counts_from_the_next_instruction(void **state)
{
	(void)state;
	start_64();
	/* mov dword ptr [rip+0x1ff6+0x20], 5: ten bytes long */
	check_done(RUN("\xc7\x05\x16\x20\0\0\5\0\0\0"), LINEAR + 10);
	assert_int_equal(device_at.value, DEVICE + 0x20);
	assert_int_equal(device[0x20], 5);
}

static void only_fs_and_gs_have_a_base(void **state)
{
	(void)state;
	start_64();
	sys.segments[SEGMENT_GS].base = LINEAR_DEVICE - 0x10;
	sys.segments[SEGMENT_DS].base = 0x100000;
	gpr[RBX] = 0x50;
	check_done(RUN("\x65\x88\x03"), LINEAR + 3); /* mov gs:[rbx], al */
	assert_int_equal(device_at.value, DEVICE + 0x40);
	cpu.rip = LINEAR;
	gpr[RBX] = LINEAR_DEVICE + 8;
	check_done(RUN("\x88\x03"), LINEAR + 2); /* mov [rbx], al */
	assert_int_equal(device_at.value, DEVICE + 8);
}

static void addresses_must_be_canonical(void **state)
{
	(void)state;
	start_64();
	gpr[RBX] = 0x7ffffffffffd; /* the last byte is beyond */
	check_fault(RUN("\x89\x03"), 13, 0);
	assert_true(fault.has_error_code);
	gpr[RBP] = 0x800000000000;
	check_fault(RUN("\x89\x45\x00"), 12, 0); /* mov [rbp], eax */
	assert_int_equal(cpu.rip, LINEAR);
}

static void page_faults_come_before_any_access(void **state)
{
	(void)state;
	start_64();
	gpr[RBX] = LINEAR_READ_ONLY;
	check_fault(RUN("\x01\x03"), 14, 3); /* add [rbx], eax */
	assert_int_equal(fault.cr2, LINEAR_READ_ONLY);
	check_fault(RUN("\x0f\xb1\x03"), 14, 3); /* cmpxchg [rbx], eax */
	gpr[RBX] = LINEAR_READ_ONLY + 0xffe;	 /* half of it is nowhere */
	check_fault(RUN("\x8b\x03"), 14, 0);
	assert_int_equal(fault.cr2, LINEAR_READ_ONLY + 0x1000);
	gpr[RBX] = LINEAR_READ_ONLY;
	check_done(RUN("\x39\x03"), LINEAR + 2); /* cmp writes nothing */
	assert_int_equal(device_reads, 1);
}

static void users_fault_on_pages_of_the_kernel(void **state)
{
	(void)state;
	start_64();
	sys.cpl = 3;
	table(0x1000, 0x2007);
	table(0x2000, 0x3007);
	table(0x3000 + 8 * (LINEAR >> 21), 0x4007);
	map(0, RAM_CODE | 7);
	gpr[RBX] = LINEAR_DEVICE;
	check_fault(RUN("\x8b\x03"), 14, 5);
}

static void moved_mapping_resumes_the_guest(void **state)
{
	(void)state;
	start_64();
	gpr[RBX] = LINEAR_DEVICE;
	check_done(RUN_AT(DEVICE + 0x1000, "\x89\x03"), LINEAR);
	gpr[RBX] = LINEAR_RAM;
	gpr[RAX] = 7;
	check_done(RUN("\x89\x03"), LINEAR);
	assert_int_equal(ram[RAM_PAGE], 0);
	gpr[RSI] = gpr[RDI] = LINEAR_RAM;
	gpr[RCX] = 1;
	check_done(RUN("\xf3\xa4"), LINEAR);
	assert_int_equal(device_reads + device_writes, 0);
}

/* ---- operands that cross pages ------------------------------------------ */

static void operand_crosses_from_ram_to_the_device(void **state)
{
	(void)state;
	start_64();
	gpr[RBX] = LINEAR_DEVICE - 3;
	gpr[RAX] = 0x8877665544332211;
	check_done(RUN("\x48\x89\x03"), LINEAR + 3); /* mov [rbx], rax */
	assert_memory_equal(ram + RAM_PAGE + 0xffd, "\x11\x22\x33", 3);
	assert_memory_equal(device, "\x44\x55\x66\x77\x88", 5);
	assert_int_equal(device_writes, 2); /* 4 bytes and 1 */
	cpu.rip = LINEAR;
	gpr[RAX] = 1;
	check_done(RUN("\x48\x0f\xc1\x03"), LINEAR + 4); /* xadd [rbx], rax */
	assert_int_equal(gpr[RAX], 0x8877665544332211);
	assert_int_equal(ram[RAM_PAGE + 0xffd], 0x12);
	assert_int_equal(ram_most_reads(RAM_CODE, RAM_SIZE - RAM_CODE), 1);
	assert_int_equal(device_reads, 2);
}

static void operand_crosses_from_the_device_to_ram(void **state)
{
	(void)state;
	start_64();
	memcpy(device + 0x1ff9, "\1\2\3\4\5\6\7", 7);
	ram[RAM_PAGE_2] = 8;
	gpr[RBX] = LINEAR_RAM_2 - 7;
	check_done(RUN_AT(DEVICE + 0x1000, "\x48\x8b\x03"), LINEAR + 3);
	assert_int_equal(gpr[RAX], 0x0807060504030201);
	assert_int_equal(device_reads, 3); /* 4, 2 and 1 bytes */
	/* The processor may also name the page that is RAM. */
	cpu.rip = LINEAR;
	check_done(RUN_AT(RAM_PAGE_2, "\x48\x8b\x03"), LINEAR + 3);
}

/* ---- strings ------------------------------------------------------------ */

static void rep_is_bounded(void **state)
{
	(void)state;
	start_64();
	gpr[RDI] = LINEAR_DEVICE;
	gpr[RCX] = EMULATE_REPEAT_MAX + 1;
	check_done(RUN("\xf3\xaa"), LINEAR); /* rep stosb */
	assert_int_equal(gpr[RCX], 1);
	assert_int_equal(gpr[RDI], LINEAR_DEVICE + EMULATE_REPEAT_MAX);
	assert_int_equal(device_writes, EMULATE_REPEAT_MAX);
	check_done(RUN("\xf3\xaa"), LINEAR + 2);
	assert_int_equal(gpr[RCX], 0);
	cpu.rip = LINEAR;
	check_done(RUN("\xf3\xaa"), LINEAR + 2); /* nothing to do */
	assert_int_equal(device_writes, EMULATE_REPEAT_MAX + 1);
}

static void rep_stops_after_each_element_when_stepped(void **state)
{
	(void)state;
	start_64();
	cpu.rflags |= TF;
	gpr[RDI] = LINEAR_DEVICE;
	gpr[RCX] = 2;
	check_done(RUN("\xf3\xaa"), LINEAR);
	assert_int_equal(device_writes, 1);
	check_done(RUN("\xf3\xaa"), LINEAR + 2);
	assert_int_equal(device_writes, 2);
}

static void rep_that_faults_keeps_what_is_done(void **state)
{
	(void)state;
	start_64();
	memset(ram + RAM_PAGE_2 + 0xff8, 0x77, 8);
	gpr[RSI] = LINEAR_RAM_2 + 0xff8;
	gpr[RDI] = LINEAR_DEVICE;
	gpr[RCX] = 9;
	map(5, 0);
	/* rep movsd: two elements, then the page is at its end */
	assert_int_equal(RUN("\xf3\xa5"), ERR_NOT_MAPPED);
	assert_int_equal(fault.vector, 14);
	assert_int_equal(fault.error_code, 0);
	assert_int_equal(fault.cr2, LINEAR_READ_ONLY);
	assert_int_equal(cpu.rip, LINEAR);
	assert_int_equal(gpr[RCX], 7);
	assert_int_equal(gpr[RSI], LINEAR_READ_ONLY);
	assert_int_equal(gpr[RDI], LINEAR_DEVICE + 8);
	assert_memory_equal(device, "\x77\x77\x77\x77\x77\x77\x77\x77\0", 9);
}

static void movs_needs_only_one_side_on_the_device(void **state)
{
	(void)state;
	start_64();
	device[0x40] = 0x5a;
	gpr[RSI] = LINEAR_DEVICE + 0x40;
	gpr[RDI] = LINEAR_RAM;
	check_done(RUN("\xa4"), LINEAR + 1);
	assert_int_equal(ram[RAM_PAGE], 0x5a);
	assert_int_equal(device_reads, 1);
	cpu.rip = LINEAR;
	gpr[RDI] = LINEAR_READ_ONLY; /* the target faults: nothing is read */
	assert_int_equal(RUN("\xa4"), ERR_NOT_MAPPED);
	assert_int_equal(fault.error_code, 3);
	assert_int_equal(device_reads, 1);
}

/* ---- the stack ---------------------------------------------------------- */

static void push_and_pop_use_the_stack(void **state)
{
	(void)state;
	start_64();
	memcpy(device, "\1\2\3\4\5\6\7\x08", 8);
	gpr[RBX] = LINEAR_DEVICE;
	gpr[RSP] = LINEAR_RAM + 0x100;
	check_done(RUN("\xff\x33"), LINEAR + 2); /* push [rbx] */
	assert_int_equal(gpr[RSP], LINEAR_RAM + 0xf8);
	assert_memory_equal(ram + RAM_PAGE + 0xf8, device, 8);
	cpu.rip = LINEAR;
	check_done(RUN("\x8f\x43\x10"), LINEAR + 3); /* pop [rbx+0x10] */
	assert_int_equal(gpr[RSP], LINEAR_RAM + 0x100);
	assert_memory_equal(device + 0x10, device, 8);
	cpu.rip = LINEAR;
	gpr[RSP] = LINEAR_READ_ONLY + 0x10;
	assert_int_equal(RUN("\xff\x33"), ERR_NOT_MAPPED);
	assert_int_equal(fault.vector, 14);
	assert_int_equal(gpr[RSP], LINEAR_READ_ONLY + 0x10);
}

static void pop_addresses_memory_with_the_new_stack_pointer(void **state)
{
	(void)state;
	start_64();
	ram[RAM_PAGE + 0xff8] = 0x77;
	gpr[RSP] = LINEAR_DEVICE - 8;
	check_done(RUN("\x8f\x04\x24"), LINEAR + 3); /* pop [rsp] */
	assert_int_equal(gpr[RSP], LINEAR_DEVICE);
	assert_int_equal(device_at.value, DEVICE);
	assert_int_equal(device[0], 0x77);
}

static void narrow_stacks_wrap(void **state)
{
	(void)state;
	start_16();
	memcpy(device, "\1\2", 2);
	gpr[RSP] = 0xabcd0000;
	check_done(RUN("\xff\x37"), RAM_CODE + 2); /* push word ptr [bx] */
	assert_int_equal(gpr[RSP], 0xabcdfffe);
	assert_memory_equal(ram + RAM_PAGE + 0xfffe, "\1\2", 2);
	cpu.rip = RAM_CODE;
	check_done(RUN("\x8f\x47\x04"), RAM_CODE + 3); /* pop [bx+4] */
	assert_int_equal(gpr[RSP], 0xabcd0000);
	assert_memory_equal(device + 4, "\1\2", 2);
}

/* ---- segments ----------------------------------------------------------- */

static void offsets_wrap_in_their_address_size(void **state)
{
	(void)state;
	start_16();
	gpr[RBX] = 0xfff0;
	gpr[RSI] = 0x12340020;
	check_done(RUN("\x88\x00"), RAM_CODE + 2); /* mov [bx+si], al */
	assert_int_equal(device_at.value, DEVICE + 0x10);
	start_32();
	gpr[RBX] = ~0ull;
	check_done(RUN("\x88\x83\x31\0\xe0\xfe"), RAM_CODE + 6);
	assert_int_equal(device_at.value, DEVICE + 0x30);
	/* A base makes it wrap once more. */
	sys.segments[SEGMENT_DS].base = DEVICE + 0x1000;
	cpu.rip = RAM_CODE;
	gpr[RBX] = 0xfffff008;
	check_done(RUN("\x88\x03"), RAM_CODE + 2);
	assert_int_equal(device_at.value, DEVICE + 8);
}

static void limits_hold(void **state)
{
	struct guest_segment *ds = &sys.segments[SEGMENT_DS];

	(void)state;
	start_32();
	*ds = (struct guest_segment){ .base = DEVICE,
				      .limit = 0x103,
				      .attributes = DATA | BIG };
	gpr[RBX] = 0x101; /* its last byte is one too far */
	check_fault(RUN("\x89\x03"), 13, 0);
	assert_true(fault.has_error_code);
	gpr[RBX] = 0x104;
	check_fault(RUN("\x88\x03"), 13, 0);
	gpr[RBX] = 0xffffffff;
	check_fault(RUN("\x89\x03"), 13, 0);
	gpr[RBX] = 0x100;
	check_done(RUN("\x89\x03"), RAM_CODE + 2);
	/* In the stack's segment it is another exception. */
	start_32();
	sys.segments[SEGMENT_SS].limit = 0xff;
	gpr[RBP] = 0x100;
	check_fault(RUN("\x89\x45\0"), 12, 0);
}

static void expand_down_turns_the_limit_round(void **state)
{
	struct guest_segment *ds = &sys.segments[SEGMENT_DS];

	(void)state;
	start_32();
	*ds = (struct guest_segment){ .base = DEVICE - 0x1000,
				      .limit = 0xfff,
				      .attributes = DATA | DOWN };
	gpr[RBX] = 0xfff;
	check_fault(RUN("\x88\x03"), 13, 0);
	gpr[RBX] = 0x10000; /* beyond what a small one has */
	check_fault(RUN("\x88\x03"), 13, 0);
	gpr[RBX] = 0xfffe;
	check_fault(RUN("\x89\x03"), 13, 0);
	gpr[RBX] = 0x1000;
	check_done(RUN("\x89\x03"), RAM_CODE + 2);
	assert_int_equal(device_at.value, DEVICE);
	ds->attributes |= BIG;
	ds->base = DEVICE - 0x10000;
	gpr[RBX] = 0x10000;
	cpu.rip = RAM_CODE;
	check_done(RUN("\x89\x03"), RAM_CODE + 2);
}

static void types_hold_in_protected_mode(void **state)
{
	static const struct {
		uint16_t attributes;
		bool may_read, may_write;
	} types[] = {
		{ DATA, true, true },
		{ READ_ONLY, true, false },
		{ CODE, true, false },
		{ EXECUTE_ONLY, false, false },
		{ DATA & ~BIT(7), false, false },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(types); i++) {
		start_32();
		sys.segments[SEGMENT_DS].attributes = types[i].attributes;
		gpr[RBX] = DEVICE;
		if (types[i].may_read)
			check_done(RUN("\x8b\x0b"), RAM_CODE + 2);
		else
			check_fault(RUN("\x8b\x0b"), 13, 0);
		cpu.rip = RAM_CODE;
		device_reads = 0;
		if (types[i].may_write)
			check_done(RUN("\x89\x0b"), RAM_CODE + 2);
		else
			check_fault(RUN("\x89\x0b"), 13, 0);
		/* Virtual-8086 code has no types. */
		cpu.rip = RAM_CODE;
		cpu.rflags |= VM;
		check_done(RUN("\x89\x0b"), RAM_CODE + 2);
	}
}

static void real_mode_has_limits_without_error_codes(void **state)
{
	(void)state;
	start_16();
	sys.segments[SEGMENT_DS].attributes = 0;
	gpr[RBX] = 0xffff;
	assert_int_equal(RUN("\x89\x07"), ERR_NOT_MAPPED);
	assert_int_equal(fault.vector, 13);
	assert_false(fault.has_error_code);
	gpr[RBX] = 8;
	check_done(RUN("\x89\x07"), RAM_CODE + 2);
	assert_int_equal(device_at.value, DEVICE + 8);
}

/* ---- bytes of the instruction ------------------------------------------- */

static void code_that_is_gone_resumes_the_guest(void **state)
{
	(void)state;
	start_64();
	map(0, 0);
	check_done(RUN("\x89\x03"), LINEAR);
	/* Half of the instruction is on a page that is gone. */
	start_64();
	map(1, 0);
	cpu.rip = LINEAR + 0xffe;
	ram[RAM_CODE + 0xffe] = 0xc7;
	check_done(emulate_next(&cpu, &ram_memory, &mmio, gpa(DEVICE), &fault),
		   LINEAR + 0xffe);
	assert_int_equal(device_reads + device_writes, 0);
}

static void what_cannot_be_done_is_an_error(void **state)
{
	(void)state;
	start_64();
	assert_int_equal(RUN("\x0f\x11\x03"), ERR_BAD_INSTRUCTION); /* movups */
	cpu.rip = LINEAR_DEVICE;
	assert_int_equal(RUN("\x90"), ERR_BAD_ADDRESS);
	assert_int_equal(cpu.rip, LINEAR_DEVICE);
}

static void code_segment_has_a_base_in_narrow_code(void **state)
{
	(void)state;
	start_32();
	sys.segments[SEGMENT_CS].base = RAM_CODE + 0x100;
	cpu.rip = 0xffffff00;
	gpr[RBX] = DEVICE;
	check_done(RUN("\x89\x03"), 0xffffff02);
	sys.segments[SEGMENT_CS].base = RAM_CODE + 1;
	cpu.rip = 0xffffffff; /* the next instruction is at 1 */
	check_done(RUN("\x89\x03"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_and_stores_reach_the_device),
		cmocka_unit_test(rip_relative_counts_from_the_next_instruction),
		cmocka_unit_test(only_fs_and_gs_have_a_base),
		cmocka_unit_test(addresses_must_be_canonical),
		cmocka_unit_test(page_faults_come_before_any_access),
		cmocka_unit_test(users_fault_on_pages_of_the_kernel),
		cmocka_unit_test(moved_mapping_resumes_the_guest),
		cmocka_unit_test(operand_crosses_from_ram_to_the_device),
		cmocka_unit_test(operand_crosses_from_the_device_to_ram),
		cmocka_unit_test(rep_is_bounded),
		cmocka_unit_test(rep_stops_after_each_element_when_stepped),
		cmocka_unit_test(rep_that_faults_keeps_what_is_done),
		cmocka_unit_test(movs_needs_only_one_side_on_the_device),
		cmocka_unit_test(push_and_pop_use_the_stack),
		cmocka_unit_test(
			pop_addresses_memory_with_the_new_stack_pointer),
		cmocka_unit_test(narrow_stacks_wrap),
		cmocka_unit_test(offsets_wrap_in_their_address_size),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(expand_down_turns_the_limit_round),
		cmocka_unit_test(types_hold_in_protected_mode),
		cmocka_unit_test(real_mode_has_limits_without_error_codes),
		cmocka_unit_test(code_that_is_gone_resumes_the_guest),
		cmocka_unit_test(what_cannot_be_done_is_an_error),
		cmocka_unit_test(code_segment_has_a_base_in_narrow_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
