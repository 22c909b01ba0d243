/* SPDX-License-Identifier: MIT */
/* What is counted and kept, as the operator asks for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/manage/request.h"
#include "tests/unit/fake_line.h"
#include <mullion/balloon.h>
#include <mullion/shared_port.h>
#include <mullion/trace.h>

static char printed[65536]; /* what consoles sent */
static size_t printed_length;
static uint32_t replies, pendings, pending_sequence;

static void hear(void *context, const struct mull_frame_header *header,
		 const void *payload, size_t length)
{
	(void)context;
	replies += header->type == MULL_FRAME_REPLY;
	if (header->type == MULL_FRAME_PENDING) {
		assert_int_equal(length, sizeof(struct mull_reply));
		memcpy(&pending_sequence, payload, sizeof pending_sequence);
		pendings++;
	}
	if (header->type != MULL_FRAME_CONSOLE)
		return;
	assert_true(length < sizeof printed - printed_length);
	memcpy(printed + printed_length, payload, length);
	printed_length += length;
	printed[printed_length] = '\0';
}

static struct frame_decoder ears = { .on_frame = hear };

static void on_wire(uint8_t byte)
{
	frame_decode(&ears, &byte, 1);
}

static struct answer answer;
static uint32_t asked; /* requests that change something, each another one */

static enum error ask(uint32_t command, uint32_t vm, uint64_t argument)
{
	struct mull_request request = { command, vm, argument };

	request_obey(LINE_SERIAL, 1, &request, sizeof request, &answer);
	assert_false(answer.pending);
	return answer.reply.error;
}

static int fresh(void **unused)
{
	(void)unused;
	frame_decoder_flush(&ears);
	begin(MULL_SERIAL_CHANNEL, 4);
	serve(200);
	printed_length = replies = pendings = 0;
	printed[0] = '\0';
	return 0;
}

/* ---- streams ------------------------------------------------------------- */

static enum error ask_stream(uint32_t command, uint32_t vm, uint64_t argument,
			     const void *data, size_t length)
{
	uint8_t bytes[256];
	struct mull_request request = { command, vm, argument };

	memcpy(bytes, &request, sizeof request);
	memcpy(bytes + sizeof request, data, length);
	request_obey(LINE_SERIAL, ++asked, bytes, sizeof request + length,
		     &answer);
	assert_false(answer.pending);
	return answer.reply.error;
}

static void an_agent_is_spoken_with(void **unused)
{
	const uint32_t number = MULL_STREAM_AGENT, other = 7;
	char bytes[100] = "";

	(void)unused;
	state(0, MULL_VM_RUNNING);
	assert_int_equal(
		ask_stream(MULL_COMMAND_STREAM_SEND, 0, number, "a", 1),
		ERR_WRONG_STATE); /* it does not listen */
	fake_agent.open = true;
	assert_int_equal(ask_stream(MULL_COMMAND_STREAM_SEND, 0, number, bytes,
				    sizeof bytes),
			 ERR_NONE);
	assert_int_equal(answer.reply.value, 64); /* all that fits */
	assert_int_equal(
		ask_stream(MULL_COMMAND_STREAM_SEND, 0, number, "a", 1),
		ERR_NONE);
	assert_int_equal(answer.reply.value, 0);
	assert_int_equal(agent_changes, 2);
	console_put(&fake_agent.from_guest, "hello", 5);
	assert_int_equal(ask_stream(MULL_COMMAND_STREAM_READ, 0, 0, &number, 4),
			 ERR_NONE);
	assert_int_equal(answer.length, 5);
	assert_memory_equal(answer.data, "hello", 5);
	assert_int_equal(
		ask_stream(MULL_COMMAND_STREAM_READ, 0, UINT64_MAX, &number, 4),
		ERR_NONE);
	assert_int_equal(answer.length, 0);
	assert_int_equal(answer.reply.value, 5);
	/* Another number, another VM, another state, another length. */
	assert_int_equal(ask_stream(MULL_COMMAND_STREAM_READ, 0, 0, &other, 4),
			 ERR_NOT_FOUND);
	assert_int_equal(ask_stream(MULL_COMMAND_STREAM_SEND, 0, other, "a", 1),
			 ERR_NOT_FOUND);
	assert_int_equal(ask_stream(MULL_COMMAND_STREAM_READ, 0, 0, "", 0),
			 ERR_BAD_REQUEST);
	assert_int_equal(ask_stream(MULL_COMMAND_STREAM_SEND, 0, 0, "", 0),
			 ERR_BAD_REQUEST);
	state(1, MULL_VM_RUNNING);
	assert_int_equal(ask_stream(MULL_COMMAND_STREAM_READ, 1, 0, &number, 4),
			 ERR_NOT_FOUND);
	state(0, MULL_VM_PAUSED);
	assert_int_equal(ask_stream(MULL_COMMAND_STREAM_READ, 0, 0, &number, 4),
			 ERR_WRONG_STATE);
}

