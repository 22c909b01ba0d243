/* SPDX-License-Identifier: MIT */
#include "port_fixture.h"

static void put64(uint64_t at, uint64_t value)
{
	put(at, &value, sizeof value);
}

/* 64 bits; the first 2 MiB are mapped to themselves, the others not. */
static void go_long(void)
{
	put64(0x1000, 0x2007);
	put64(0x2000, 0x3007);
	put64(0x3000, 0x0087);
	fake_virt.system.cr0 = 0x80010001;
	fake_virt.system.cr3 = 0x1000;
	fake_virt.system.cr4 = 0x20;
	fake_virt.system.efer = 0x500;
	fake_virt.system.segments[SEGMENT_CS].attributes = LONG_CODE;
}

/* Places the instruction @bytes and does it once. */
static void string_io(const char *bytes, uint16_t port, uint8_t size, bool in)
{
	bool repeat = strchr(bytes, 0xf3) != NULL;
	struct vm_exit exit = { .kind = EXIT_PORT_IO,
				.length = (uint8_t)strlen(bytes),
				.port = { .port = port,
					  .size = size,
					  .in = in,
					  .string = true,
					  .repeat = repeat } };

	put(CODE, bytes, strlen(bytes) + 1);
	on_port_io(&vcpu, &exit);
}

static void outs_sends_from_memory(void **state)
{
	(void)state;
	put(0x5000, "Hello", 5);
	vcpu.gpr[RSI] = 0x5000;
	vcpu.gpr[RCX] = 5;
	string_io("\x6e", UART, 1, false);
	assert_string_equal(printed(), "H");
	assert_int_equal(vcpu.gpr[RSI], 0x5001);
	assert_int_equal(vcpu.gpr[RCX], 5); /* not repeated: no count */
	vcpu.rip = CODE;
	string_io("\xf3\x6e", UART, 1, false);
	assert_string_equal(printed(), "ello");
	assert_int_equal(skips, 2);
	assert_int_equal(vcpu.gpr[RCX], 0);
	assert_int_equal(vcpu.gpr[RSI], 0x5006);
}

static void a_long_string_goes_in_batches(void **state)
{
	char text[101];
	int batches = 0;

	(void)state;
	memset(text, 'x', sizeof text);
	text[99] = 0;
	put(0x5000, text, 100);
	vcpu.gpr[RSI] = 0x5000;
	vcpu.gpr[RCX] = 99;
	while (!skips) {
		uint64_t left = vcpu.gpr[RCX];

		assert_int_equal(vcpu.rip, CODE);
		string_io("\xf3\x6e", UART, 1, false);
		assert_true(left - vcpu.gpr[RCX] <= 16);
		assert_true(vcpu.gpr[RCX] < left);
		batches++;
	}
	assert_int_equal(batches, 7);
	assert_string_equal(printed(), text);
	assert_int_equal(vcpu.rip, CODE + 2);
}

static void a_count_of_zero_does_nothing(void **state)
{
	(void)state;
	vcpu.gpr[RSI] = 0xffffffff;
	string_io("\xf3\x6e", UART, 1, false);
	assert_int_equal(skips, 1);
	assert_string_equal(printed(), "");
	assert_int_equal(fault.vector, 0);
}

static void ins_receives_into_memory(void **state)
{
	uint8_t got[5];

	(void)state;
	serial_receive(&vm, (const uint8_t *)"wxyz", 4);
	vcpu.gpr[RDI] = 0x5003;
	vcpu.gpr[RCX] = 4;
	vcpu.rflags = 0x400; /* downwards */
	string_io("\xf3\x6c", UART, 1, true);
	assert_int_equal(guest_read(&vm.memory, gpa(0x5000), got, 5), ERR_NONE);
	assert_memory_equal(got, "zyxw\0", 5);
	assert_int_equal(vcpu.gpr[RDI], 0x4fff);
	assert_int_equal(vcpu.gpr[RCX], 0);
}

static void wide_strings_get_ones(void **state)
{
	uint32_t got[3];

	(void)state;
	vcpu.gpr[RDI] = 0x5000;
	vcpu.gpr[RCX] = 2;
	string_io("\xf3\x6d", UART, 4, true);
	guest_read(&vm.memory, gpa(0x5000), got, sizeof got);
	assert_true(got[0] == ~0u && got[1] == ~0u && got[2] == 0);
	assert_int_equal(vcpu.gpr[RDI], 0x5008);
}

