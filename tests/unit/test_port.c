/* SPDX-License-Identifier: MIT */
#include "port_fixture.h"

static void io(uint16_t port, uint8_t size, bool in)
{
	struct vm_exit exit = {
		.kind = EXIT_PORT_IO,
		.length = 2,
		.port = { .port = port, .size = size, .in = in }
	};

	on_port_io(&vcpu, &exit);
}

static void each_size_writes_its_part_of_rax(void **state)
{
	const uint64_t before = 0x1122334455667788;

	(void)state;
	vcpu.gpr[RAX] = before;
	io(0x80, 1, true);
	assert_true(vcpu.gpr[RAX] == 0x11223344556677ff);
	vcpu.gpr[RAX] = before;
	io(0x80, 2, true);
	assert_true(vcpu.gpr[RAX] == 0x112233445566ffff);
	vcpu.gpr[RAX] = before;
	io(0x80, 4, true);
	assert_true(vcpu.gpr[RAX] == 0xffffffff);
	vcpu.gpr[RAX] = before;
	io(UART + 5, 1, true);
	assert_true(vcpu.gpr[RAX] == 0x1122334455667760);
	assert_int_equal(skips, 4);
	assert_int_equal(vcpu.rip, CODE + 8);
}

static void wrong_sizes_read_ones_and_write_nothing(void **state)
{
	static const uint16_t ports[] = { UART,	 UART + 5, UART + 7, 0x600,
					  0x602, 0x603,	   0x64,     0xcf9 };

	(void)state;
	vm.platform.events = 1;
	for (size_t i = 0; i < ARRAY_COUNT(ports); i++)
		for (uint8_t size = 2; size <= 4; size += 2) {
			vcpu.gpr[RAX] = 0;
			io(ports[i], size, true);
			assert_true(vcpu.gpr[RAX] == BITS(8 * size - 1, 0));
			vcpu.gpr[RAX] = 0xfefefe01;
			io(ports[i], size, false);
		}
	assert_int_equal(ends, 0);
	assert_string_equal(printed(), "");
	assert_int_equal(vm.platform.events, 1);
}

static void ports_without_a_device_read_ones(void **state)
{
	int there = 0;

	(void)state;
	for (uint32_t port = 0; port <= 0xffff; port++) {
		vcpu.gpr[RAX] = 0;
		io((uint16_t)port, 1, true);
		there += vcpu.gpr[RAX] != 0xff;
		if (port != UART && (port < 0x600 || port > 0x603) &&
		    port != 0x64 && port != 0xcf9)
			io((uint16_t)port, 1, false);
	}
	assert_int_equal(there, 8 + 4 + 1); /* UART, ACPI, 0xcf9 */
	assert_int_equal(ends, 0);
}

static void out_reaches_its_device(void **state)
{
	(void)state;
	vcpu.gpr[RAX] = 0xffffff00 | 'A';
	io(UART, 1, false);
	assert_string_equal(printed(), "A");
	vcpu.gpr[RAX] = 0x77;
	io(UART + 7, 1, false);
	io(UART + 7, 1, true);
	assert_int_equal(vcpu.gpr[RAX], 0x77);
	vcpu.gpr[RAX] = 1;
	io(0x602, 1, false);
	vcpu.gpr[RAX] = 6;
	io(0xcf9, 1, false);
	vcpu.gpr[RAX] = 0xfe;
	io(0x64, 1, false);
	assert_int_equal(ends, 3);
	vm.platform.events = 1;
	io(0x603, 1, true);
	assert_int_equal(vcpu.gpr[RAX], 1);
	assert_false(atomic_flag_test_and_set(&vm.device_lock.held));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_size_writes_its_part_of_rax),
		TEST(wrong_sizes_read_ones_and_write_nothing),
		TEST(ports_without_a_device_read_ones),
		TEST(out_reaches_its_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
