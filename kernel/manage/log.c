/* SPDX-License-Identifier: MIT */
/*
 * A ring of whole lines.  Writers on any CPU put them in; each reader has its
 * own place and is told when the ring has gone round without it.
 */
#include "service.h"
#include <mullion/bits.h>
#include <mullion/framebuffer.h>
#include <mullion/vcpu.h>

#define RING_SIZE LOG_RING_SIZE
/* Looks at a lock that is held for a microsecond: some 0.1 s.  Its holder may
 * have been stopped by a panic, so the line is given up then. */
#define LOCK_LOOKS 1000000

static struct {
	struct lock lock;      /* for all below; taken last of all locks */
	_Atomic uint64_t head; /* bytes ever written */
	_Atomic uint64_t taken[LOG_READERS];
	char bytes[RING_SIZE];
} ring;

static uint64_t started_at; /* arch_time() */
static _Atomic bool on_screen;
static atomic_flag drawing = ATOMIC_FLAG_INIT;
static void (*_Atomic on_line)(void);

static bool lock_ring(void)
{
	for (uint32_t looks = 0; looks < LOCK_LOOKS; looks++) {
		if (!atomic_flag_test_and_set_explicit(&ring.lock.held,
						       memory_order_acquire))
			return true;
		arch_pause();
	}
	return false;
}

static void unlock_ring(void)
{
	lock_give(&ring.lock);
}

/* ---- writing ------------------------------------------------------------ */

uint64_t log_time_of(uint64_t time)
{
	return arch_time_ns(time - started_at);
}

uint64_t log_time(void)
{
	return log_time_of(arch_time());
}

char log_printable(char byte)
{
	return byte >= ' ' && byte <= '~' ? byte : '?';
}

static void put_line(const char *line, size_t length)
{
	uint64_t head;

	if (!lock_ring())
		return;
	head = ring.head;
	for (size_t i = 0; i < length; i++)
		ring.bytes[head++ % RING_SIZE] = log_printable(line[i]);
	ring.bytes[head++ % RING_SIZE] = '\n';
	ring.head = head;
	log_record_write(ring.bytes, head);
	unlock_ring();
}

void log_last_words(const char *text, size_t length)
{
	static const char level[] = LOG_ERROR;
	uint64_t head;

	if (!lock_ring())
		return;
	head = ring.head;
	for (size_t i = 0; i < length; i++) {
		if (head && ring.bytes[(head - 1) % RING_SIZE] == '\n')
			for (size_t j = 0; j < LOG_LEVEL; j++)
				ring.bytes[head++ % RING_SIZE] = level[j];
		ring.bytes[head++ % RING_SIZE] = text[i];
	}
	ring.head = head;
	log_record_write(ring.bytes, head);
	unlock_ring();
}

static void write_list(const char *format, va_list arguments)
{
	uint64_t time = log_time() / 1000;
	char line[LOG_LINE_MAX]; /* its final zero stands for the newline */
	bool leveled = format[0] == '<';
	size_t length = format_text(line, sizeof line, "<%c>[%5lu.%06lu] ",
				    leveled ? format[1] : LOG_INFO[1],
				    time / 1000000, time % 1000000);
	void (*written)(void) = on_line;

	length += format_text_list(line + length, sizeof line - length,
				   leveled ? format + LOG_LEVEL : format,
				   arguments);
	put_line(line, length);
	if (written)
		written();
	else
		log_draw(UINT32_MAX);
}

void log_write(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_list(format, arguments);
	va_end(arguments);
}

/* ---- writing with measure ------------------------------------------------ */

#define BURST 20 /* lines; then one a second */

static struct bucket {
	uint32_t spent, dropped;
	uint64_t refilled_at; /* arch_time() */
} buckets[LOG_SOURCES];

static bool bucket_take(struct bucket *bucket)
{
	uint64_t second = arch_time_khz() * 1000;
	uint64_t earned = second ?
				  (arch_time() - bucket->refilled_at) / second :
				  0;

	bucket->refilled_at += earned * second;
	bucket->spent -= earned < bucket->spent ? (uint32_t)earned :
						  bucket->spent;
	if (bucket->spent == BURST) {
		bucket->dropped++;
		return false;
	}
	bucket->spent++;
	return true;
}

