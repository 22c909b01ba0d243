/* SPDX-License-Identifier: MIT */
/* Service CPU only; the devices behind it are shared with the guests' CPUs. */
#include "service.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/virtio_console.h>
#include <string.h>

/* Milliseconds that a few bytes wait for more: a guest prints byte by byte,
 * and a frame for each would be sixteen times as long. */
#define PATIENCE 2

static struct console consoles[MULL_VM_MAX];

/* Sets of VMs, a bit for each by its number: a round looks at those alone that
 * it may have something to do with. */
static uint64_t known;		/* they have consoles */
static uint64_t typed_to;	/* their input waits */
static uint64_t waiting[LINES]; /* they may hold something for that line */

static_assert(MULL_VM_MAX <= 64, "a bit for each VM");

/* The one with the lowest number, which is taken out of the @set. */
static struct console *take_first(uint64_t *set)
{
	struct console *first = &consoles[__builtin_ctzll(*set)];

	*set &= *set - 1;
	return first;
}

/* Where a new one is attached. */
static bool attached_first[LINES];

void consoles_attach_new(enum manage_line line, bool attached)
{
	attached_first[line] = attached;
}

/* The ring keeps what a line that is attached has not had. */
static void update_ring(const struct console *console)
{
	struct console_ring *ring = &console->vm->serial.output;
	uint64_t tail = ring->head;
	bool attached = false;

	for (uint32_t i = 0; i < LINES; i++) {
		const struct console_reader *reader = &console->readers[i];

		if (!reader->attached)
			continue;
		attached = true;
		if (ring->head - reader->position > ring->head - tail)
			tail = reader->position;
	}
	ring->tail = tail;
	ring->detached = !attached;
}

void console_add(struct vm *vm)
{
	struct console *console = &consoles[vm->index];

	ASSERT(vm->index < MULL_VM_MAX);
	*console = (struct console){ .vm = vm };
	for (uint32_t i = 0; i < LINES; i++)
		console->readers[i].attached = attached_first[i];
	update_ring(console);
	known |= BIT(vm->index);
}

void console_remove(const struct vm *vm)
{
	consoles[vm->index].vm = NULL;
	known &= ~BIT(vm->index);
	typed_to &= known;
}

/* Which ones @line has to look at. */
static uint64_t look(enum manage_line line)
{
	uint64_t printed = serial_take_printed();

	for (uint32_t i = 0; i < LINES; i++)
		waiting[i] = (waiting[i] | printed) & known;
	return waiting[line];
}

uint32_t source_count(enum manage_line line)
{
	uint32_t count = 1;

	for (uint64_t set = look(line); set; count++)
		take_first(&set);
	return count;
}

uint32_t source_behind(enum manage_line line, uint32_t source)
{
	uint64_t behind = waiting[line];

	if (source != SOURCE_LOG)
		behind &= ~BITS(source, 0);
	return behind ? (uint32_t)__builtin_ctzll(behind) : SOURCE_LOG;
}

struct console *console_of(uint32_t stream)
{
	if (stream >= MULL_VM_MAX || !consoles[stream].vm)
		return NULL;
	return &consoles[stream];
}

bool console_prints(uint32_t stream)
{
	return console_of(stream) && consoles[stream].vm->serial.output.size;
}

uint32_t console_count(void)
{
	uint32_t count = 0;

	for (uint64_t set = known; set;)
		count += take_first(&set)->vm->serial.output.size != 0;
	return count;
}

/* ---- output ------------------------------------------------------------- */

static uint64_t held(const struct console *console, enum manage_line line)
{
	const struct console_reader *reader = &console->readers[line];

	return reader->attached ?
		       console->vm->serial.output.head - reader->position :
		       0;
}

bool console_ready(struct console *console, enum manage_line line)
{
	uint64_t *waits_since = &console->readers[line].waits_since;
	uint64_t count = held(console, line);

	if (!count) {
		waiting[line] &= ~BIT(console->vm->index);
		return false;
	}
	if (!*waits_since)
		*waits_since = arch_time();
	return count >= CONSOLE_PIECE ||
	       arch_time() - *waits_since >= PATIENCE * arch_time_khz();
}

/* Callers hold vm->device_lock. */
static void drained(struct vm *vm)
{
	serial_drained(vm);
	virtio_console_drained(vm);
}

