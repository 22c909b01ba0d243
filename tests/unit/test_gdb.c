/* SPDX-License-Identifier: MIT */
/* gdb's protocol: its packets, and what it may ask of a VM of a few pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mullion/bits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gdb_memory.h"
#include "gdb_packet.h"
#include "gdb_registers.h"
#include "gdb_stub.h"

#define SIZE 0x10000

static uint8_t memory[SIZE];
static struct mull_registers vcpus[3];
static struct gdb_stub stub;
static uint32_t reads;

/* ---- packets ------------------------------------------------------------- */

static struct gdb_parser parser;

/* What the last byte of @bytes makes of it. */
static enum gdb_input feed(const char *bytes, size_t length)
{
	enum gdb_input input = GDB_NOTHING;

	for (size_t i = 0; i < length; i++)
		input = gdb_parse(&parser, (uint8_t)bytes[i]);
	return input;
}

static void a_packet_is_found_among_other_bytes(void **state)
{
	(void)state;
	parser = (struct gdb_parser){ 0 };
	assert_int_equal(feed("+#12abc+$g#67", 13), GDB_PACKET);
	assert_string_equal(parser.data, "g");
	assert_int_equal(feed("$m10,4#2c", 9), GDB_DAMAGED);
	assert_int_equal(feed("$m10,4#2E", 9), GDB_PACKET);
	assert_int_equal(parser.length, 5);
	assert_int_equal(feed("$g#x7", 5), GDB_NOTHING);
	assert_int_equal(feed("-", 1), GDB_AGAIN);
	assert_int_equal(feed("\3", 1), GDB_INTERRUPT);
	assert_int_equal(feed("$lost$g#67", 10), GDB_PACKET);
	assert_string_equal(parser.data, "g");
	assert_int_equal(feed("$#00", 4), GDB_PACKET);
	assert_int_equal(parser.length, 0);
	/* Binary: an escaped byte, a zero, Ctrl-C. */
	assert_int_equal(feed("$X}\003\0\3#db", 9), GDB_PACKET);
	assert_int_equal(parser.length, 4);
	assert_memory_equal(parser.data, "X#\0\3", 4);
}

static void a_packet_has_so_much_room(void **state)
{
	(void)state;
	for (size_t more = 0; more < 2; more++) {
		uint8_t sum = 0;
		char end[8];

		feed("$", 1);
		for (size_t i = 0; i < GDB_PACKET_MAX + more * 100000; i++) {
			feed("a", 1);
			sum += 'a';
		}
		snprintf(end, sizeof end, "#%02x", sum);
		assert_int_equal(feed(end, 3), more ? GDB_DAMAGED : GDB_PACKET);
	}
	assert_int_equal(feed("$g#67", 5), GDB_PACKET);
}

static void what_is_sent_is_escaped(void **state)
{
	static const char data[] = "a#b$c}d*e";
	char wire[GDB_WIRE_MAX];
	size_t length = gdb_encode(data, sizeof data, wire);

	(void)state;
	assert_memory_equal(wire, "$a}\003b}\004c}]d}\ne\0#", 16);
	assert_int_equal(feed(wire, length), GDB_PACKET);
	assert_int_equal(parser.length, sizeof data);
	assert_memory_equal(parser.data, data, sizeof data);
}

/* ---- a VM ---------------------------------------------------------------- */

static bool vm_read(void *context, uint64_t address, void *bytes, size_t length)
{
	(void)context;
	reads++;
	if (address > SIZE || length > SIZE - address)
		return false;
	memcpy(bytes, memory + address, length);
	return true;
}

static bool vm_write(void *context, uint64_t address, const void *bytes,
		     size_t length)
{
	(void)context;
	if (address > SIZE || length > SIZE - address)
		return false;
	memcpy(memory + address, bytes, length);
	return true;
}

static bool vm_registers(void *context, uint32_t vcpu,
			 struct mull_registers *registers)
{
	(void)context;
	assert_true(vcpu < ARRAY_COUNT(vcpus));
	*registers = vcpus[vcpu];
	return true;
}