bool log_allowed(uint32_t source, const char *name)
{
	struct bucket *bucket = &buckets[source];
	uint32_t dropped = 0;
	bool allowed;

	if (!lock_ring())
		return false;
	allowed = bucket_take(bucket);
	if (allowed) {
		dropped = bucket->dropped;
		bucket->dropped = 0;
	}
	unlock_ring();
	if (dropped)
		log_write(LOG_WARNING "%.31s: %u lines dropped", name, dropped);
	return allowed;
}

void log_guest(struct vcpu *vcpu, const char *format, ...)
{
	struct vm *vm = vcpu->vm;
	char words[LOG_LINE_MAX];
	va_list arguments;

	__atomic_fetch_add(&vm->complaints, 1, __ATOMIC_RELAXED);
	if (!log_allowed(vm->index, vm->description.name))
		return;
	va_start(arguments, format);
	format_text_list(words, sizeof words, format, arguments);
	va_end(arguments);
	log_write(LOG_WARNING "%.31s/%u: %s", vm->description.name, vcpu->index,
		  words);
}

enum error error_trace(enum error error, const char *file, int line)
{
	if (error != ERR_NONE && log_allowed(LOG_SOURCE_ERRORS, "errors"))
		log_write(LOG_ERROR "%s:%d: %s", file, line, error_text(error));
	return error;
}

/* ---- reading ------------------------------------------------------------ */

static uint64_t behind_line(uint64_t at)
{
	while (at < ring.head && ring.bytes[at % RING_SIZE] != '\n')
		at++;
	return at < ring.head ? at + 1 : at;
}

/* The next line, or that some were lost; the ring is locked. */
static size_t take_line(_Atomic uint64_t *taken, char *to, size_t room)
{
	uint64_t at = *taken, end;

	if (ring.head - at > RING_SIZE) {
		end = behind_line(ring.head - RING_SIZE);
		*taken = end;
		return format_text(to, room,
				   LOG_WARNING "log: %lu bytes were lost\n",
				   end - at);
	}
	end = behind_line(at);
	if (end - at > room)
		return 0;
	for (uint64_t i = at; i < end; i++)
		to[i - at] = ring.bytes[i % RING_SIZE];
	*taken = end;
	return end - at;
}

bool log_waits(enum log_reader reader)
{
	return ring.taken[reader] != ring.head;
}

void log_skip(enum log_reader reader)
{
	ring.taken[reader] = ring.head;
}

uint64_t log_head(void)
{
	return ring.head;
}

bool log_passed(enum log_reader reader, uint64_t head)
{
	return ring.taken[reader] >= head;
}

size_t log_take(enum log_reader reader, char *to, size_t room)
{
	size_t length;

	if (!log_waits(reader) || !lock_ring())
		return 0;
	length = take_line(&ring.taken[reader], to, room);
	unlock_ring();
	return length;
}

size_t log_read(uint64_t *position, char *to, size_t room)
{
	size_t count = 0;

	if (!lock_ring())
		return 0;
	if (*position > ring.head)
		*position = ring.head;
	if (ring.head - *position > RING_SIZE)
		*position = behind_line(ring.head - RING_SIZE);
	for (; count < room && *position + count < ring.head; count++)
		to[count] = ring.bytes[(*position + count) % RING_SIZE];
	unlock_ring();
	return count;
}

/* ---- the screen --------------------------------------------------------- */

bool log_draw(uint32_t lines)
{
	char line[LOG_LINE_MAX];

	/* Whoever draws already also draws what came meanwhile, or leaves it
	 * to the next line or poll. */
	if (!on_screen || atomic_flag_test_and_set(&drawing))
		return false;
	for (; lines; lines--) {
		size_t length = log_take(LOG_SCREEN, line, sizeof line);

		if (!length)
			break;
		framebuffer_write(line + LOG_LEVEL, length - LOG_LEVEL);
	}
	atomic_flag_clear(&drawing);
	return log_waits(LOG_SCREEN);
}

void log_on_line(void (*written)(void))
{
	on_line = written;
}

void log_start(void)
{
	started_at = arch_time();
}

void log_to_screen(void)
{
	on_screen = true;
	log_draw(UINT32_MAX);
}
