/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/x86/vmx/vmx.h>
#include <cmocka.h>
#include <string.h>

static struct vm_exit decode(struct vmx_raw raw)
{
	struct vm_exit exit;

	memset(&exit, 0xa5, sizeof exit);
	vmx_decode(&raw, &exit);
	return exit;
}

static struct vm_exit decode_event(uint32_t type, uint32_t vector)
{
	return decode((struct vmx_raw){ .event = VMX_EVENT_VALID | type << 8 |
						 vector });
}

/* Reasons whose kinds say all: number, kind, whether the length is used. */
static void plain_reasons_have_their_kinds(void **state)
{
	static const struct {
		uint32_t reason;
		enum exit_kind kind;
		uint8_t length;
	} plain[] = {
		{ 1, EXIT_INTERRUPT, 0 },  { 2, EXIT_TRIPLE_FAULT, 0 },
		{ 7, EXIT_WINDOW, 0 },	   { 8, EXIT_WINDOW, 0 },
		{ 9, EXIT_UNKNOWN, 0 },	   { 10, EXIT_CPUID, 3 },
		{ 12, EXIT_HALT, 3 },	   { 13, EXIT_CACHE, 3 },
		{ 15, EXIT_COUNTER, 0 },   { 18, EXIT_HYPERCALL, 3 },
		{ 28, EXIT_VENDOR, 3 },	   { 31, EXIT_MSR_READ, 3 },
		{ 32, EXIT_MSR_WRITE, 3 }, { 43, EXIT_WINDOW, 0 },
		{ 45, EXIT_VENDOR, 0 },	   { 49, EXIT_UNKNOWN, 0 },
		{ 52, EXIT_INTERRUPT, 0 }, { 54, EXIT_CACHE, 3 },
		{ 55, EXIT_XSETBV, 3 },	   { 56, EXIT_VENDOR, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(plain); i++) {
		struct vm_exit exit = decode(
			(struct vmx_raw){ .reason = plain[i].reason,
					  .length = 3,
					  .qualification = 0x11,
					  .guest_physical = 0x22 });

		assert_int_equal(exit.kind, plain[i].kind);
		assert_int_equal(exit.length, plain[i].length);
		assert_int_equal(exit.raw[0], plain[i].reason);
		assert_int_equal(exit.raw[1], 0x11);
		assert_int_equal(exit.raw[2], 0x22);
	}
}

/* VMX, SMX, SGX, TDX and other instructions that guests do not have. */
static void what_guests_lack_is_undefined(void **state)
{
	static const uint8_t lacking[] = {
		11, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 36, 39, 50, 53,
		59, 60, 63, 64, 65, 67, 68, 69, 70, 76, 77, 78, 79, 80, 81,
	};

	(void)state;
	for (size_t i = 0; i < sizeof lacking; i++)
		assert_int_equal(
			decode((struct vmx_raw){ .reason = lacking[i] }).kind,
			EXIT_PRIVILEGED);
}

static void a_failed_entry_is_no_exit(void **state)
{
	struct vm_exit exit = decode((struct vmx_raw){
		.reason = VMX_REASON_ENTRY_FAILED | 33, .length = 3 });

	(void)state;
	assert_int_equal(exit.kind, EXIT_ENTRY_FAILED);
	assert_int_equal(exit.length, 0);
	assert_string_equal(exit.words,
			    "entry failure due to invalid guest state");
	assert_int_equal(vmx_needs(VMX_REASON_ENTRY_FAILED | 18),
			 VMX_NEEDS_QUALIFICATION);
}

static void every_reason_has_a_name(void **state)
{
	static const uint32_t nameless[] = { 35, 38, 42, 71, 82, 0xffff };

	(void)state;
	for (uint32_t reason = 0; reason < VMX_REASON_COUNT; reason++) {
		const char *name =
			decode((struct vmx_raw){ .reason = reason }).words;
		bool has_none = strstr(name, "no name") != NULL;
		bool should = reason == 35 || reason == 38 || reason == 42 ||
			      reason == 71;

		assert_int_equal(has_none, should);
	}
	for (size_t i = 0; i < ARRAY_COUNT(nameless); i++)
		assert_int_equal(
			decode((struct vmx_raw){ .reason = nameless[i] }).kind,
			EXIT_UNKNOWN);
	assert_string_equal(decode((struct vmx_raw){ .reason = 9 }).words,
			    "task switch");
	assert_string_equal(decode((struct vmx_raw){ .reason = 49 }).words,
			    "EPT misconfiguration");
}

static void io_is_decoded(void **state)
{
	struct vm_exit exit = decode((struct vmx_raw){
		.reason = 30,
		.length = 2,
		.qualification = 0x03f8ull << 16 | VMX_IO_IN | 1 });

	(void)state;
	assert_int_equal(exit.kind, EXIT_PORT_IO);
	assert_int_equal(exit.length, 2);
	assert_int_equal(exit.port.port, 0x3f8);
	assert_int_equal(exit.port.size, 2);
	assert_true(exit.port.in);
	assert_false(exit.port.string);
	assert_false(exit.port.repeat);
	exit = decode((struct vmx_raw){ .reason = 30,
					.qualification = 0xffffull << 16 |
							 VMX_IO_STRING |
							 VMX_IO_REPEAT | 3 });
	assert_int_equal(exit.port.port, 0xffff);
	assert_int_equal(exit.port.size, 4);
	assert_false(exit.port.in);
	assert_true(exit.port.string);
	assert_true(exit.port.repeat);
}

static struct exit_memory violation(uint64_t qualification)
{
	struct vm_exit exit = decode(
		(struct vmx_raw){ .reason = 48,
				  .length = 7,
				  .guest_physical = 0xfee000b0,
				  .qualification = qualification });

	assert_int_equal(exit.kind, EXIT_MEMORY);
	assert_int_equal(exit.length, 0);
	assert_int_equal(exit.memory.address.value, 0xfee000b0);
	return exit.memory;
}

static void ept_violations_are_decoded(void **state)
{
	struct exit_memory memory = violation(0x181);

	(void)state;
	assert_true(memory.read && !memory.write && !memory.fetch);
	assert_false(memory.in_page_walk);
	memory = violation(0x182);
	assert_true(!memory.read && memory.write && !memory.fetch);
	memory = violation(0x183); /* read and written at once */
	assert_true(!memory.read && memory.write);
	memory = violation(0x184);
	assert_true(!memory.read && !memory.write && memory.fetch);
	memory = violation(0x81);
	assert_true(memory.in_page_walk);
	memory = violation(0x01); /* PDPTEs at MOV CR3: no linear address */
	assert_false(memory.in_page_walk);
}

static void exceptions_and_nmis_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(decode_event(VMX_TYPE_NMI, 2).kind, EXIT_NMI);
	assert_int_equal(decode_event(VMX_TYPE_EXCEPTION, 1).kind, EXIT_VENDOR);
	assert_int_equal(decode_event(VMX_TYPE_PRIVILEGED, 1).kind,
			 EXIT_VENDOR);
	assert_int_equal(decode_event(VMX_TYPE_TRAP, 3).kind, EXIT_BREAKPOINT);
	assert_int_equal(decode_event(VMX_TYPE_EXCEPTION, 17).kind,
			 EXIT_VENDOR);
	assert_int_equal(decode_event(VMX_TYPE_EXCEPTION, 18).kind,
			 EXIT_VENDOR);
	assert_int_equal(decode_event(VMX_TYPE_EXCEPTION, 14).kind,
			 EXIT_UNKNOWN);
	assert_int_equal(
		decode((struct vmx_raw){ .event = VMX_TYPE_NMI << 8 | 2 }).kind,
		EXIT_UNKNOWN);
}