static void sockets_are_spoken_with(void **unused)
{
	const uint32_t stream = MULL_STREAM_VSOCK + 1, listen = 1, bad = 2;
	const struct mull_vsock_state *seen = (const void *)answer.data;
	uint32_t zero = 0;

	(void)unused;
	state(0, MULL_VM_RUNNING);
	assert_int_equal(ask_stream(MULL_COMMAND_VSOCK_OPEN, 0, 80, &zero, 4),
			 ERR_NOT_FOUND); /* it has none */
	assert_int_equal(ask_stream(MULL_COMMAND_VSOCK_STATE, 0, stream, "", 0),
			 ERR_NOT_FOUND);
	guests[0].vsock = (void *)1; /* is not looked at */
	assert_int_equal(ask_stream(MULL_COMMAND_VSOCK_OPEN, 0, 80, &listen, 4),
			 ERR_NONE);
	assert_int_equal(answer.reply.value, stream);
	assert_int_equal(fake_host.own_port, 81);
	assert_int_equal(ask_stream(MULL_COMMAND_VSOCK_OPEN, 0, 80, &bad, 4),
			 ERR_BAD_REQUEST);
	assert_int_equal(
		ask_stream(MULL_COMMAND_VSOCK_OPEN, 0, 1ull << 32, &zero, 4),
		ERR_BAD_REQUEST);
	fake_host_error = ERR_BUSY;
	assert_int_equal(ask_stream(MULL_COMMAND_VSOCK_OPEN, 0, 80, &zero, 4),
			 ERR_BUSY);
	fake_host_error = ERR_NONE;
	assert_int_equal(ask_stream(MULL_COMMAND_VSOCK_STATE, 0, stream, "", 0),
			 ERR_NONE);
	assert_int_equal(answer.length, sizeof *seen);
	assert_int_equal(seen->phase, MULL_VSOCK_WAITS);
	assert_int_equal(seen->guest_port, 80);
	assert_int_equal(
		ask_stream(MULL_COMMAND_STREAM_SEND, 0, stream, "hello", 5),
		ERR_NONE);
	assert_int_equal(answer.reply.value, 5);
	state(0, MULL_VM_STOPPED); /* what it sent can still be read */
	console_put(&fake_host.stream.from_guest, "bye", 3);
	assert_int_equal(ask_stream(MULL_COMMAND_STREAM_READ, 0, 0, &stream, 4),
			 ERR_NONE);
	assert_memory_equal(answer.data, "bye", 3);
	assert_int_equal(ask_stream(MULL_COMMAND_VSOCK_OPEN, 0, 80, &zero, 4),
			 ERR_WRONG_STATE);
	assert_int_equal(
		ask_stream(MULL_COMMAND_VSOCK_CLOSE, 0, stream, &zero, 4),
		ERR_NONE);
	assert_int_equal(
		ask_stream(MULL_COMMAND_VSOCK_CLOSE, 0, stream, &bad, 4),
		ERR_BAD_REQUEST);
	assert_int_equal(fake_host_ends[0], 1);
	guests[0].vsock = NULL;
}

/* ---- consoles ------------------------------------------------------------ */

static void history_keeps_what_was_printed(void **unused)
{
	(void)unused;
	print(0, "one\ntwo\n");
	serve(50);
	assert_string_equal(printed, "one\ntwo\n");
	assert_int_equal(ask(MULL_COMMAND_HISTORY, 0, 0), ERR_NONE);
	assert_int_equal(answer.reply.value, 0);
	assert_int_equal(answer.length, 8);
	assert_memory_equal(answer.data, "one\ntwo\n", 8);
	ask(MULL_COMMAND_HISTORY, 0, 4);
	assert_int_equal(answer.reply.value, 4);
	assert_int_equal(answer.length, 4);
	ask(MULL_COMMAND_HISTORY, 0, 1ull << 40);
	assert_int_equal(answer.reply.value, 8);
	assert_int_equal(answer.length, 0);
	assert_int_equal(guests[0].serial.output.tail, 8);
	/* Old bytes have gone: the oldest that is there comes. */
	guests[0].serial.output.tail = guests[0].serial.output.head = 10000;
	ask(MULL_COMMAND_HISTORY, 0, 17);
	assert_int_equal(answer.reply.value, 10000 - 4096);
	assert_int_equal(answer.length, MULL_REPLY_DATA_MAX);
}