static void prefixes_choose_segment_and_address_size(void **state)
{
	static const struct {
		const char *bytes;
		int segment;
	} cases[] = {
		{ "\x26\x6e", SEGMENT_ES },
		{ "\x2e\x6e", SEGMENT_CS },
		{ "\x36\x6e", SEGMENT_SS },
		{ "\x3e\x6e", SEGMENT_DS },
		{ "\x64\x6e", SEGMENT_FS },
		{ "\x65\x6e", SEGMENT_GS },
		{ "\x66\x64\xf2\x26\x6e", SEGMENT_ES }, /* the last */
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		char name[] = { (char)('a' + i), 0 };

		fresh(state);
		fake_virt.system.segments[cases[i].segment].base =
			cases[i].segment == SEGMENT_CS ? 0 : 0x7000;
		put(cases[i].segment == SEGMENT_CS ? 0x20 : 0x7020, name, 1);
		vcpu.gpr[RSI] = 0x20;
		string_io(cases[i].bytes, UART, 1, false);
		assert_string_equal(printed(), name);
		assert_int_equal(skips, 1);
	}
	fresh(state);
	put(0xffff, "b", 1);
	vcpu.gpr[RSI] = 0x1234ffff;
	vcpu.gpr[RCX] = 0x00050001;
	string_io("\x67\xf3\x6e", UART, 1, false); /* 16 bits of each */
	assert_string_equal(printed(), "b");
	assert_true(vcpu.gpr[RSI] == 0x12340000);
	assert_true(vcpu.gpr[RCX] == 0x00050000);
}

static void ins_stays_in_es(void **state)
{
	uint8_t got;

	(void)state;
	serial_receive(&vm, (const uint8_t *)"q", 1);
	fake_virt.system.segments[SEGMENT_ES].base = 0x7000;
	fake_virt.system.segments[SEGMENT_FS].base = 0x8000;
	vcpu.gpr[RDI] = 1;
	string_io("\x64\x6c", UART, 1, true);
	guest_read(&vm.memory, gpa(0x7001), &got, 1);
	assert_int_equal(got, 'q');
}

static void segments_are_checked(void **state)
{
	static const struct {
		uint16_t attributes;
		uint32_t limit;
		uint64_t offset;
		bool in, allowed;
	} cases[] = {
		{ FLAT_DATA, 0x5000, 0x4ffd, false, true },
		{ FLAT_DATA, 0x5000, 0x4ffe, false, false },
		{ FLAT_DATA, 0xffffffff, 0xfffffffe, false, false },
		{ FLAT_DATA & ~0x80, ~0u, 0x5000, false, false }, /* absent */
		{ FLAT_DATA & ~2, ~0u, 0x5000, true, false }, /* read-only */
		{ FLAT_DATA & ~2, ~0u, 0x5000, false, true },
		{ FLAT_CODE, ~0u, 0x5000, true, false },
		{ FLAT_CODE & ~2, ~0u, 0x5000, false, false },
		{ FLAT_DATA | 4, 0x4fff, 0x5000, false, true },
		{ FLAT_DATA | 4, 0x5000, 0x5000, false, false },
		{ (FLAT_DATA | 4) & ~0x400, 0x5000, 0x10000, false, false },
	};

	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		bool in = cases[i].in;
		struct guest_segment *segment;

		fresh(state);
		segment = &fake_virt.system
				   .segments[in ? SEGMENT_ES : SEGMENT_DS];
		segment->attributes = cases[i].attributes;
		segment->limit = cases[i].limit;
		vcpu.gpr[in ? RDI : RSI] = cases[i].offset;
		string_io(in ? "\x6d" : "\x6f", UART, 4, in);
		assert_int_equal(skips, cases[i].allowed);
		assert_int_equal(fault.vector, cases[i].allowed ? 0 : 13);
	}
	fresh(state);
	fake_virt.system.segments[SEGMENT_SS].limit = 0;
	vcpu.gpr[RSI] = 1;
	string_io("\x36\x6e", UART, 1, false);
	assert_int_equal(fault.vector, 12);
}

static void in_64_bits_only_fs_and_gs_have_bases(void **state)
{
	(void)state;
	go_long();
	for (int i = 0; i < SEGMENT_COUNT; i++)
		fake_virt.system.segments[i].base = 0x7000;
	put(0x5000, "d", 1);
	put(0xc000, "g", 1);
	vcpu.gpr[RSI] = 0x5000;
	string_io("\x48\x6e", UART, 1, false); /* with REX.W */
	assert_int_equal(vcpu.gpr[RSI], 0x5001);
	vcpu.rip = CODE;
	vcpu.gpr[RSI] = 0xffffffff00005000;
	string_io("\x67\x65\x6e", UART, 1, false); /* 32-bit address */
	assert_string_equal(printed(), "dg");
	assert_true(vcpu.gpr[RSI] == 0x5001);
}

