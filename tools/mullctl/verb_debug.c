/* SPDX-License-Identifier: MIT */
/* A VM in gdb: when it runs, why it stands still, and how gdb leaves it. */
#include <stdio.h>
#include <string.h>

#include "gdb_line.h"
#include "gdb_stub.h"
#include "remote.h"
#include "texts.h"
#include "work.h"

#define ADDRESS "tcp:127.0.0.1:1234"
#define LOOK_MILLISECONDS 500 /* an event may be lost on the line */
#define PASS_MILLISECONDS 200
#define EVENTS_MAX 8
#define SIGNAL_INTERRUPT 2
#define SIGNAL_TRAP 5
#define SIGNAL_FAULT 11

struct debug {
	struct mull *mull;
	struct mull_vm_status vm;
	struct gdb_line line;
	struct gdb_stub stub;
	bool ran;	    /* before, or gdb let it: it goes on in the end */
	bool running;	    /* gdb waits for it to stand still */
	bool stepping;	    /* only one instruction is asked for */
	bool foreign;	    /* it stands at an INT3 of the guest's own */
	bool passing;	    /* over that: INT3s are off */
	bool interrupted;   /* gdb wants it to stand still */
	double pass_until;  /* or it is paused */
	bool told;	    /* an event has come */
	bool ended;	    /* the VM has: nothing to put back */
	bool finished;	    /* gdb wants no more */
	int error;	    /* of the channel: nothing can be done */
	uint32_t stop_vcpu; /* it was why the VM stood still */
	uint64_t events;    /* number of the first that is not known yet */
};

/* ---- the VM ------------------------------------------------------------- */

/* Only what the line suffers from ends it all; the rest gdb is told. */
static bool good(struct debug *debug, int error)
{
	if (error == MULL_UNREACHABLE || error == MULL_NO_ANSWER)
		debug->error = error;
	return error == MULL_OK;
}

static bool read_memory(void *context, uint64_t address, void *bytes,
			size_t length)
{
	struct debug *debug = context;

	return good(debug, mull_read_memory(debug->mull, debug->vm.number,
					    address, bytes, length));
}

static bool write_memory(void *context, uint64_t address, const void *bytes,
			 size_t length)
{
	struct debug *debug = context;

	return good(debug, mull_set_memory(debug->mull, debug->vm.number,
					   address, bytes, length));
}

static bool read_registers(void *context, uint32_t vcpu,
			   struct mull_registers *registers)
{
	struct debug *debug = context;

	return good(debug, mull_registers(debug->mull, debug->vm.number, vcpu,
					  registers));
}

static bool write_registers(void *context, uint32_t vcpu,
			    const struct mull_registers *registers)
{
	struct debug *debug = context;

	return good(debug, mull_set_registers(debug->mull, debug->vm.number,
					      vcpu, registers));
}

static void on_event(void *context, uint32_t vm, const struct mull_event *event)
{
	struct debug *debug = context;

	(void)event;
	debug->told |= vm == debug->vm.number;
}

/* ---- it goes on --------------------------------------------------------- */

static void say(struct debug *debug, const char *words)
{
	char packet[2 * 256 + 8] = "O";
	size_t length = 1;

	for (; *words && length < sizeof packet - 8; words++)
		length += (size_t)sprintf(packet + length, "%02x",
					  (uint8_t)*words);
	length += (size_t)sprintf(packet + length, "0a");
	gdb_line_send(&debug->line, packet, length);
}

static void stand(struct debug *debug, uint32_t vcpu, int signal)
{
	bool ours = gdb_stub_stopped(&debug->stub, vcpu, signal);

	debug->foreign = signal == SIGNAL_TRAP && !ours && !debug->stepping;
	debug->running = false;
	debug->stop_vcpu = vcpu;
	gdb_line_send(&debug->line, debug->stub.stop, strlen(debug->stub.stop));
}

/*
 * An INT3 of the guest's own would stop it again where it is: that one it does
 * in a step, while breakpoints are off.  The step lasts until the guest's
 * handler has returned, which may be never, so it has so much time.
 */
static int pass(struct debug *debug, uint32_t vcpu)
{
	int error = MULL_OK;

	debug->pass_until = seconds_now() + PASS_MILLISECONDS / 1000.0;
	if (gdb_stub_arm(&debug->stub, false))
		error = mull_debug(debug->mull, debug->vm.number, false);
	return error ? error : mull_step(debug->mull, debug->vm.number, vcpu);
}

/* It is done, and the VM stands still. */
static void passed(struct debug *debug)
{
	debug->passing = false;
	gdb_stub_arm(&debug->stub, true);
	good(debug, mull_debug(debug->mull, debug->vm.number, true));
}