static void a_console_that_is_not_attached_holds_up_nobody(void **unused)
{
	(void)unused;
	assert_int_equal(ask(MULL_COMMAND_ATTACH, 0, 0), ERR_NONE);
	for (int i = 0; i < 300; i++)
		assert_int_equal(print(0, "spam and ham and eggs\n"), 22);
	print(1, "heard\n");
	serve(100);
	assert_string_equal(printed, "heard\n");
	assert_false(manage_needs_polling());

	assert_int_equal(ask(MULL_COMMAND_ATTACH, 0, 1), ERR_NONE);
	assert_int_equal(answer.reply.value, 6600);
	print(0, "from here\n");
	serve(50);
	assert_string_equal(printed, "heard\nfrom here\n");
	ask(MULL_COMMAND_HISTORY, 0, 6600 - 5);
	assert_memory_equal(answer.data, "eggs\nfrom", 9);
}

static void what_waits_is_dropped_when_it_is_detached(void **unused)
{
	(void)unused;
	while (print(0, "spam and ham and eggs and so on\n"))
		;
	drains = 0;
	assert_int_equal(ask(MULL_COMMAND_ATTACH, MULL_ALL_VMS, 0), ERR_NONE);
	assert_int_equal(drains, 4); /* who waited goes on */
	state(0, MULL_VM_STOPPED);   /* nothing is left to wait for */
	serve(200);
	assert_true(printed_length < 2 * CONSOLE_PIECE);
	assert_int_equal(ask(MULL_COMMAND_LIST, 0, 0), ERR_NONE);
	assert_int_equal(((struct mull_vm_status *)answer.data)->flags, 0);
	assert_int_equal(ask(MULL_COMMAND_ATTACH, 4, 1), ERR_NOT_FOUND);
	assert_int_equal(ask(MULL_COMMAND_ATTACH, 0, 2), ERR_BAD_REQUEST);
}

/* ---- what takes long ----------------------------------------------------- */

/* Each half a second it is told that the request is being done: memory that is
 * erased may take long, and no event comes meanwhile. */
static void a_request_that_takes_long_is_told_of(void **unused)
{
	struct mull_request request = { MULL_COMMAND_MACHINE, 0,
					MULL_MACHINE_POWER_OFF };
	struct mull_frame_header header = { .version = MULL_CHANNEL_VERSION,
					    .type = MULL_FRAME_REQUEST,
					    .sequence = 0x1234 };
	uint8_t frame[FRAME_WIRE_MAX];

	(void)unused;
	state(0, MULL_VM_STOPPING);
	incoming(frame, frame_encode(&header, &request, sizeof request, frame));
	serve(490);
	assert_int_equal(pendings, 0);
	serve(2000);
	assert_int_equal(pendings, 4);
	assert_int_equal(pending_sequence, 0x1234);
	assert_int_equal(replies, 0);
	for (uint32_t i = 0; i < 4; i++) {
		state(i, MULL_VM_STOPPED);
		guests[i].commands = 0;
	}
	manage_notify();
	serve(100);
	assert_int_equal(replies, 1);
	serve(2000);
	assert_int_equal(pendings, 4);
}

/* ---- records ------------------------------------------------------------- */

static void the_last_events_can_be_asked_for(void **unused)
{
	const struct mull_event *events = (struct mull_event *)answer.data;
	const uint32_t kept = 2 * MULL_VM_MAX, made = kept + 6;
	uint64_t before = event_count();

	(void)unused;
	for (uint32_t i = 0; i < made; i++) {
		guests[0].restarts = i;
		state(0, MULL_VM_RUNNING);
		serve(30);
	}
	assert_int_equal(ask(MULL_COMMAND_EVENTS, 0, 0), ERR_NONE);
	assert_int_equal(answer.reply.value, before + made - kept);
	assert_int_equal(answer.length, 4 * sizeof *events);
	assert_int_equal(events[0].restarts, 6);
	assert_int_equal(events[3].restarts, 9);
	ask(MULL_COMMAND_EVENTS, 0, before + made - 1);
	assert_int_equal(answer.length, sizeof *events);
	assert_int_equal(events[0].restarts, made - 1);
	ask(MULL_COMMAND_EVENTS, 0, UINT64_MAX);
	assert_int_equal(answer.length, 0);
	assert_int_equal(answer.reply.value, before + made);
}

