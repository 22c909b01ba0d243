/* SPDX-License-Identifier: MIT */
#include "gdb_stub.h"

#include <mullion/bits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gdb_memory.h"
#include "gdb_registers.h"

#define MEMORY_MAX (GDB_PACKET_MAX / 2 - 16) /* bytes that a packet holds */

/* ---- answers ------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static enum gdb_action
answer(struct gdb_stub *stub, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	stub->length = (size_t)vsnprintf(stub->answer, sizeof stub->answer,
					 format, arguments);
	va_end(arguments);
	return GDB_ANSWER;
}

static enum gdb_action done(struct gdb_stub *stub, bool good)
{
	return answer(stub, good ? "OK" : "E01");
}

static void put_digits(struct gdb_stub *stub, const uint8_t *bytes,
		       size_t length)
{
	for (size_t i = 0; i < length; i++)
		sprintf(stub->answer + 2 * i, "%02x", bytes[i]);
	stub->length = 2 * length;
}

/* ---- threads ------------------------------------------------------------ */

void gdb_choose(struct gdb_stub *stub, uint32_t vcpu)
{
	if (stub->vcpu != vcpu)
		gdb_stub_goes_on(stub);
	stub->vcpu = vcpu;
}

void gdb_stub_goes_on(struct gdb_stub *stub)
{
	stub->registers_known = false;
	gdb_forget_pages(stub);
}

bool gdb_stub_stopped(struct gdb_stub *stub, uint32_t vcpu, int signal)
{
	bool ours = false;

	gdb_choose(stub, vcpu);
	if (gdb_registers_of(stub))
		for (size_t i = 0; i < stub->breakpoint_count; i++)
			ours |= stub->breakpoints[i].linear ==
				stub->registers.rip;
	/* swbreak: RIP is at the INT3 and not behind it. */
	snprintf(stub->stop, sizeof stub->stop, "T%02x%sthread:%x;", signal,
		 ours ? "swbreak:;" : "", vcpu + 1);
	return ours;
}

/* A vCPU's number from that of its thread: 0 and -1 are the chosen one. */
static bool take_thread(const struct gdb_stub *stub, const char **text,
			uint32_t *vcpu)
{
	uint64_t number;

	*vcpu = stub->vcpu;
	if (**text == '-') {
		++*text;
		gdb_number(text);
		return true;
	}
	number = gdb_number(text);
	if (number > stub->vm.vcpu_count)
		return false;
	if (number)
		*vcpu = (uint32_t)number - 1;
	return true;
}

static enum gdb_action choose_thread(struct gdb_stub *stub, const char *text)
{
	char what = *text++;
	uint32_t vcpu;

	if (!what || !take_thread(stub, &text, &vcpu))
		return done(stub, false);
	if (what == 'g')
		gdb_choose(stub, vcpu);
	return done(stub, true);
}

static enum gdb_action list_threads(struct gdb_stub *stub)
{
	answer(stub, "m1");
	for (uint32_t i = 2; i <= stub->vm.vcpu_count; i++)
		stub->length += (size_t)sprintf(stub->answer + stub->length,
						",%x", i);
	return GDB_ANSWER;
}

static enum gdb_action describe_thread(struct gdb_stub *stub, const char *text)
{
	static const char *const waits[] = { "", " (halted)",
					     " (not started)" };
	struct mull_registers registers = { .halted = 0 };
	uint32_t vcpu;
	char words[32];

	if (!take_thread(stub, &text, &vcpu) ||
	    !stub->vm.registers(stub->vm.context, vcpu, &registers))
		return done(stub, false);
	put_digits(stub, (const uint8_t *)words,
		   (size_t)sprintf(words, "vCPU %u%s", vcpu,
				   registers.halted < 3 ?
					   waits[registers.halted] :
					   ""));
	return GDB_ANSWER;
}

/* ---- registers ---------------------------------------------------------- */

