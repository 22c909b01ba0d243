/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plugin that counts what the hypervisor executes on each of many
 * processors.  Its own instructions are those in the upper half of the
 * addresses: the firmware and SDK guests are in the lower one.
 *
 *   cpus=N         says "started" when N processors have entered a guest
 *   vmrun=ADDRESS  where they enter
 *   phase=ADDRESS  says "phase" when a processor comes there first
 *   mark=ADDRESS   says "mark" each time (both may be given again)
 *   wait=FROM-TO   what is executed there is waiting
 *
 * Waiting is left out, since how long it takes is the emulator's matter: what
 * is executed between two PAUSEs that are close to each other, and in a wait=.
 * A string instruction counts once, and the bytes of its further turns for
 * themselves ("moved"): QEMU translates each as a block of its own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

#define CPUS 256
#define PLACES 16
#define CLOSE 2000 /* instructions between the PAUSEs of a loop that waits */

/* What a callback is told of its block. */
#define PAUSES 1ul
#define WAITS 2ul
#define TURN 4ul /* of a string instruction; its bytes are in length's place */
#define LENGTH_SHIFT 3

struct counts {
	uint64_t executed, waited, moved, entries;
};

static struct processor {
	struct counts now, first; /* first: when it first entered a guest */
	uint64_t last_pause;
} __attribute__((aligned(128))) processors[CPUS];

static struct place {
	uint64_t from, to;
} waits[PLACES], phases[PLACES], marks[PLACES];
static unsigned int wait_count, phase_count, mark_count;
static uint64_t vmrun;
static unsigned int wanted, entered; /* processors */

int qemu_plugin_version = 1;

/* ---- what is said -------------------------------------------------------- */

static void add(struct counts *sum, const struct counts *more)
{
	sum->executed += more->executed;
	sum->waited += more->waited;
	sum->moved += more->moved;
	sum->entries += more->entries;
}

/* The boot processor's counts, those of all, and of all to their first entry. */
static void say(const char *what, unsigned int number)
{
	struct counts all = { 0 }, first = { 0 };
	const struct counts *boot = &processors[0].now;
	char line[300];

	for (unsigned int i = 0; i < CPUS; i++) {
		add(&all, &processors[i].now);
		add(&first, &processors[i].first);
	}
	snprintf(line, sizeof line,
		 "%s=%u boot=%" PRIu64 " boot_waited=%" PRIu64
		 " boot_moved=%" PRIu64 " all=%" PRIu64 " all_waited=%" PRIu64
		 " all_moved=%" PRIu64 " first=%" PRIu64 " first_moved=%" PRIu64
		 "\n",
		 what, number, boot->executed - boot->waited, boot->waited,
		 boot->moved, all.executed - all.waited, all.waited, all.moved,
		 first.executed - first.waited, first.moved);
	qemu_plugin_outs(line);
}

/* ---- what is counted ----------------------------------------------------- */

static void on_block(unsigned int cpu, void *data)
{
	uintptr_t what = (uintptr_t)data;
	struct processor *processor = &processors[cpu % CPUS];
	struct counts *now = &processor->now;
	uint64_t length = what >> LENGTH_SHIFT;

	if (what & TURN) {
		now->moved += length;
		return;
	}
	now->executed += length;
	if (what & WAITS) {
		now->waited += length;
		processor->last_pause = now->executed;
	}
	if (what & PAUSES) {
		if (now->executed - processor->last_pause < CLOSE)
			now->waited += now->executed - processor->last_pause;
		processor->last_pause = now->executed;
	}
}

static void on_vmrun(unsigned int cpu, void *data)
{
	struct processor *processor = &processors[cpu % CPUS];

	(void)data;
	if (processor->now.entries++)
		return;
	processor->first = processor->now;
	if (__atomic_add_fetch(&entered, 1, __ATOMIC_SEQ_CST) == wanted)
		say("started", wanted);
}

static void on_phase(unsigned int cpu, void *data)
{
	static unsigned int seen;
	unsigned int bit = 1u << (uintptr_t)data;

	(void)cpu;
	if (!(__atomic_fetch_or(&seen, bit, __ATOMIC_SEQ_CST) & bit))
		say("phase", (unsigned int)(uintptr_t)data);
}

