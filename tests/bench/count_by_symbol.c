/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plugin that tells where a machine spends its instructions on the way
 * to an address, idle left out: from the first execution of start= on, on the
 * processor number cpu= until it comes to stop=; and on any processor while a
 * call of within= lasts.  What the functions at whole= call counts as theirs.
 * At stop= it prints, for each block of instructions of the machine's program,
 * "at=ADDRESS instructions=N whole=ADDRESS": who reads it knows the symbols.
 * Then it counts anew, from the next execution of start= on.
 *
 * Returns are told from other jumps by a stack of return addresses.  A frame
 * that is never returned to (a retpoline's, another stack's) goes with the
 * next one below it that is.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

#define CPUS 4
#define WHOLE_MAX 16
#define WITHIN_MAX 4
#define DEPTH 256
#define BUCKETS 4096

int qemu_plugin_version = 1;

struct block {
	struct block *next;
	uint64_t address, length;
	uint64_t returns_to; /* 0: it does not end with a call */
	/* On each processor, and within=; [WHOLE_MAX]: in none of whole=. */
	uint64_t executed[CPUS + 1][WHOLE_MAX + 1];
};

static struct block *blocks[BUCKETS];
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t start, stop, within[WITHIN_MAX], whole[WHOLE_MAX];
static unsigned int within_count, whole_count, stop_cpu;
static volatile int running;

static struct cpu {
	uint64_t frames[DEPTH];
	unsigned int depth;
	uint64_t called_from; /* the last block was a call: where it returns */
	unsigned int within_depth; /* 0: not in it */
	unsigned int whole_depth;  /* 0: in none */
	unsigned int whole_in;
} cpus[CPUS];

static void pop_to(struct cpu *cpu, uint64_t address)
{
	for (unsigned int i = cpu->depth; i-- > 0;) {
		if (cpu->frames[i] != address)
			continue;
		cpu->depth = i;
		if (i < cpu->within_depth)
			cpu->within_depth = 0;
		if (i < cpu->whole_depth)
			cpu->whole_depth = 0;
		return;
	}
}

static void push(struct cpu *cpu, uint64_t address)
{
	if (cpu->depth == DEPTH) { /* the oldest are of no interest */
		memmove(cpu->frames, cpu->frames + 1,
			sizeof cpu->frames - sizeof *cpu->frames);
		cpu->depth--;
		cpu->within_depth -= cpu->within_depth > 1;
		cpu->whole_depth -= cpu->whole_depth > 1;
	}
	cpu->frames[cpu->depth++] = address;
}

static void enter(struct cpu *cpu, uint64_t address)
{
	/* Who called them is of no interest. */
	if (address == start) {
		running = 1;
		cpu->whole_depth = 0;
	}
	for (unsigned int i = 0; i < within_count && !cpu->within_depth; i++)
		if (address == within[i]) {
			cpu->within_depth = cpu->depth;
			cpu->whole_depth = 0;
		}
	for (unsigned int i = 0; i < whole_count && !cpu->whole_depth; i++) {
		if (address != whole[i])
			continue;
		cpu->whole_depth = cpu->depth;
		cpu->whole_in = i;
	}
}

static void on_block(unsigned int number, void *data)
{
	struct block *block = data;
	struct cpu *cpu = &cpus[number];

	if (number >= CPUS)
		return;
	if (cpu->called_from)
		push(cpu, cpu->called_from);
	else
		pop_to(cpu, block->address);
	enter(cpu, block->address);
	cpu->called_from = block->returns_to;
	if (running || cpu->within_depth)
		block->executed[cpu->within_depth ? CPUS : number]
			       [cpu->whole_depth ? cpu->whole_in : WHOLE_MAX] +=
			block->length;
}

static void say(struct block *block, unsigned int in)
{
	uint64_t count = block->executed[stop_cpu][in] +
			 block->executed[CPUS][in];
	char line[100];

	for (unsigned int i = 0; i <= CPUS; i++)
		block->executed[i][in] = 0;
	if (!count)
		return;
	snprintf(line, sizeof line,
		 "at=%" PRIu64 " instructions=%" PRIu64 " whole=%" PRIu64 "\n",
		 block->address, count, in < WHOLE_MAX ? whole[in] : 0);
	qemu_plugin_outs(line);
}

static void on_stop(unsigned int number, void *data)
{
	(void)data;
	if (number != stop_cpu || !running)
		return;
	running = 0;
	pthread_mutex_lock(&blocks_lock);
	for (unsigned int i = 0; i < BUCKETS; i++)
		for (struct block *block = blocks[i]; block;
		     block = block->next)
			for (unsigned int in = 0; in <= WHOLE_MAX; in++)
				say(block, in);
	pthread_mutex_unlock(&blocks_lock);
	qemu_plugin_outs("reached\n");
}

/* CALL to a distance, and by a register or a place in memory. */
static int is_call(const uint8_t *bytes, size_t size)
{
	if (size > 1 && (*bytes & 0xf0) == 0x40) {
		bytes++;
		size--;
	}
	return bytes[0] == 0xe8 ||
	       (size > 1 && bytes[0] == 0xff && (bytes[1] >> 3 & 7) == 2);
}

static struct block *make_block(uint64_t address, size_t length)
{
	struct block *block = calloc(1, sizeof *block);

	if (!block)
		abort();
	block->next = blocks[address % BUCKETS];
	block->address = address;
	block->length = length;
	blocks[address % BUCKETS] = block;
	return block;
}

/* It is translated again when QEMU has dropped it. */
static struct block *block_of(const struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	size_t length = qemu_plugin_tb_n_insns(tb);
	struct block *block;

	pthread_mutex_lock(&blocks_lock);
	block = blocks[address % BUCKETS];
	while (block && (block->address != address || block->length != length))
		block = block->next;
	if (!block)
		block = make_block(address, length);
	pthread_mutex_unlock(&blocks_lock);
	return block;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t length = qemu_plugin_tb_n_insns(tb);
	struct block *block;

	(void)id;
	/* Guests' programs and the firmware lie in the lower half. */
	if (!(qemu_plugin_tb_vaddr(tb) >> 63))
		return;
	block = block_of(tb);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block,
					     CALLBACK_NO_REGISTERS, block);
	for (size_t i = 0; i < length; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn);
		size_t size = qemu_plugin_insn_size(insn);

		if (address == stop)
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, on_stop, CALLBACK_NO_REGISTERS, NULL);
		if (i == length - 1 &&
		    is_call(qemu_plugin_insn_data(insn), size))
			block->returns_to = address + size;
	}
}

static void take_argument(const char *argument)
{
	const char *value = strchr(argument, '=');
	uint64_t address = value ? strtoull(value + 1, NULL, 0) : 0;

	if (!strncmp(argument, "start=", 6))
		start = address;
	else if (!strncmp(argument, "stop=", 5))
		stop = address;
	else if (!strncmp(argument, "cpu=", 4) && address < CPUS)
		stop_cpu = (unsigned int)address;
	else if (!strncmp(argument, "within=", 7) && within_count < WITHIN_MAX)
		within[within_count++] = address;
	else if (!strncmp(argument, "whole=", 6) && whole_count < WHOLE_MAX)
		whole[whole_count++] = address;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int count,
			       char **arguments)
{
	(void)info;
	for (int i = 0; i < count; i++)
		take_argument(arguments[i]);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