static bool vm_set_registers(void *context, uint32_t vcpu,
			     const struct mull_registers *registers)
{
	(void)context;
	assert_true(vcpu < ARRAY_COUNT(vcpus));
	vcpus[vcpu] = *registers;
	return true;
}

static void put_entry(uint64_t table, unsigned index, uint64_t entry)
{
	memcpy(memory + table + 8ul * index, &entry, 8);
}

/* Linear pages 0, 1, 2 and 5 are physical 8, 9, 11 and 9. */
static int begin(void **state)
{
	(void)state;
	memset(memory, 0, sizeof memory);
	memset(vcpus, 0, sizeof vcpus);
	for (uint32_t i = 0; i < ARRAY_COUNT(vcpus); i++)
		vcpus[i] = (struct mull_registers){ .cr0 = 0x80000001,
						    .cr3 = 0x1000,
						    .cr4 = 0x20,
						    .efer = 0x500 };
	put_entry(0x1000, 0, 0x2003);
	put_entry(0x2000, 0, 0x3003);
	put_entry(0x3000, 0, 0x4003);
	put_entry(0x4000, 0, 0x8003);
	put_entry(0x4000, 1, 0x9003);
	put_entry(0x4000, 2, 0xb003);
	put_entry(0x4000, 5, 0x9003);
	for (size_t i = 0x8000; i < SIZE; i++)
		memory[i] = (uint8_t)(i / 256 + i);
	stub = (struct gdb_stub){ .vm = { NULL, 3, vm_read, vm_write,
					  vm_registers, vm_set_registers } };
	return 0;
}

static enum gdb_action ask(const char *packet)
{
	enum gdb_action action = gdb_stub_take(&stub, packet, strlen(packet));

	assert_true(stub.length < sizeof stub.answer);
	stub.answer[stub.length] = 0;
	return action;
}

static void assert_answer(const char *packet, const char *answer)
{
	assert_int_equal(ask(packet), GDB_ANSWER);
	assert_string_equal(stub.answer, answer);
}

/* ---- memory -------------------------------------------------------------- */

static void memory_is_read_by_linear_address(void **state)
{
	(void)state;
	assert_answer("m0,4", "80818283");
	assert_answer("m1ffe,4", "9d9eb0b1"); /* over a page's end */
	assert_answer("m2ffe,8", "bdbe");     /* as far as there is any */
	assert_answer("m3000,1", "E01");
	assert_answer("mffffffffffffffff,ffffffffffffffff", "E01");
	assert_answer("m0,0", "E01");
	assert_answer("m", "E01");
	assert_int_equal(ask("m0,10000"), GDB_ANSWER);
	assert_int_equal(stub.length, 2 * (GDB_PACKET_MAX / 2 - 16));
	/* A page is looked up once. */
	reads = 0;
	assert_answer("m4,1", "84");
	assert_int_equal(reads, 1);
	gdb_stub_goes_on(&stub);
	assert_answer("m4,1", "84");
	assert_int_equal(reads, 6);
}

static void memory_is_written(void **state)
{
	(void)state;
	assert_answer("M1ffe,4:01020304", "OK");
	assert_memory_equal(memory + 0x9ffe, "\1\2", 2);
	assert_memory_equal(memory + 0xb000, "\3\4", 2);
	assert_answer("M0,2:010203", "E01");
	assert_answer("M0,2:01", "E01");
	assert_answer("M0,2:01g2", "E01");
	assert_answer("M0,8000000000000000:", "E01");
	assert_answer("M3000,1:01", "E01");
	assert_answer("M0", "E01");
	assert_int_equal(gdb_stub_take(&stub, "X0,3:\0#\3", 8), GDB_ANSWER);
	assert_memory_equal(memory + 0x8000, "\0#\3", 3);
	gdb_stub_take(&stub, "X0,4:\0#\3", 8);
	assert_memory_equal(stub.answer, "E01", 3);
	/* One of the tables: what was known of them is not any more. */
	put_entry(0x4000, 2, 0x4003);
	gdb_stub_goes_on(&stub);
	assert_answer("m0,1", "00");
	assert_answer("M2000,2:03a0", "OK");
	assert_answer("m0,2", "a0a1");
}