static enum gdb_action read_registers(struct gdb_stub *stub)
{
	if (!gdb_registers_of(stub))
		return done(stub, false);
	stub->length = gdb_registers_put(&stub->registers, stub->answer);
	return GDB_ANSWER;
}

static enum gdb_action read_register(struct gdb_stub *stub, const char *text)
{
	if (!gdb_registers_of(stub))
		return done(stub, false);
	stub->length = gdb_register_put(&stub->registers, gdb_number(&text),
					stub->answer);
	return stub->length ? GDB_ANSWER : done(stub, false);
}

/* All with number UINT64_MAX. */
static enum gdb_action write_registers(struct gdb_stub *stub, uint64_t number,
				       const char *digits)
{
	struct mull_registers wanted;
	bool good;

	if (!gdb_registers_of(stub))
		return done(stub, false);
	wanted = stub->registers;
	good = number == UINT64_MAX ?
		       gdb_registers_take(&wanted, digits) :
		       gdb_register_take(&wanted, number, digits);
	/* One that waits in HLT would not go to where it is sent. */
	if (wanted.rip != stub->registers.rip && wanted.halted == 1)
		wanted.halted = 0;
	good = good &&
	       stub->vm.set_registers(stub->vm.context, stub->vcpu, &wanted);
	gdb_stub_goes_on(stub); /* what they are now is asked for again */
	return done(stub, good);
}

static enum gdb_action write_register(struct gdb_stub *stub, const char *text)
{
	uint64_t number = gdb_number(&text);

	if (*text != '=')
		return done(stub, false);
	return write_registers(stub, number, text + 1);
}

/* ---- memory ------------------------------------------------------------- */

static enum gdb_action read_memory(struct gdb_stub *stub, const char *text)
{
	uint64_t address = gdb_number(&text), length;
	uint8_t bytes[MEMORY_MAX];

	length = *text == ',' ? (text++, gdb_number(&text)) : 0;
	if (length > sizeof bytes)
		length = sizeof bytes;
	length = gdb_read(stub, address, bytes, length);
	if (!length)
		return done(stub, false);
	put_digits(stub, bytes, length);
	return GDB_ANSWER;
}

