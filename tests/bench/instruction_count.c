/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plugin that counts executed instructions, idle left out: from the
 * first execution of address start= to the first of stop=.  With sum=1 it
 * adds up each pass from start to stop instead (an exit's cost: start is the
 * instruction behind VMRUN, stop is VMRUN).  One processor only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

int qemu_plugin_version = 1;

static uint64_t start, stop, executed;
static uint64_t started_at, span, passes, total, least = UINT64_MAX, most;
static int sum, running;

static void say(const char *what)
{
	char line[200];

	snprintf(line, sizeof line,
		 "%s instructions=%" PRIu64 " passes=%" PRIu64 " total=%" PRIu64
		 " min=%" PRIu64 " max=%" PRIu64 "\n",
		 what, span, passes, total, passes ? least : 0, most);
	qemu_plugin_outs(line);
}

static void on_start(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (!sum && (running || passes))
		return; /* the first time only */
	running = 1;
	started_at = executed;
}

static void on_stop(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (!running)
		return;
	span = executed - started_at;
	running = 0;
	if (sum) {
		passes++;
		total += span;
		least = span < least ? span : least;
		most = span > most ? span : most;
		return;
	}
	if (!passes++)
		say("reached");
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn);

		qemu_plugin_register_vcpu_insn_exec_inline(insn, INLINE_ADD_U64,
							   &executed, 1);
		if (start && address == start)
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, on_start, CALLBACK_NO_REGISTERS, NULL);
		if (address == stop)
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, on_stop, CALLBACK_NO_REGISTERS, NULL);
	}
}

static void on_end(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	say("end");
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int count,
			       char **arguments)
{
	(void)info;
	for (int i = 0; i < count; i++) {
		if (!strncmp(arguments[i], "start=", 6))
			start = strtoull(arguments[i] + 6, NULL, 0);
		else if (!strncmp(arguments[i], "stop=", 5))
			stop = strtoull(arguments[i] + 5, NULL, 0);
		else if (!strcmp(arguments[i], "sum=1"))
			sum = 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	return 0;
}