/* ---- breakpoints --------------------------------------------------------- */

static void breakpoints_are_not_seen(void **state)
{
	(void)state;
	assert_answer("Z0,1001,1", "OK");
	assert_answer("Z0,1001,1", "OK");
	assert_int_equal(memory[0x9001], 0xcc);
	assert_answer("m1000,3", "909192");
	/* A write over it: it stays, and what was written is there later. */
	assert_answer("M1000,3:212223", "OK");
	assert_memory_equal(memory + 0x9000, "\x21\xcc\x23", 3);
	assert_answer("m1000,3", "212223");
	assert_answer("z0,1001,1", "OK");
	assert_memory_equal(memory + 0x9000, "\x21\x22\x23", 3);
	assert_answer("z0,1001,1", "OK");
	assert_answer("Z0,3000,1", "E01");
	assert_answer("Z1,1001,1", ""); /* of the processor */
	assert_answer("Z2,1001,1", "");
}

static void two_addresses_of_one_byte_share_a_breakpoint(void **state)
{
	(void)state;
	assert_answer("Z0,1001,1", "OK");
	assert_answer("Z0,5001,1", "OK");
	assert_answer("m5000,2", "9091");
	assert_answer("z0,1001,1", "OK");
	assert_int_equal(memory[0x9001], 0xcc);
	assert_answer("m1000,2", "9091");
	assert_answer("z0,5001,1", "OK");
	assert_int_equal(memory[0x9001], 0x91);
}

static void breakpoints_go_and_stay_where_they_were(void **state)
{
	char packet[32];

	(void)state;
	assert_answer("Z0,1001,1", "OK");
	/* The guest maps another page there, and writes over the next one. */
	put_entry(0x4000, 1, 0xd003);
	gdb_stub_goes_on(&stub);
	assert_answer("Z0,2,1", "OK");
	memory[0x8002] = 0x55;
	assert_answer("m2,1", "55");
	assert_true(gdb_stub_clear(&stub));
	assert_int_equal(memory[0x9001], 0x91);
	assert_int_equal(memory[0x8002], 0x55);
	assert_int_equal(memory[0xd001], 0xd1);
	for (int i = 0; i <= GDB_BREAKPOINTS_MAX; i++) {
		snprintf(packet, sizeof packet, "Z0,%x,1", i);
		assert_answer(packet, i < GDB_BREAKPOINTS_MAX ? "OK" : "E01");
	}
	assert_true(gdb_stub_clear(&stub));
	for (size_t i = 0x8000; i < 0x8200; i++)
		if (i != 0x8002)
			assert_int_equal(memory[i], (uint8_t)(i / 256 + i));
}

static void breakpoints_can_be_out_for_a_while(void **state)
{
	(void)state;
	assert_answer("Z0,1001,1", "OK");
	assert_answer("Z0,5001,1", "OK"); /* the same byte */
	assert_answer("Z0,2,1", "OK");
	assert_true(gdb_stub_arm(&stub, false));
	assert_int_equal(memory[0x9001], 0x91);
	assert_int_equal(memory[0x8002], 0x82);
	memory[0x8002] = 0x66;
	assert_true(gdb_stub_arm(&stub, true));
	assert_int_equal(memory[0x9001], 0xcc);
	assert_int_equal(memory[0x8002], 0xcc);
	assert_answer("m5000,2", "9091");
	assert_answer("m2,1", "66");
	assert_true(gdb_stub_clear(&stub));
	assert_int_equal(memory[0x9001], 0x91);
	assert_int_equal(memory[0x8002], 0x66);
}

static void a_stop_says_whether_it_is_a_breakpoint(void **state)
{
	(void)state;
	assert_answer("Z0,1001,1", "OK");
	vcpus[2].rip = 0x1001;
	assert_true(gdb_stub_stopped(&stub, 2, 5));
	assert_answer("?", "T05swbreak:;thread:3;");
	assert_answer("qC", "QC3");
	vcpus[1].rip = 0x1002;
	assert_false(gdb_stub_stopped(&stub, 1, 2));
	assert_answer("?", "T02thread:2;");
}

