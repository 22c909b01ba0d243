/* SPDX-License-Identifier: MIT */
/* Service CPU only; the devices behind it are shared with the guests' CPUs. */
#include "service.h"
#include <mullion/arch.h>
#include <mullion/virtio_console.h>
#include <string.h>

/* Milliseconds that a few bytes wait for more: a guest prints byte by byte,
 * and a frame for each would be sixteen times as long. */
#define PATIENCE 2

static struct console consoles[MULL_VM_MAX];
static uint32_t end; /* the last one's index and 1: each round asks all */

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
	if (end <= vm->index)
		end = vm->index + 1;
}

void console_remove(const struct vm *vm)
{
	consoles[vm->index].vm = NULL;
	while (end && !consoles[end - 1].vm)
		end--;
}

uint32_t source_count(void)
{
	return end + 1;
}

uint32_t source_behind(uint32_t source)
{
	uint32_t next = source == SOURCE_LOG ? 0 : source + 1;

	return next < end ? next : SOURCE_LOG;
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

	for (uint32_t i = 0; i < end; i++)
		count += console_prints(i);
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

	if (!count)
		return false;
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

	for (uint32_t i = 0; i < end; i++) {
		if (!consoles[i].vm || (stream != i && stream != MULL_ALL_VMS))
			continue;
		attach(&consoles[i], line, attached);
		position = consoles[i].readers[line].position;
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
	for (uint32_t i = 0; i < end; i++)
		if (consoles[i].vm && held(&consoles[i], line))
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
	for (uint32_t i = 0; i < end; i++) {
		struct console *console = &consoles[i];

		if (!console->vm || !console->input_count)
			continue;
		if (runs(console))
			offer(console);
		else if (!keeps(console))
			console->input_count = 0; /* its reader is gone */
	}
}

bool consoles_type(void)
{
	for (uint32_t i = 0; i < end; i++)
		if (consoles[i].vm && consoles[i].input_count &&
		    runs(&consoles[i]))
			return true;
	return false;
}