static void the_log_can_be_asked_for(void **unused)
{
	uint64_t head = log_head();

	(void)unused;
	log_write("a line");
	assert_int_equal(ask(MULL_COMMAND_LOG, 0, head), ERR_NONE);
	assert_int_equal(answer.reply.value, head);
	assert_memory_equal(answer.data, "<6>[    0.200000] a line\n", 25);
	assert_int_equal(answer.length, 25);
}

static void the_ledger_has_the_phases(void **unused)
{
	const struct mull_phase *phases = (struct mull_phase *)answer.data;
	struct mull_boot_info boot = { .tsc_loader_start = 500,
				       .tsc_left_firmware = 900 };

	(void)unused;
	ledger_start(&boot);
	ledger_note(1500, "%s: all is well", "web");
	assert_int_equal(ask(MULL_COMMAND_LEDGER, 0, 0), ERR_NONE);
	assert_int_equal(answer.length, 3 * sizeof *phases);
	assert_int_equal(phases[0].time_ns, 400);
	assert_int_equal(phases[2].time_ns, 1000);
	assert_string_equal(phases[2].words, "web: all is well");
	for (int i = 0; i < 200; i++) /* restarts go on for ever */
		ledger_note(1600, "more");
	ask(MULL_COMMAND_LEDGER, 0, 0);
	assert_int_equal(answer.length, 15 * sizeof *phases);
	assert_int_equal(answer.reply.value, 15);
	ask(MULL_COMMAND_LEDGER, 0, 3 * MULL_VM_MAX - 6);
	assert_int_equal(answer.length, 6 * sizeof *phases);
	assert_int_equal(answer.reply.value, 0);
}

static void info_tells_of_the_machine(void **unused)
{
	const struct mull_info *info = (struct mull_info *)answer.data;

	(void)unused;
	assert_int_equal(ask(MULL_COMMAND_INFO, 0, 0), ERR_NONE);
	assert_int_equal(info->memory_total, MIB(7));
	assert_int_equal(info->wall_clock_ns, fake_time + 7);
	assert_string_equal(info->firmware, "Pear 1.2");
	assert_string_equal(info->features, "one, two");
	assert_int_equal(info->package_sha256[1], 0xbb);
	assert_int_equal(info->event_count, event_count());
}

/* ---- numbers ------------------------------------------------------------- */

static struct vcpu two[2];

static void give_vcpus(void)
{
	memset(two, 0, sizeof two);
	guests[0].vcpu_count = 2;
	for (uint32_t i = 0; i < 2; i++) {
		two[i].vm = &guests[0];
		two[i].index = two[i].cpu = i;
		guests[0].vcpus[i] = &two[i];
		two[i].exits[EXIT_HALT] = 5;
		two[i].interrupts = 3;
		two[i].work.ticks = 70;
	}
}

static void memory_is_what_it_has_now(void **unused)
{
	const struct mull_vm_status *status = (void *)answer.data;
	struct balloon balloon = { .gone = 3 };
	struct mull_vm *description = &vms[0]->description;

	(void)unused;
	description->memory_size = 8 * FRAME_SIZE;
	ask(MULL_COMMAND_LIST, 0, 0);
	assert_int_equal(status->memory_size, 8 * FRAME_SIZE);
	vms[0]->balloon = &balloon;
	ask(MULL_COMMAND_LIST, 0, 0);
	assert_int_equal(status->memory_size, 5 * FRAME_SIZE);
	vms[0]->balloon = NULL;
}