/* ---- registers and threads ----------------------------------------------- */

static void registers_are_in_gdbs_order(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 16; i++)
		vcpus[1].gpr[i] = 0x1122334455667700 + i;
	vcpus[1].rip = 0xffffffff81000000;
	vcpus[1].rflags = 0x246;
	vcpus[1].segments[1].selector = 0x10;
	vcpus[1].segments[5].base = 0xabcd;
	assert_answer("Hg2", "OK");
	assert_answer("p1", "0377665544332211"); /* rbx */
	assert_answer("p7", "0477665544332211"); /* rsp */
	assert_answer("p10", "00000081ffffffff");
	assert_answer("p11", "46020000");
	assert_answer("p12", "10000000");	      /* cs */
	assert_answer("p18", "xxxxxxxxxxxxxxxxxxxx"); /* st0 */
	assert_answer("p29", "cdab000000000000");     /* gs_base */
	assert_answer("p2a", "0100008000000000");     /* cr0 */
	assert_answer("p37", "E01");
	assert_answer("pffffffffffffffff", "E01");
	assert_int_equal(ask("g"), GDB_ANSWER);
	assert_in_range(stub.length, 700, GDB_REGISTERS_MAX);
	assert_memory_equal(stub.answer, "0077665544332211", 16);
}

static void registers_are_set(void **state)
{
	static char all[GDB_PACKET_MAX + 2];

	(void)state;
	vcpus[0].halted = 1;
	assert_answer("P1=0807060504030201", "OK");
	assert_int_equal(vcpus[0].gpr[3], 0x0102030405060708);
	assert_int_equal(vcpus[0].halted, 1);
	assert_answer("P10=0010000000000000", "OK");
	assert_int_equal(vcpus[0].rip, 0x1000);
	assert_int_equal(vcpus[0].halted, 0); /* it is to go on from there */
	assert_answer("P11=01000000", "OK");
	assert_int_equal(vcpus[0].rflags, 1);
	assert_answer("P12=08000000", "E01"); /* a selector without its base */
	assert_answer("P1=08070605040302", "E01");
	assert_answer("P1=080706050403020g", "E01");
	assert_answer("P37=00", "E01");
	assert_answer("P1", "E01");
	ask("g");
	snprintf(all, sizeof all, "G%s", stub.answer);
	memcpy(all + 1, "ffffffffffffffff", 16);
	assert_answer(all, "OK");
	assert_true(vcpus[0].gpr[0] == UINT64_MAX);
	assert_int_equal(vcpus[0].gpr[3], 0x0102030405060708);
	all[500] = 0;
	assert_answer(all, "E01");
	all[1] = 'x';
	assert_answer(all, "E01");
}

static void vcpus_are_threads(void **state)
{
	(void)state;
	vcpus[1].halted = 1;
	assert_answer("qfThreadInfo", "m1,2,3");
	assert_answer("qsThreadInfo", "l");
	/* "vCPU 1 (halted)" */
	assert_answer("qThreadExtraInfo,2", "76435055203120"
					    "2868616c74656429");
	assert_answer("T3", "OK");
	assert_answer("T4", "E01");
	assert_answer("Hg4", "E01");
	assert_answer("H", "E01");
	assert_answer("Hc-1", "OK");
	assert_answer("Hg-", "OK");
	assert_answer("qC", "QC1");
}

/* ---- how it goes on ------------------------------------------------------ */

