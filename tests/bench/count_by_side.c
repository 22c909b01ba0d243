/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plugin that counts what a machine with a hypervisor executes, idle
 * left out: in guests, in the hypervisor's kernel, in its user space (by the
 * half of the addresses).  A processor is in a guest from VMRUN to the
 * instruction behind it, which is known by where it lies in the machine's
 * memory.  A program marks the ends of what it measures by a NOP that it has
 * from no compiler (nopl MARK+n(%rax)): at each a line with the counts so far.
 *
 * Counted are whole blocks of instructions: one that a fault cuts short counts
 * as a whole, and again when it goes on.  A string instruction counts once,
 * however many bytes it moves, since those tell little about time: they are
 * counted for themselves ("moved").  QEMU translates each turn behind the first
 * as a block of its own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mark.h"
#include "qemu_plugin.h"

#define CPUS 8
#define ENTRIES 64 /* places with a VMRUN */

/* What a callback is told of its block. */
#define BEHIND_VMRUN 1ul
#define UPPER_HALF 2ul
#define TURN 4ul /* of a string instruction; its bytes are in length's place */
#define LENGTH_SHIFT 3

enum side { GUEST, KERNEL, USER, SIDES };

static struct {
	uint64_t executed[SIDES], moved[SIDES];
	uint64_t entries;
	int in_guest;
} __attribute__((aligned(64))) cpus[CPUS];

int qemu_plugin_version = 1;

static const char *behind[ENTRIES];
static unsigned int behind_count;

static void on_block(unsigned int cpu, void *data)
{
	uintptr_t what = (uintptr_t)data;
	enum side side = what & UPPER_HALF ? KERNEL : USER;

	if (cpu >= CPUS)
		return;
	if (what & BEHIND_VMRUN)
		cpus[cpu].in_guest = 0;
	if (cpus[cpu].in_guest)
		side = GUEST;
	if (what & TURN)
		cpus[cpu].moved[side] += what >> LENGTH_SHIFT;
	else
		cpus[cpu].executed[side] += what >> LENGTH_SHIFT;
}

static void on_vmrun(unsigned int cpu, void *data)
{
	(void)data;
	if (cpu >= CPUS)
		return;
	cpus[cpu].in_guest = 1;
	cpus[cpu].entries++;
}

static void on_mark(unsigned int cpu, void *data)
{
	uint64_t sum[SIDES] = { 0 }, moved[SIDES] = { 0 }, entries = 0;
	char line[300];

	(void)cpu;
	for (unsigned int i = 0; i < CPUS; i++) {
		for (enum side side = GUEST; side < SIDES; side++) {
			sum[side] += cpus[i].executed[side];
			moved[side] += cpus[i].moved[side];
		}
		entries += cpus[i].entries;
	}
	snprintf(line, sizeof line,
		 "mark=%u guest=%" PRIu64 " kernel=%" PRIu64 " user=%" PRIu64
		 " entries=%" PRIu64 " guest_moved=%" PRIu64
		 " kernel_moved=%" PRIu64 " user_moved=%" PRIu64 "\n",
		 (unsigned int)(uintptr_t)data, sum[GUEST], sum[KERNEL],
		 sum[USER], entries, moved[GUEST], moved[KERNEL], moved[USER]);
	qemu_plugin_outs(line);
}

static int is_vmrun(const uint8_t *bytes, size_t size)
{
	return size == 3 && !memcmp(bytes, "\x0f\x01\xd8", 3);
}

/* The number of the mark; -1: it is none. */
static int mark_of(const uint8_t *bytes, size_t size)
{
	uint32_t word;

	if (size != 7 || memcmp(bytes, "\x0f\x1f\x80", 3))
		return -1;
	memcpy(&word, bytes + 3, sizeof word);
	return word - MARK < MARKS ? (int)(word - MARK) : -1;
}

/* How many bytes each turn of a repeated string instruction moves; 0: it is
 * none. */
static uintptr_t turn_of(const uint8_t *bytes, size_t size)
{
	uintptr_t width = 4;
	int repeated = 0;

	for (; size > 1; bytes++, size--) {
		if (*bytes == 0xf2 || *bytes == 0xf3)
			repeated = 1;
		else if (*bytes == 0x66)
			width = 2;
		else if ((*bytes & 0xf8) == 0x48)
			width = 8;
		else if (*bytes != 0x67 && (*bytes & 0xf0) != 0x40)
			return 0;
	}
	/* INS, OUTS; MOVS, CMPS; STOS, LODS, SCAS */
	if (!repeated || !((*bytes & 0xfc) == 0x6c || (*bytes & 0xfc) == 0xa4 ||
			   (*bytes >= 0xaa && *bytes <= 0xaf)))
		return 0;
	return *bytes & 1 ? width : 1;
}

static void remember(const char *place)
{
	for (unsigned int i = 0; i < behind_count; i++)
		if (behind[i] == place)
			return;
	if (behind_count < ENTRIES)
		behind[behind_count++] = place;
}

static int is_behind(const char *place)
{
	for (unsigned int i = 0; i < behind_count; i++)
		if (behind[i] == place)
			return 1;
	return 0;
}

static void look_at(struct qemu_plugin_insn *insn)
{
	const uint8_t *bytes = qemu_plugin_insn_data(insn);
	size_t size = qemu_plugin_insn_size(insn);
	int mark = mark_of(bytes, size);

	if (is_vmrun(bytes, size)) {
		remember((const char *)qemu_plugin_insn_haddr(insn) + size);
		qemu_plugin_register_vcpu_insn_exec_cb(
			insn, on_vmrun, CALLBACK_NO_REGISTERS, NULL);
	}
	if (mark >= 0)
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark,
						       CALLBACK_NO_REGISTERS,
						       (void *)(uintptr_t)mark);
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t length = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
	uintptr_t what = length << LENGTH_SHIFT, turn;

	(void)id;
	turn = length > 1 ? 0 :
			    turn_of(qemu_plugin_insn_data(first),
				    qemu_plugin_insn_size(first));
	if (turn)
		what = turn << LENGTH_SHIFT | TURN;
	if (qemu_plugin_tb_vaddr(tb) >> 63)
		what |= UPPER_HALF;
	if (is_behind(qemu_plugin_insn_haddr(first)))
		what |= BEHIND_VMRUN;
	qemu_plugin_register_vcpu_tb_exec_cb(
		tb, on_block, CALLBACK_NO_REGISTERS, (void *)what);
	for (size_t i = 0; i < length; i++)
		look_at(qemu_plugin_tb_get_insn(tb, i));
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int count,
			       char **arguments)
{
	(void)info;
	(void)count;
	(void)arguments;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