static void stats_add_up(void **unused)
{
	const struct mull_vm_stats *stats = (struct mull_vm_stats *)answer.data;
	const struct mull_cpu_stats *cpus = (void *)answer.data;
	static struct shared_ports shared = {
		.count = 2,
		.ports = { { .rings = 3 }, { .rings = 4, .refused = 2 } },
	};

	(void)unused;
	give_vcpus();
	two[0].guest.ticks = 1000;
	stopwatch_start(&two[1].guest, fake_time - 200); /* it is there now */
	assert_int_equal(ask(MULL_COMMAND_VM_STATS, 0, MULL_ALL_VCPUS),
			 ERR_NONE);
	assert_int_equal(answer.length, sizeof *stats);
	assert_int_equal(stats->guest_ns, 1200);
	assert_int_equal(stats->hypervisor_ns, 140);
	assert_int_equal(stats->interrupts, 6);
	assert_int_equal(stats->exits[EXIT_HALT], 10);
	assert_int_equal(stats->doorbells, 0);
	guests[0].shared = &shared;
	ask(MULL_COMMAND_VM_STATS, 0, MULL_ALL_VCPUS);
	guests[0].shared = NULL;
	assert_int_equal(stats->doorbells, 7);
	assert_int_equal(stats->refused_writes, 2);
	ask(MULL_COMMAND_VM_STATS, 0, 1);
	assert_int_equal(stats->guest_ns, 200);
	assert_int_equal(stats->exits[EXIT_HALT], 5);
	assert_int_equal(ask(MULL_COMMAND_VM_STATS, 0, 2), ERR_NOT_FOUND);
	/* And nothing of the record that was begun. */
	assert_int_equal(answer.length, strlen("not found"));
	assert_memory_equal(answer.data, "not found", answer.length);
	ask(MULL_COMMAND_LIST, 0, 0);
	assert_int_equal(((struct mull_vm_status *)answer.data)->guest_ns,
			 1200);

	fake_cpu_count = 30;
	assert_int_equal(ask(MULL_COMMAND_CPU_STATS, 0, 1), ERR_NONE);
	assert_int_equal(answer.length, 21 * sizeof *cpus);
	assert_int_equal(answer.reply.value, 22);
	assert_int_equal(cpus[0].cpu, 1);
	assert_int_equal(cpus[0].vcpu_count, 1);
	assert_int_equal(cpus[1].vcpu_count, 0);
	fake_cpu_count = 1;
}

static void count_slot(const struct pci_function *function,
		       struct mull_device_stats *stats)
{
	stats->chains = 100 + function->slot;
}

static void devices_tell_what_they_count(void **unused)
{
	static const struct pci_operations counting = { .stats = count_slot };
	static const struct pci_operations silent;
	static struct pci_function functions[12];
	const struct mull_device_stats *stats = (void *)answer.data;

	(void)unused;
	for (uint32_t i = 0; i < 12; i++) {
		functions[i].slot = 2 * i;
		functions[i].operations = i ? &counting : &silent;
		guests[0].pci.functions[2 * i] = &functions[i];
	}
	assert_int_equal(ask(MULL_COMMAND_DEVICE_STATS, 0, 0), ERR_NONE);
	assert_int_equal(answer.length, 6 * sizeof *stats);
	assert_int_equal(answer.reply.value, 14); /* more did not fit */
	assert_int_equal(stats[0].slot, 2);
	assert_int_equal(stats[0].chains, 102);
	assert_int_equal(ask(MULL_COMMAND_DEVICE_STATS, 0, 14), ERR_NONE);
	assert_int_equal(answer.length, 5 * sizeof *stats);
	assert_int_equal(answer.reply.value, 0);
	assert_int_equal(stats[4].slot, 22);
	assert_int_equal(ask(MULL_COMMAND_DEVICE_STATS, 0, 33),
			 ERR_BAD_REQUEST);
	memset(&guests[0].pci, 0, sizeof guests[0].pci);
}

static void the_list_tells_all_at_once(void **unused)
{
	const struct mull_vm_status *status = (void *)answer.data;

	(void)unused;
	ask(MULL_COMMAND_LIST, 0, 0);
	assert_int_equal(status->flags, MULL_STATUS_ATTACHED);
	guests[0].created = guests[0].debugged = true;
	guests[0].state = MULL_VM_PAUSED;
	guests[0].stopped_by = 3;
	ask(MULL_COMMAND_LIST, 0, 0);
	assert_int_equal(status->flags, MULL_STATUS_ATTACHED |
						MULL_STATUS_CREATED |
						MULL_STATUS_DEBUGGED);
	assert_int_equal(status->reason, MULL_END_BREAKPOINT);
	assert_int_equal(status->code, 2);
	ask(MULL_COMMAND_ATTACH, 0, 0);
	ask(MULL_COMMAND_LIST, 0, 0);
	assert_int_equal(status->flags,
			 MULL_STATUS_CREATED | MULL_STATUS_DEBUGGED);
}

