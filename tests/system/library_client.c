/* SPDX-License-Identifier: MIT */
/*
 * A program of somebody who has installed libmullctl: calls every function of
 * <mullctl.h> against a hypervisor whose VMs are the counters "steady", which
 * runs, and "short", which has ended.  A line "PASS WORDS" or "FAIL WORDS" for
 * each.  library_client ADDRESS
 */
#include <mullctl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PATIENCE 60 /* seconds */

static int failures;

static void say(bool holds, const char *words)
{
	printf("%s %s\n", holds ? "PASS" : "FAIL", words);
	failures += !holds;
}

/* ---- what comes unasked ---------------------------------------------------- */

struct heard {
	uint32_t steady; /* its number */
	size_t console, log, events, paused;
	int answers, error;
	uint64_t value;
};

static void on_console(void *context, uint32_t vm, const void *bytes,
		       size_t length)
{
	struct heard *heard = context;

	(void)bytes;
	if (vm == heard->steady)
		heard->console += length;
}

static void on_log(void *context, const char *text, size_t length)
{
	struct heard *heard = context;

	(void)text;
	heard->log += length;
}

static void on_event(void *context, uint32_t vm, const struct mull_event *event)
{
	struct heard *heard = context;

	heard->events++;
	heard->paused += vm == heard->steady && event->state == MULL_VM_PAUSED;
}

static void on_answer(void *context, int error,
		      const struct mull_answer *answer)
{
	struct heard *heard = context;

	heard->answers++;
	heard->error = error;
	heard->value = answer ? answer->value : 0;
}

/* ---- the calls --------------------------------------------------------------- */

static bool in_time(time_t start)
{
	return time(NULL) - start < PATIENCE;
}

static void refuses(void)
{
	uint8_t key[MULL_KEY_SIZE];
	struct mull *mull;

	say(mull_read_key("/dev/null", key) && mull_read_key("/nowhere", key),
	    "mull_read_key takes no key where there is none");
	say(mull_open(&mull, "udp:127.0.0.1,/dev/null", NULL) ==
			    MULL_BAD_ADDRESS &&
		    strstr(mull_words(mull), "/dev/null: a key is"),
	    "an address without a key is refused in words");
	mull_close(mull);
	say(mull_open(&mull, "carrier:pigeon", NULL) == MULL_BAD_ADDRESS &&
		    strlen(mull_words(mull)) > 10,
	    "an address of no known form is refused in words");
	mull_close(mull);
	say(mull_open(&mull, "unix:/nowhere/at/all", NULL) ==
			    MULL_UNREACHABLE &&
		    strstr(mull_words(mull), "/nowhere/at/all"),
	    "a line that is not there is named");
	mull_close(mull);
}

static void looks(struct mull *mull)
{
	static struct mull_cpu_stats cpus[MULL_CPU_MAX];
	static struct mull_vm_status list[MULL_VM_MAX];
	static struct mull_event events[4];
	static struct mull_phase phases[64];
	struct mull_info info;
	uint64_t number;
	size_t count;

	say(!mull_info(mull, &info) && info.cpu_count == 2, "mull_info");
	say(!mull_list(mull, list, &count) && count == 2 &&
		    !strcmp(list[0].name, "steady"),
	    "mull_list");
	say(!mull_ledger(mull, phases, 64, &count) && count > 5 &&
		    phases[0].words[0],
	    "mull_ledger");
	say(!mull_cpu_stats(mull, cpus, &count) && count == 2,
	    "mull_cpu_stats");
	say(!mull_events(mull, 0, events, 4, &count, &number) && count == 4 &&
		    events[0].state && events[0].name[0],
	    "mull_events");
}

static void audits(struct mull *mull)
{
	time_t start = time(NULL);
	struct mull_audit audit;
	int error = mull_audit(mull, true, &audit);

	while (!error && audit.running && in_time(start)) {
		mull_pump(mull, 100, -1);
		error = mull_audit(mull, false, &audit);
	}
	say(!error && !audit.running && !audit.faults && audit.frames,
	    "mull_audit");
}