static void a_page_fault_comes_after_what_was_done(void **state)
{
	(void)state;
	go_long();
	put(0x1ffffd, "abc", 3);
	vcpu.gpr[RSI] = 0x1ffffd;
	vcpu.gpr[RCX] = 9;
	fake_virt.system.cpl = 3;
	string_io("\xf3\x6e", UART, 1, false);
	assert_string_equal(printed(), "abc");
	assert_int_equal(fault.vector, 14);
	assert_int_equal(fault.error_code, 4);
	assert_int_equal(fault.cr2, 0x200000);
	assert_int_equal(vcpu.gpr[RSI], 0x200000);
	assert_int_equal(vcpu.gpr[RCX], 6);
	assert_int_equal(skips, 0);
	vcpu.gpr[RSI] = 0x0000800000000000; /* not canonical */
	string_io("\xf3\x6e", UART, 1, false);
	assert_int_equal(fault.vector, 13);
}

static void a_fault_of_ins_loses_no_input(void **state)
{
	(void)state;
	go_long();
	serial_receive(&vm, (const uint8_t *)"q", 1);
	vcpu.gpr[RDI] = 0x200000;
	string_io("\x6c", UART, 1, true);
	assert_int_equal(fault.vector, 14);
	assert_int_equal(fault.error_code, 2);
	assert_int_equal(vm.serial.input_count, 1);
	assert_int_equal(vcpu.gpr[RDI], 0x200000);
	fresh(state);
	serial_receive(&vm, (const uint8_t *)"q", 1);
	vcpu.gpr[RDI] = MULL_GUEST_LOCAL_APIC; /* a device, not RAM */
	string_io("\x6c", UART, 1, true);
	assert_int_equal(fault.vector, 13);
	assert_int_equal(complaints, 1);
	assert_int_equal(vm.serial.input_count, 1);
	assert_int_equal(skips, 0);
}

static void an_element_may_cross_pages(void **state)
{
	uint32_t got;

	(void)state;
	vcpu.gpr[RDI] = 0x1ffffe;
	string_io("\x6d", UART, 4, true);
	guest_read(&vm.memory, gpa(0x1ffffe), &got, 4);
	assert_true(got == ~0u);
}

static void another_instruction_there_is_left_alone(void **state)
{
	static const char *const others[] = {
		"\x90",
		"\x6c",
		"\xee",
		"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"
		"\x6e",
		"\x48\x6e", /* REX is DEC here */
	};

	for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
		fresh(state);
		vcpu.gpr[RSI] = 0x5000;
		string_io(others[i], UART, 1, false);
		assert_int_equal(skips, 0);
		assert_int_equal(vcpu.gpr[RSI], 0x5000);
		assert_int_equal(fault.vector, 0);
	}
}

static void code_is_fetched_from_its_segment(void **state)
{
	(void)state;
	put(0x5000, "c", 1);
	put(0x9000 + CODE, "\x6e", 1);
	fake_virt.system.segments[SEGMENT_CS].base = 0x9000;
	vcpu.gpr[RSI] = 0x5000;
	vcpu.rflags = 0x246;
	string_io("\x90", UART, 1, false);
	assert_string_equal(printed(), "c");
	assert_int_equal(vcpu.gpr[RSI], 0x5001);
	/* Linear addresses have 32 bits. */
	fake_virt.system.segments[SEGMENT_CS].base = 0xffffe000;
	put(CODE - 0x2000, "\x2e\x6e", 2);
	put(0x3001, "d", 1);
	vcpu.rip = CODE;
	string_io("\x90", UART, 1, false);
	assert_string_equal(printed(), "d");
}

static void code_of_16_bits_has_short_addresses(void **state)
{
	(void)state;
	fake_virt.system.segments[SEGMENT_CS].attributes = FLAT_CODE & ~0x400;
	put(0x5000, "e", 1);
	put(0x15000, "f", 1);
	vcpu.gpr[RSI] = 0x15000;
	string_io("\x6e", UART, 1, false);
	assert_string_equal(printed(), "e");
	assert_int_equal(vcpu.gpr[RSI], 0x15001);
	vcpu.rip = CODE;
	vcpu.gpr[RSI] = 0x15000;
	string_io("\x67\x6e", UART, 1, false);
	assert_string_equal(printed(), "f");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(outs_sends_from_memory),
		TEST(a_long_string_goes_in_batches),
		TEST(a_count_of_zero_does_nothing),
		TEST(ins_receives_into_memory),
		TEST(wide_strings_get_ones),
		TEST(prefixes_choose_segment_and_address_size),
		TEST(ins_stays_in_es),
		TEST(segments_are_checked),
		TEST(in_64_bits_only_fs_and_gs_have_bases),
		TEST(a_page_fault_comes_after_what_was_done),
		TEST(a_fault_of_ins_loses_no_input),
		TEST(an_element_may_cross_pages),
		TEST(another_instruction_there_is_left_alone),
		TEST(code_is_fetched_from_its_segment),
		TEST(code_of_16_bits_has_short_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