size_t console_fetch(struct console *console, enum manage_line line,
		     uint8_t *to, size_t room, bool one_line)
{
	const struct console_ring *ring = &console->vm->serial.output;
	struct console_reader *reader = &console->readers[line];
	size_t count = 0, there = held(console, line);

	if (there > room)
		there = room;
	while (count < there) {
		to[count] =
			ring->bytes[(reader->position + count) % ring->size];
		if (to[count++] == '\n' && one_line)
			break;
	}
	reader->position += count;
	if (!held(console, line))
		reader->waits_since = 0;
	if (!count)
		return 0;
	lock_take(&console->vm->device_lock);
	update_ring(console);
	drained(console->vm);
	lock_give(&console->vm->device_lock);
	return count;
}

bool console_passed(const struct console *console, enum manage_line line,
		    uint64_t head)
{
	const struct console_reader *reader = &console->readers[line];

	/* A head that is not ahead in this ring is of one that had the number
	 * before. */
	return !reader->attached ||
	       head - reader->position - 1 >= held(console, line);
}

static void attach(struct console *console, enum manage_line line,
		   bool attached)
{
	struct console_reader *reader = &console->readers[line];

	lock_take(&console->vm->device_lock);
	if (!reader->attached)
		reader->position = console->vm->serial.output.head;
	reader->attached = attached;
	update_ring(console);
	drained(console->vm);
	lock_give(&console->vm->device_lock);
}

uint64_t console_attach(enum manage_line line, uint32_t stream, bool attached)
{
	uint64_t position = 0;

	for (uint64_t set = known; set;) {
		struct console *console = take_first(&set);

		if (stream != console->vm->index && stream != MULL_ALL_VMS)
			continue;
		attach(console, line, attached);
		position = console->readers[line].position;
	}
	return position;
}

size_t console_history(struct vm *vm, uint64_t *position, uint8_t *to,
		       size_t room)
{
	const struct console_ring *ring = &vm->serial.output;
	size_t count = 0;

	lock_take(&vm->device_lock); /* keeps the guest from going on */
	if (*position > ring->head)
		*position = ring->head;
	if (ring->head - *position > ring->size)
		*position = ring->head - ring->size;
	for (; count < room && *position + count < ring->head; count++)
		to[count] = ring->bytes[(*position + count) % ring->size];
	lock_give(&vm->device_lock);
	return count;
}

bool consoles_print(enum manage_line line)
{
	for (uint64_t set = look(line); set;)
		if (held(take_first(&set), line))
			return true;
	return false;
}

/* ---- input -------------------------------------------------------------- */

static bool runs(const struct console *console)
{
	return console->vm->state == MULL_VM_RUNNING;
}

/* It does not take bytes now, but will. */
static bool keeps(const struct console *console)
{
	return console->vm->state == MULL_VM_STARTING ||
	       console->vm->state == MULL_VM_PAUSED;
}

/* Said once, until the guest has read all. */
static void say_dropped(struct console *console, const char *why)
{
	if (!console->dropping)
		log_write("%.31s: typed input is lost: %s",
			  console->vm->description.name, why);
	console->dropping = true;
}

enum error console_type(uint32_t stream, const uint8_t *bytes, size_t length)
{
	struct console *console = console_of(stream);
	size_t room;

	if (!console)
		return ERR_NOT_FOUND;
	if (!runs(console) && !keeps(console)) {
		say_dropped(console, "the VM does not run");
		return ERR_NONE;
	}
	room = CONSOLE_INPUT_MAX - console->input_count;
	if (length > room) {
		say_dropped(console, "the guest does not read it");
		length = room;
	}
	memcpy(console->input + console->input_count, bytes, length);
	console->input_count += (uint32_t)length;
	console->typed += length;
	if (console->input_count)
		typed_to |= BIT(stream);
	return ERR_NONE;
}

static void offer(struct console *console)
{
	struct vm *vm = console->vm;
	size_t taken;

	lock_take(&vm->device_lock);
	taken = virtio_console_listens(vm) ?
			virtio_console_type(vm, console->input,
					    console->input_count) :
			serial_receive(vm, console->input,
				       console->input_count);
	lock_give(&vm->device_lock);
	console->input_count -= (uint32_t)taken;
	memmove(console->input, console->input + taken, console->input_count);
	if (!console->input_count)
		console->dropping = false;
}

void consoles_offer_input(void)
{
	for (uint64_t set = typed_to; set;) {
		struct console *console = take_first(&set);

		if (runs(console))
			offer(console);
		else if (!keeps(console))
			console->input_count = 0; /* its reader is gone */
		if (!console->input_count)
			typed_to &= ~BIT(console->vm->index);
	}
}

bool consoles_type(void)
{
	for (uint64_t set = typed_to; set;)
		if (runs(take_first(&set)))
			return true;
	return false;
}