static void asks(struct mull *mull, struct heard *heard)
{
	struct mull_request request = { .command = MULL_COMMAND_LIST };
	struct mull_answer answer;
	time_t start = time(NULL);

	say(!mull_ask(mull, MULL_COMMAND_INFO, 0, 0, &answer) &&
		    answer.length >= sizeof(struct mull_info),
	    "mull_ask");
	say(mull_request(mull, MULL_COMMAND_DESCRIBE, 0, 1 << 20, "x", 1,
			 NULL) == ERR_BAD_REQUEST &&
		    strlen(mull_words(mull)) > 10,
	    "mull_request hands on a refusal and its words");
	for (int i = 0; i < MULL_UNANSWERED_MAX; i++)
		mull_post(mull, MULL_FRAME_REQUEST, 0, &request, sizeof request,
			  on_answer, heard);
	say(mull_post(mull, MULL_FRAME_REQUEST, 0, &request, sizeof request,
		      on_answer, heard) == MULL_FULL,
	    "mull_post says when it is full");
	while (heard->answers < MULL_UNANSWERED_MAX && in_time(start))
		mull_pump(mull, 100, -1);
	say(heard->answers == MULL_UNANSWERED_MAX && !heard->error,
	    "mull_pump brings each answer");
}

static void consoles(struct mull *mull, struct heard *heard)
{
	time_t start = time(NULL);
	struct mull_vm_stats stats;
	uint64_t typed = 0;
	uint32_t vm = heard->steady;

	if (!mull_vm_stats(mull, vm, MULL_ALL_VCPUS, &stats))
		typed = stats.console_in;
	say(!mull_attach(mull, vm, true), "mull_attach");
	say(!mull_input(mull, vm, "abc", 3), "mull_input");
	while (!heard->console && in_time(start))
		mull_pump(mull, 100, -1);
	say(heard->console, "mull_handle: what the VM prints comes");
	say(!mull_vm_stats(mull, vm, MULL_ALL_VCPUS, &stats) &&
		    stats.console_in == typed + 3,
	    "mull_vm_stats counts what was typed");
	say(!mull_attach(mull, vm, false), "mull_attach: and leaves");
}

/* Waits until it is so, and it has restarted so often. */
static bool becomes_after(struct mull *mull, const char *name, uint32_t state,
			  uint32_t restarts)
{
	time_t start = time(NULL);
	struct mull_vm_status vm;

	while (in_time(start)) {
		if (mull_find(mull, name, &vm))
			return false;
		if (vm.state == state && vm.restarts >= restarts)
			return true;
		mull_pump(mull, 50, -1);
	}
	return false;
}

static bool becomes(struct mull *mull, const char *name, uint32_t state)
{
	return becomes_after(mull, name, state, 0);
}

static bool count_zeros(void *context, uint64_t address, const void *bytes,
			uint64_t length)
{
	uint64_t *zeros = context;

	(void)address;
	*zeros += bytes ? 0 : length;
	return true;
}

/* Into a paused VM. */
static void looks_into(struct mull *mull, uint32_t vm)
{
	uint64_t last = (16 << 20) - 8, zeros = 0;
	struct mull_registers registers;
	char bytes[8] = "";

	say(!mull_registers(mull, vm, 0, &registers) &&
		    registers.rip > 0x100000,
	    "mull_registers");
	registers.halted = 0;
	say(!mull_set_registers(mull, vm, 0, &registers), "mull_set_registers");
	say(!mull_memory(mull, vm, 0, 16 << 20, count_zeros, &zeros) &&
		    zeros > 8 << 20,
	    "mull_memory");
	say(!mull_set_memory(mull, vm, last, "Mullion", 8) &&
		    !mull_read_memory(mull, vm, last, bytes, 8) &&
		    !strcmp(bytes, "Mullion"),
	    "mull_set_memory, mull_read_memory");
	say(!mull_debug(mull, vm, true), "mull_debug");
	say(!mull_step(mull, vm, 0) && becomes(mull, "steady", MULL_VM_PAUSED),
	    "mull_step");
	say(!mull_debug(mull, vm, false), "mull_debug: no longer");
}