/* ---- trace --------------------------------------------------------------- */

static uint32_t lines_with(const char *words)
{
	char text[LOG_LINE_MAX + 1];
	uint32_t count = 0;
	size_t length;

	while ((length = log_take(LOG_SERIAL, text, LOG_LINE_MAX))) {
		text[length] = '\0';
		count += !strncmp(text, LOG_TRACE, 3) && strstr(text, words);
	}
	return count;
}

static void trace_is_asked_for_and_limited(void **unused)
{
	(void)unused;
	give_vcpus();
	serving = false; /* the lines stay */
	uart = NULL;
	TRACE(EXIT, &two[1], "exit %u", 7);
	assert_int_equal(lines_with("exit"), 0);
	assert_int_equal(
		ask(MULL_COMMAND_TRACE, 0, MULL_TRACE_EXIT | MULL_TRACE_MANAGE),
		ERR_NONE);
	for (int i = 0; i < 100; i++)
		TRACE(EXIT, &two[1], "exit %u", 7);
	TRACE(DEVICE, &two[1], "exit to a device");
	assert_int_equal(lines_with("web/1: exit 7\n"), 10);
	fake_time += 1000 * (uint64_t)MS;
	TRACE(EXIT, &two[1], "exit %u", 7);
	assert_int_equal(lines_with("90 lines dropped"), 1);
	fake_time += 1000 * (uint64_t)MS;
	ask(MULL_COMMAND_START, 1, 0);
	assert_int_equal(lines_with("request 4, VM 1"), 1);
	for (int i = 0; i < 3; i++) { /* looking changes nothing */
		ask(MULL_COMMAND_TRACE, 0, i < 2 ? MULL_TRACE_LOOK : 0);
		assert_int_equal(answer.reply.value,
				 MULL_TRACE_EXIT | MULL_TRACE_MANAGE);
	}
	ask(MULL_COMMAND_TRACE, 0, MULL_TRACE_LOOK);
	assert_int_equal(answer.reply.value, 0);
	assert_int_equal(ask(MULL_COMMAND_TRACE, 0, MULL_TRACE_LOOK + 1),
			 ERR_BAD_REQUEST);
}

/* ---- how long a reply takes ---------------------------------------------- */

static void flood(void)
{
	for (uint32_t i = 0; i < 4; i++)
		while (print(i, "spam and ham and eggs and so on\n"))
			;
	log_write("and the log");
}

static uint32_t list_takes(void)
{
	struct mull_request request = { .command = MULL_COMMAND_LIST };
	struct mull_frame_header header = { .version = MULL_CHANNEL_VERSION,
					    .type = MULL_FRAME_REQUEST };
	uint8_t frame[FRAME_WIRE_MAX];
	uint32_t taken = 0;

	replies = printed_length = 0;
	incoming(frame, frame_encode(&header, &request, sizeof request, frame));
	while (!replies) {
		serve(1);
		assert_true(++taken < 1000);
	}
	return taken;
}

/* At most a frame of the log goes before, and the reply itself is the longest
 * there is: three VMs. */
static void four_floods_delay_no_reply(void **unused)
{
	uint32_t worst = 0;

	(void)unused;
	each_millisecond = flood;
	serve(500);
	for (uint32_t i = 0; i < 50; i++) {
		uint32_t taken = list_takes();

		serve(i % 7); /* at another place of a frame */
		worst = taken > worst ? taken : worst;
	}
	assert_in_range(worst, 50, 200);
	print_message("a reply of 832 bytes took %u ms at most\n", worst);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_agent_is_spoken_with),
		TEST(sockets_are_spoken_with),
		TEST(history_keeps_what_was_printed),
		TEST(a_console_that_is_not_attached_holds_up_nobody),
		TEST(what_waits_is_dropped_when_it_is_detached),
		TEST(a_request_that_takes_long_is_told_of),
		TEST(the_last_events_can_be_asked_for),
		TEST(the_log_can_be_asked_for),
		TEST(the_ledger_has_the_phases),
		TEST(info_tells_of_the_machine),
		TEST(memory_is_what_it_has_now),
		TEST(stats_add_up),
		TEST(devices_tell_what_they_count),
		TEST(the_list_tells_all_at_once),
		TEST(trace_is_asked_for_and_limited),
		TEST(four_floods_delay_no_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