static void go_on(struct debug *debug, enum gdb_action action)
{
	uint32_t number = debug->vm.number, vcpu = debug->stop_vcpu;
	int error;

	debug->stepping = action == GDB_STEP;
	if (debug->stepping)
		vcpu = debug->stub.step_vcpu;
	debug->passing = debug->foreign && vcpu == debug->stop_vcpu;
	debug->running = true;
	debug->interrupted = false;
	debug->ran |= !debug->stepping;
	gdb_stub_goes_on(&debug->stub);
	if (debug->passing)
		error = pass(debug, vcpu);
	else
		error = debug->stepping ? mull_step(debug->mull, number, vcpu) :
					  mull_resume(debug->mull, number);
	if (good(debug, error))
		return;
	if (debug->passing)
		passed(debug);
	say(debug, mull_words(debug->mull));
	stand(debug, vcpu, SIGNAL_TRAP);
}

/* ---- it stands still, or has ended --------------------------------------- */

static void on_pause(struct debug *debug, const struct mull_event *event)
{
	bool at_break = event->reason == MULL_END_BREAKPOINT;
	uint32_t vcpu = debug->stop_vcpu;

	if (!debug->running)
		return;
	if (at_break && event->code < debug->vm.vcpu_count)
		vcpu = event->code;
	if (debug->passing) {
		passed(debug);
		at_break = !debug->interrupted;
		if (at_break && !debug->stepping) {
			good(debug, mull_resume(debug->mull, debug->vm.number));
			return;
		}
	}
	stand(debug, vcpu, at_break ? SIGNAL_TRAP : SIGNAL_INTERRUPT);
}

static void on_end(struct debug *debug, const struct mull_event *event)
{
	bool crashed = event->state == MULL_VM_CRASHED;
	char packet[8];

	debug->ended = debug->finished = true;
	tell("%s: %s: %s", debug->vm.name, output_state_word(event->state),
	     event->words);
	if (!debug->running)
		return;
	say(debug, event->words);
	gdb_line_send(
		&debug->line, packet,
		(size_t)snprintf(packet, sizeof packet, "%c%02x",
				 crashed ? 'X' : 'W',
				 crashed ? SIGNAL_FAULT : event->code & 0xff));
}

static void on_state(struct debug *debug, const struct mull_event *event)
{
	if (strcmp(event->name, debug->vm.name) != 0)
		return;
	switch (event->state) {
	case MULL_VM_PAUSED:
		on_pause(debug, event);
		break;
	case MULL_VM_STARTING: /* its images are loaded anew */
		debug->stub.breakpoint_count = 0;
		break;
	case MULL_VM_STOPPED:
	case MULL_VM_CRASHED:
	case MULL_VM_REFUSED:
	case MULL_VM_DESTROYED:
		/* One that is to restart tells that it starts, then. */
		on_end(debug, event);
		break;
	default:
		break;
	}
}

static void look(struct debug *debug)
{
	struct mull_event events[EVENTS_MAX];
	uint64_t first;
	size_t count;

	debug->told = false;
	do {
		if (!good(debug, mull_events(debug->mull, debug->events, events,
					     EVENTS_MAX, &count, &first)))
			return;
		debug->events = first + count;
		for (size_t i = 0; i < count && !debug->finished; i++)
			on_state(debug, &events[i]);
	} while (count && !debug->finished);
}

/* ---- gdb ---------------------------------------------------------------- */

static void on_packet(struct debug *debug)
{
	struct gdb_stub *stub = &debug->stub;
	const struct gdb_parser *parser = &debug->line.parser;
	enum gdb_action action;

	if (!stub->without_acks)
		gdb_line_put(&debug->line, '+');
	if (debug->running) /* gdb's are out of step with what it was told */
		return;
	action = gdb_stub_take(stub, parser->data, parser->length);
	switch (action) {
	case GDB_DETACH:
		debug->finished = true;
		/* fall through */
	case GDB_ANSWER:
		gdb_line_send(&debug->line, stub->answer, stub->length);
		break;
	case GDB_STEP:
	case GDB_CONTINUE:
		go_on(debug, action);
		break;
	case GDB_KILL:
		debug->finished = debug->ended = true;
		good(debug, mull_stop(debug->mull, debug->vm.number));
		gdb_line_send(&debug->line, "OK", 2);
		break;
	}
}

/* A VM that stands still already tells it by its event. */
static void interrupt(struct debug *debug)
{
	debug->interrupted = true;
	good(debug, mull_pause(debug->mull, debug->vm.number));
}