static void lives(struct mull *mull, struct heard *heard)
{
	time_t start = time(NULL);
	uint32_t vm = heard->steady;
	struct mull_vm_status before;

	say(!mull_pause(mull, vm) && becomes(mull, "steady", MULL_VM_PAUSED),
	    "mull_pause");
	/* Replies go before events. */
	while (!heard->paused && in_time(start))
		mull_pump(mull, 50, -1);
	say(heard->paused, "and an event tells");
	looks_into(mull, vm);
	say(!mull_resume(mull, vm) && becomes(mull, "steady", MULL_VM_RUNNING),
	    "mull_resume");
	say(!mull_power_button(mull, vm), "mull_power_button");
	say(!mull_stop(mull, vm) && becomes(mull, "steady", MULL_VM_STOPPED),
	    "mull_stop");
	say(mull_inject(mull, vm, 0) == ERR_WRONG_STATE,
	    "mull_inject: not into a VM that is stopped");
	say(!mull_start(mull, vm) && becomes(mull, "steady", MULL_VM_RUNNING),
	    "mull_start");
	/* The reply comes before it has begun. */
	say(!mull_find(mull, "steady", &before) && !mull_reset(mull, vm) &&
		    becomes_after(mull, "steady", MULL_VM_RUNNING,
				  before.restarts + 1),
	    "mull_reset");
	say(!mull_inject(mull, vm, 0), "mull_inject");
}

static void makes(struct mull *mull)
{
	struct mull_vm_status vm;
	struct mull_vm described;
	uint32_t number;

	say(mull_find(mull, "nobody", &vm) == ERR_NOT_FOUND, "mull_find");
	if (mull_find(mull, "short", &vm)) {
		say(false, "mull_find finds by name");
		return;
	}
	say(!mull_show(mull, vm.number, &described) &&
		    !strcmp(described.command_line, "count=2 period=100"),
	    "mull_show");
	say(!mull_destroy(mull, vm.number) &&
		    mull_find(mull, "short", &vm) == ERR_NOT_FOUND,
	    "mull_destroy");
	strcpy(described.name, "third");
	say(!mull_create(mull, &described, &number) &&
		    !mull_find(mull, "third", &vm) && vm.number == number,
	    "mull_create");
	say(!mull_destroy(mull, number), "mull_destroy: what was created");
}

static bool goes_on(void *context, uint64_t done)
{
	*(uint64_t *)context = done;
	return true;
}

static bool keep_piece(void *context, uint64_t at, const void *bytes,
		       uint64_t length)
{
	memcpy((char *)context + at, bytes, length);
	return true;
}

/* Seven bytes that are no kernel. */
static void images(struct mull *mull)
{
	static const struct mull_upload upload = {
		.name = "seven",
		.size = 7,
		.wire_size = 7,
		.kind = MULL_IMAGE_INITRD,
		.sha256 = { 0xed, 0x2f, 0xce, 0x26, 0x1d, 0x5e, 0x5e, 0x47,
			    0x75, 0x5b, 0x28, 0xeb, 0x37, 0x66, 0x99, 0x4a,
			    0x51, 0xdb, 0x65, 0xc2, 0x82, 0x53, 0x63, 0x3b,
			    0xf9, 0x78, 0xd0, 0xfc, 0x4b, 0xc8, 0xc7, 0x5e },
	};
	struct mull_image_status list[MULL_IMAGE_MAX], image;
	char back[8] = "";
	uint32_t number;
	uint64_t done;
	size_t count;

	say(!mull_upload_image(mull, &upload, "Mullion", goes_on, &done,
			       &number) &&
		    done == 7,
	    "mull_upload_image");
	say(!mull_images(mull, list, &count) && count == 2, "mull_images");
	say(!mull_find_image(mull, "seven", &image) && image.number == number,
	    "mull_find_image");
	say(!mull_read_image(mull, number, keep_piece, back) &&
		    !strcmp(back, "Mullion"),
	    "mull_read_image");
	say(!mull_delete_image(mull, number), "mull_delete_image");
}