static void a_step_is_one_vcpus(void **state)
{
	(void)state;
	assert_int_equal(ask("vCont;c"), GDB_CONTINUE);
	assert_int_equal(ask("vCont;C05:1"), GDB_CONTINUE);
	assert_int_equal(ask("vCont;s:3;c"), GDB_STEP);
	assert_int_equal(stub.step_vcpu, 2);
	assert_int_equal(ask("vCont;s"), GDB_STEP);
	assert_int_equal(stub.step_vcpu, 0);
	assert_answer("vCont;s:4", "E01");
	assert_answer("vCont;t", "E01");
	assert_answer("vCont", "E01");
	assert_answer("vCont;", "E01");
	assert_answer("vCont?", "vCont;c;C;s;S");
	assert_int_equal(ask("c"), GDB_CONTINUE);
	assert_int_equal(ask("s"), GDB_STEP);
	assert_int_equal(ask("D"), GDB_DETACH);
	assert_string_equal(stub.answer, "OK");
	assert_int_equal(ask("k"), GDB_KILL);
	assert_int_equal(ask("vKill;1"), GDB_KILL);
	assert_answer("vMustReplyEmpty", "");
	assert_answer("", "");
}

static void the_description_comes_in_pieces(void **state)
{
	char whole[8192] = "", packet[64];
	const char *description;
	size_t length = gdb_description(&description), pieces = 0;

	(void)state;
	do {
		snprintf(packet, sizeof packet,
			 "qXfer:features:read:target.xml:%zx,3e8",
			 strlen(whole));
		ask(packet);
		strcat(whole, stub.answer + 1);
	} while (stub.answer[0] == 'm' && pieces++ < 10);
	assert_int_equal(stub.answer[0], 'l');
	assert_int_equal(strlen(whole), length);
	assert_string_equal(whole, description);
	assert_non_null(strstr(whole, "</feature></target>"));
	assert_answer("qXfer:features:read:target.xml:ffffffffffffffff,ffff",
		      "l");
	assert_answer("qXfer:features:read:other.xml:0,100", "");
}

/* Whatever comes, it ends, and stays in its bounds. */
static void hostile_packets_do_no_harm(void **state)
{
	static const char *const begins[] = {
		"m",
		"M",
		"X",
		"G",
		"P",
		"p",
		"Z0,",
		"z0,",
		"Hg",
		"vCont;",
		"qXfer:features:read:",
		"vCont",
		"T",
		"?",
		"qThreadExtraInfo,",
		"qXfer:features:read:target.xml:",
	};
	static const char letters[] = "0123456789abcdefx,:;=-csCSg\1}";
	char packet[256];
	uint64_t random = 1;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		size_t length;

		random = random * 6364136223846793005 + 1442695040888963407;
		strcpy(packet, begins[(random >> 33) % ARRAY_COUNT(begins)]);
		length = strlen(packet);
		for (size_t i = (random >> 40) % 24; i; i--) {
			random = random * 6364136223846793005 + 1;
			packet[length++] =
				letters[(random >> 33) % (sizeof letters - 1)];
		}
		packet[length] = 0;
		gdb_stub_take(&stub, packet, length);
		assert_true(stub.length <= sizeof stub.answer);
		assert_true(stub.step_vcpu < 3 && stub.vcpu < 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_is_found_among_other_bytes),
		cmocka_unit_test(a_packet_has_so_much_room),
		cmocka_unit_test(what_is_sent_is_escaped),
		cmocka_unit_test_setup(memory_is_read_by_linear_address, begin),
		cmocka_unit_test_setup(memory_is_written, begin),
		cmocka_unit_test_setup(breakpoints_are_not_seen, begin),
		cmocka_unit_test_setup(
			two_addresses_of_one_byte_share_a_breakpoint, begin),
		cmocka_unit_test_setup(breakpoints_go_and_stay_where_they_were,
				       begin),
		cmocka_unit_test_setup(breakpoints_can_be_out_for_a_while,
				       begin),
		cmocka_unit_test_setup(a_stop_says_whether_it_is_a_breakpoint,
				       begin),
		cmocka_unit_test_setup(registers_are_in_gdbs_order, begin),
		cmocka_unit_test_setup(registers_are_set, begin),
		cmocka_unit_test_setup(vcpus_are_threads, begin),
		cmocka_unit_test_setup(a_step_is_one_vcpus, begin),
		cmocka_unit_test_setup(the_description_comes_in_pieces, begin),
		cmocka_unit_test_setup(hostile_packets_do_no_harm, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