static void what_is_read_is_what_is_used(void **state)
{
	(void)state;
	assert_int_equal(vmx_needs(10), VMX_NEEDS_LENGTH);
	assert_int_equal(vmx_needs(30),
			 VMX_NEEDS_LENGTH | VMX_NEEDS_QUALIFICATION);
	assert_int_equal(vmx_needs(48),
			 VMX_NEEDS_QUALIFICATION | VMX_NEEDS_ADDRESS);
	assert_int_equal(vmx_needs(45), VMX_NEEDS_QUALIFICATION);
	assert_int_equal(vmx_needs(56), VMX_NEEDS_QUALIFICATION);
	assert_int_equal(vmx_needs(1), 0);
	assert_int_equal(vmx_needs(0), VMX_NEEDS_EVENT | VMX_NEEDS_LENGTH |
					       VMX_NEEDS_QUALIFICATION);
	assert_int_equal(vmx_needs(0xffff), 0);
}

static void interrupted_deliveries_are_repeated(void **state)
{
	const uint32_t fault = VMX_EVENT_VALID | VMX_EVENT_HAS_CODE |
			       VMX_TYPE_EXCEPTION << 8 | 14;

	(void)state;
	assert_int_equal(vmx_interrupted_event(0), 0);
	assert_int_equal(vmx_interrupted_event(0x50), 0);
	assert_int_equal(vmx_interrupted_event(VMX_EVENT_VALID | 0x50),
			 VMX_EVENT_VALID | 0x50);
	assert_int_equal(vmx_interrupted_event(fault), fault);
	/* Bit 12 is undefined at exits and must be 0 at entries. */
	assert_int_equal(vmx_interrupted_event(fault | BIT(12)), fault);
	assert_int_equal(
		vmx_interrupted_event(VMX_EVENT_VALID | VMX_TYPE_NMI << 8 | 2),
		VMX_EVENT_VALID | VMX_TYPE_NMI << 8 | 2);
	/* Instructions run again. */
	for (uint32_t type = VMX_TYPE_SOFTWARE; type <= VMX_TYPE_TRAP; type++)
		assert_int_equal(
			vmx_interrupted_event(VMX_EVENT_VALID | type << 8 | 3),
			0);
}

static void refused_instructions_are_named(void **state)
{
	(void)state;
	assert_string_equal(vmx_instruction_error(7),
			    "entry with invalid control fields");
	assert_string_equal(vmx_instruction_error(8),
			    "entry with invalid host-state fields");
	assert_string_equal(vmx_instruction_error(0),
			    "an entry that failed without a reason");
	assert_string_equal(vmx_instruction_error(14),
			    vmx_instruction_error(0));
	assert_string_equal(vmx_instruction_error(~0u),
			    vmx_instruction_error(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_reasons_have_their_kinds),
		cmocka_unit_test(what_guests_lack_is_undefined),
		cmocka_unit_test(a_failed_entry_is_no_exit),
		cmocka_unit_test(every_reason_has_a_name),
		cmocka_unit_test(io_is_decoded),
		cmocka_unit_test(ept_violations_are_decoded),
		cmocka_unit_test(exceptions_and_nmis_are_told_apart),
		cmocka_unit_test(what_is_read_is_what_is_used),
		cmocka_unit_test(interrupted_deliveries_are_repeated),
		cmocka_unit_test(refused_instructions_are_named),
	};

	return cmocka_run_group_tests_name("vmx_decode", tests, NULL, NULL);
}