/* "short" has ended, and image 0 is its kernel. */
static void disks(struct mull *mull)
{
	static struct mull_disk_status list[MULL_DISK_MAX];
	static struct mull_vm_nic_status nics[MULL_NIC_MAX];
	struct mull_nic nic = { .network = "lan" };
	struct mull_disk disk = { .kind = MULL_DISK_MEMORY,
				  .flags = MULL_DISK_READ_ONLY };
	struct mull_vm_status vm;
	uint32_t number;
	struct mull_device_stats stats[MULL_DEVICE_MAX];
	size_t count;

	say(!mull_find(mull, "short", &vm) &&
		    !mull_disks(mull, vm.number, list, &count) && !count,
	    "mull_disks");
	say(!mull_device_stats(mull, vm.number, stats, &count) && count > 1 &&
		    stats[0].slot && stats[0].slot < MULL_DEVICE_MAX,
	    "mull_device_stats");
	say(mull_plug(mull, vm.number, &disk, &number) == ERR_BAD_REQUEST &&
		    strstr(mull_words(mull), "another kind"),
	    "mull_plug refuses a kernel as a disk");
	say(mull_unplug(mull, vm.number, 0) == ERR_NOT_FOUND,
	    "mull_unplug knows of no disk");
	say(!mull_vm_nics(mull, vm.number, nics, &count) && !count,
	    "mull_vm_nics");
	say(mull_plug_nic(mull, vm.number, &nic, &number) == ERR_NOT_FOUND &&
		    strstr(mull_words(mull), "no switch"),
	    "mull_plug_nic knows of no switch");
}

/* "steady" has neither sockets nor a balloon, and the machine neither cards nor
 * schedules. */
static void has_not(struct mull *mull, uint32_t vm)
{
	static struct mull_nic_status nics[MULL_MACHINE_NIC_MAX];
	static struct mull_machine_disk disks[MULL_MACHINE_DISK_MAX];
	static struct mull_partition_status
		partitions[MULL_MACHINE_PARTITION_MAX];
	struct mull_vsock_state state;
	static struct mull_slot_stats slots[MULL_CPU_MAX];
	struct mull_schedule_status schedules;
	struct mull_balloon balloon;
	uint32_t stream;
	size_t count = 9;

	say(!mull_nics(mull, nics, &count) && !count, "mull_nics");
	say(!mull_machine_disks(mull, disks, &count) && count <= 1,
	    "mull_machine_disks");
	say(!mull_partitions(mull, partitions, &count) && count <= 4,
	    "mull_partitions");
	say(mull_vsock_open(mull, vm, MULL_VSOCK_CONNECT, 1, &stream) != 0,
	    "mull_vsock_open refuses a VM without sockets");
	say(mull_vsock_state(mull, vm, 2, &state) != 0, "mull_vsock_state");
	say(mull_vsock_close(mull, vm, 2, MULL_VSOCK_OVER) != 0,
	    "mull_vsock_close");
	say(mull_balloon(mull, vm, 0, &balloon) != 0,
	    "mull_balloon refuses a VM without one");
	say(!mull_schedule(mull, &schedules) && !schedules.count,
	    "mull_schedule");
	say(mull_switch_schedule(mull, 0) != 0,
	    "mull_switch_schedule refuses what is not there");
	say(!mull_slot_stats(mull, slots, &count) && !count, "mull_slot_stats");
}

/* "steady" has no port for an agent, or nobody who listens there. */
static void streams(struct mull *mull, uint32_t vm)
{
	struct mull_answer answer;
	char line[256];
	size_t taken;

	say(mull_stream_send(mull, vm, MULL_STREAM_AGENT, "x", 1, &taken) &&
		    strlen(mull_words(mull)) > 10,
	    "mull_stream_send");
	say(mull_stream_read(mull, vm, 99, 0, &answer), "mull_stream_read");
	say(mull_agent(mull, vm, "{\"execute\":\"guest-ping\"}", 5, line,
		       sizeof line),
	    "mull_agent");
}

int main(int count, char **words)
{
	struct heard heard = { 0 };
	struct mull_handlers handlers = { .context = &heard,
					  .console = on_console,
					  .log = on_log,
					  .event = on_event };
	struct mull_vm_status steady;
	struct mull *mull;
	int error;

	if (count != 2)
		return 2;
	refuses();
	error = mull_open(&mull, words[1], NULL);
	if (!error)
		error = mull_find(mull, "steady", &steady);
	if (error) {
		printf("FAIL mull_open: %s\n", mull_words(mull));
		mull_close(mull);
		return 1;
	}
	heard.steady = steady.number;
	mull_handle(mull, &handlers);
	looks(mull);
	audits(mull);
	asks(mull, &heard);
	consoles(mull, &heard);
	disks(mull);
	has_not(mull, heard.steady);
	streams(mull, heard.steady);
	lives(mull, &heard);
	makes(mull);
	images(mull);
	say(heard.events > 5, "each change of state was told");
	mull_close(mull);
	return failures != 0;
}