static void on_mark(unsigned int cpu, void *data)
{
	(void)cpu;
	say("mark", (unsigned int)(uintptr_t)data);
}

/* ---- what is looked at --------------------------------------------------- */

/* How many bytes each turn of a repeated string instruction moves; 0: it is
 * none. */
static uintptr_t turn_of(const uint8_t *bytes, size_t size)
{
	static const uint8_t moves[] = { 0xa4, 0xa5, 0xaa, 0xab };
	int repeated = 0, wide = 0;

	for (; size > 1; bytes++, size--) {
		repeated |= *bytes == 0xf2 || *bytes == 0xf3;
		wide |= (*bytes & 0xf8) == 0x48;
	}
	if (!repeated || !memchr(moves, *bytes, sizeof moves))
		return 0;
	if (!(*bytes & 1))
		return 1;
	return wide ? 8 : 4;
}

static int is_pause(struct qemu_plugin_insn *insn)
{
	return qemu_plugin_insn_size(insn) == 2 &&
	       !memcmp(qemu_plugin_insn_data(insn), "\xf3\x90", 2);
}

static int is_within(const struct place *places, unsigned int count,
		     uint64_t address)
{
	for (unsigned int i = 0; i < count; i++)
		if (address >= places[i].from && address < places[i].to)
			return (int)i;
	return -1;
}

static void call(struct qemu_plugin_insn *insn, exec_callback *callback,
		 int number)
{
	qemu_plugin_register_vcpu_insn_exec_cb(insn, callback,
					       CALLBACK_NO_REGISTERS,
					       (void *)(uintptr_t)number);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t length = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, 0);
	uint64_t start = qemu_plugin_tb_vaddr(tb);
	uintptr_t what = length << LENGTH_SHIFT, turn;

	(void)id;
	if (!(start >> 63))
		return;
	turn = length > 1 ? 0 :
			    turn_of(qemu_plugin_insn_data(insn),
				    qemu_plugin_insn_size(insn));
	if (turn)
		what = turn << LENGTH_SHIFT | TURN;
	if (is_within(waits, wait_count, start) >= 0)
		what |= WAITS;
	for (size_t i = 0; i < length; i++) {
		uint64_t address;
		int phase, mark;

		insn = qemu_plugin_tb_get_insn(tb, i);
		address = qemu_plugin_insn_vaddr(insn);
		phase = is_within(phases, phase_count, address);
		mark = is_within(marks, mark_count, address);
		what |= is_pause(insn) ? PAUSES : 0;
		if (address == vmrun)
			call(insn, on_vmrun, 0);
		if (phase >= 0)
			call(insn, on_phase, phase);
		if (mark >= 0)
			call(insn, on_mark, mark);
	}
	qemu_plugin_register_vcpu_tb_exec_cb(
		tb, on_block, CALLBACK_NO_REGISTERS, (void *)what);
}

/* ---- what it is told ------------------------------------------------------ */

static void note(struct place *places, unsigned int *count, const char *words)
{
	char *end;
	struct place place = { .from = strtoull(words, &end, 0) };

	place.to = *end == '-' ? strtoull(end + 1, NULL, 0) : place.from + 1;
	if (*count < PLACES)
		places[(*count)++] = place;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int count,
			       char **arguments)
{
	(void)info;
	for (int i = 0; i < count; i++) {
		const char *word = arguments[i];
		const char *value = strchr(word, '=');

		value = value ? value + 1 : "";
		if (!strncmp(word, "cpus=", 5))
			wanted = (unsigned int)strtoul(value, NULL, 0);
		else if (!strncmp(word, "vmrun=", 6))
			vmrun = strtoull(value, NULL, 0);
		else if (!strncmp(word, "phase=", 6))
			note(phases, &phase_count, value);
		else if (!strncmp(word, "mark=", 5))
			note(marks, &mark_count, value);
		else if (!strncmp(word, "wait=", 5))
			note(waits, &wait_count, value);
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