static bool take_digits(const char *digits, uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		int high = gdb_digit(digits[2 * i]);
		int low = gdb_digit(digits[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* "ADDRESS,LENGTH:" and digits, or the bytes themselves. */
static enum gdb_action write_memory(struct gdb_stub *stub, const char *text,
				    const char *end, bool binary)
{
	uint64_t address = gdb_number(&text), length;
	uint8_t bytes[GDB_PACKET_MAX];

	length = *text == ',' ? (text++, gdb_number(&text)) : 0;
	if (*text != ':' || length > sizeof bytes)
		return done(stub, false);
	text++;
	if ((size_t)(end - text) != (binary ? length : 2 * length))
		return done(stub, false);
	if (binary)
		memcpy(bytes, text, length);
	else if (!take_digits(text, bytes, length))
		return done(stub, false);
	return done(stub, gdb_write(stub, address, bytes, length));
}

/* "Z0,ADDRESS,KIND": only those in memory. */
static enum gdb_action breakpoint(struct gdb_stub *stub, const char *text,
				  bool insert)
{
	uint64_t address;

	if (strncmp(text, "0,", 2) != 0)
		return answer(stub, "%s", "");
	text += 2;
	address = gdb_number(&text);
	return done(stub, insert ? gdb_insert(stub, address) :
				   gdb_remove(stub, address));
}

/* ---- questions, and how it goes on -------------------------------------- */

static enum gdb_action read_description(struct gdb_stub *stub, const char *text)
{
	const char *description;
	size_t size = gdb_description(&description);
	uint64_t offset = gdb_number(&text), length;

	length = *text == ',' ? (text++, gdb_number(&text)) : 0;
	if (length > GDB_PACKET_MAX / 2)
		length = GDB_PACKET_MAX / 2;
	if (offset >= size)
		return answer(stub, "l");
	if (length > size - offset)
		length = size - offset;
	return answer(stub, "%c%.*s", offset + length < size ? 'm' : 'l',
		      (int)length, description + offset);
}

/* What stands behind @begin in @packet; NULL when it does not begin so. */
static const char *behind(const char *packet, const char *begin)
{
	size_t length = strlen(begin);

	return strncmp(packet, begin, length) ? NULL : packet + length;
}

static enum gdb_action question(struct gdb_stub *stub, const char *packet)
{
	const char *rest;

	if (behind(packet, "qSupported"))
		return answer(stub,
			      "PacketSize=%x;qXfer:features:read+;swbreak+;"
			      "QStartNoAckMode+;vContSupported+",
			      GDB_PACKET_MAX);
	if ((rest = behind(packet, "qXfer:features:read:target.xml:")))
		return read_description(stub, rest);
	if (!strcmp(packet, "qfThreadInfo"))
		return list_threads(stub);
	if (!strcmp(packet, "qsThreadInfo"))
		return answer(stub, "l");
	if ((rest = behind(packet, "qThreadExtraInfo,")))
		return describe_thread(stub, rest);
	if (!strcmp(packet, "qC"))
		return answer(stub, "QC%x", stub->vcpu + 1);
	if (behind(packet, "qAttached"))
		return answer(stub, "1"); /* so that gdb's end lets it go on */
	if (!strcmp(packet, "QStartNoAckMode")) {
		stub->without_acks = true;
		return done(stub, true);
	}
	return answer(stub, "%s", ""); /* not known */
}

/* "vCont;s:2;c": a step of one vCPU is one of it alone. */
static enum gdb_action go_on(struct gdb_stub *stub, const char *text)
{
	while (*text == ';') {
		char what = *++text;
		uint32_t vcpu = stub->vcpu;

		text = text + strcspn(text, ":;");
		if (*text == ':' && (text++, !take_thread(stub, &text, &vcpu)))
			break;
		if (what == 's' || what == 'S') {
			stub->step_vcpu = vcpu;
			return GDB_STEP;
		}
		if (what != 'c' && what != 'C')
			break;
		if (!*text)
			return GDB_CONTINUE;
	}
	return done(stub, false);
}

static enum gdb_action verbose(struct gdb_stub *stub, const char *packet)
{
	const char *rest;

	if (!strcmp(packet, "vCont?"))
		return answer(stub, "vCont;c;C;s;S");
	if ((rest = behind(packet, "vCont")))
		return go_on(stub, rest);
	if (behind(packet, "vKill"))
		return GDB_KILL;
	return answer(stub, "%s", "");
}

enum gdb_action gdb_stub_take(struct gdb_stub *stub, const char *packet,
			      size_t length)
{
	const char *rest = packet + 1;
	uint32_t vcpu;

	stub->length = 0;
	switch (*packet) {
	case '?':
		return answer(stub, "%s", stub->stop);
	case 'g':
		return read_registers(stub);
	case 'G':
		return write_registers(stub, UINT64_MAX, rest);
	case 'p':
		return read_register(stub, rest);
	case 'P':
		return write_register(stub, rest);
	case 'm':
		return read_memory(stub, rest);
	case 'M':
	case 'X':
		return write_memory(stub, rest, packet + length,
				    *packet == 'X');
	case 'Z':
	case 'z':
		return breakpoint(stub, rest, *packet == 'Z');
	case 'H':
		return choose_thread(stub, rest);
	case 'T':
		return done(stub, take_thread(stub, &rest, &vcpu));
	case 'q':
	case 'Q':
		return question(stub, packet);
	case 'v':
		return verbose(stub, packet);
	case 'c':
	case 'C':
		return GDB_CONTINUE;
	case 's':
	case 'S':
		stub->step_vcpu = stub->vcpu;
		return GDB_STEP;
	case 'D':
		done(stub, true);
		return GDB_DETACH;
	case 'k':
		return GDB_KILL;
	default:
		return answer(stub, "%s", "");
	}
}