static void serve_gdb(struct debug *debug)
{
	enum gdb_input input;

	while (!debug->finished && !debug->error &&
	       (input = gdb_line_read(&debug->line)) != GDB_NOTHING) {
		if (input == GDB_PACKET)
			on_packet(debug);
		else if (input == GDB_DAMAGED && !debug->stub.without_acks)
			gdb_line_put(&debug->line, '-');
		else if (input == GDB_AGAIN)
			gdb_line_send_again(&debug->line);
		else if (input == GDB_INTERRUPT && debug->running)
			interrupt(debug);
	}
}

/* ---- from gdb's coming to its going -------------------------------------- */

static enum status begin(struct debug *debug)
{
	enum status status = remote_status(
		debug->mull,
		mull_find(debug->mull, debug->vm.name, &debug->vm));
	struct mull_info info = { .event_count = 0 };

	if (status != STATUS_OK)
		return status;
	debug->ran = debug->vm.state == MULL_VM_RUNNING;
	if (debug->vm.state != MULL_VM_PAUSED)
		status = remote_pause(debug->mull, &debug->vm);
	if (status == STATUS_OK)
		status = remote_status(debug->mull,
				       mull_info(debug->mull, &info));
	if (status == STATUS_OK)
		status = remote_status(
			debug->mull,
			mull_debug(debug->mull, debug->vm.number, true));
	debug->events = info.event_count;
	debug->stub.vm = (struct gdb_vm){ debug,	  debug->vm.vcpu_count,
					  read_memory,	  write_memory,
					  read_registers, write_registers };
	gdb_stub_stopped(&debug->stub, 0, SIGNAL_TRAP);
	return status;
}

/* Everything as it was before. */
static enum status leave(struct debug *debug)
{
	struct mull *mull = debug->mull;
	uint32_t number = debug->vm.number;
	enum status status = STATUS_OK;

	if (debug->running && !debug->ended) {
		status = remote_pause(mull, &debug->vm);
		debug->running = false;
		look(debug);
	}
	if (debug->ended)
		return STATUS_OK;
	if (status != STATUS_OK || debug->error ||
	    !gdb_stub_clear(&debug->stub)) {
		tell("%zu breakpoints may be left in %s: mullctl reset %s",
		     debug->stub.breakpoint_count, debug->vm.name,
		     debug->vm.name);
		return debug->error ? remote_status(mull, debug->error) :
				      STATUS_FAILED;
	}
	status = remote_status(mull, mull_debug(mull, number, false));
	if (status == STATUS_OK && debug->ran)
		status = remote_status(mull, mull_resume(mull, number));
	return status;
}

static enum status serve(struct debug *debug)
{
	struct gdb_line *line = &debug->line;
	enum status status;
	double due = 0;

	while (!gdb_line_accept(line)) {
		if (mull_pump(debug->mull, -1, line->any))
			return remote_status(debug->mull, MULL_UNREACHABLE);
		if (work_signal())
			return STATUS_OK;
	}
	status = begin(debug);
	if (status != STATUS_OK)
		return status;
	while (!debug->finished && !debug->error && !line->gone &&
	       !work_signal()) {
		serve_gdb(debug);
		if (debug->running && (debug->told || seconds_now() > due)) {
			look(debug);
			due = seconds_now() + LOOK_MILLISECONDS / 1000.0;
		}
		if (debug->passing && seconds_now() > debug->pass_until) {
			debug->pass_until += LOOK_MILLISECONDS;
			good(debug, mull_pause(debug->mull, debug->vm.number));
		}
		if (!debug->finished && !line->gone && !debug->told &&
		    mull_pump(debug->mull,
			      debug->passing ? PASS_MILLISECONDS / 4 :
					       LOOK_MILLISECONDS,
			      line->any))
			debug->error = MULL_UNREACHABLE;
	}
	return leave(debug);
}

int verb_debug(const struct options *options)
{
	const char *address = options->text[OPTION_LISTEN];
	static struct debug debug;
	struct mull_handlers handlers = { .context = &debug,
					  .event = on_event };
	enum status status;

	if (!address && !options->text[OPTION_STDIO])
		address = ADDRESS;
	debug.mull = remote_open_vm(options, &handlers, &debug.vm, &status);
	if (!debug.mull)
		return status;
	work_begin();
	status = STATUS_USAGE;
	if (debug.vm.state != MULL_VM_RUNNING &&
	    debug.vm.state != MULL_VM_PAUSED) {
		tell("%s is %s: mullctl start %s", debug.vm.name,
		     output_state_word(debug.vm.state), debug.vm.name);
		status = STATUS_CONFLICT;
	} else if (!remote_sane(&debug.vm)) {
		status = STATUS_FAILED;
	} else if (gdb_line_open(&debug.line, address)) {
		status = serve(&debug);
		gdb_line_close(&debug.line);
	}
	mull_close(debug.mull);
	work_end();
	return status;
}
