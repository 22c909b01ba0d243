/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plugin that counts executed instructions, idle left out: from the
 * first execution of address start= to the first of stop=.  With sum=1 it
 * adds up each pass from start to stop instead (an exit's cost: start is the
 * instruction behind VMRUN, stop is VMRUN).  One processor only.
 *
 * Debian ships no header for plugins; these few declarations are what is
 * needed of QEMU 7.2's interface, version 1 ("QEMU TCG Plugins", "API").
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { CALLBACK_NO_REGISTERS };
enum { INLINE_ADD_U64 };

typedef void tb_callback(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void exec_callback(unsigned int cpu, void *data);
typedef void exit_callback(qemu_plugin_id_t, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_callback *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *,
						 size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *,
					    exec_callback *, int flags,
					    void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *,
						int operation, void *counter,
						uint64_t value);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, exit_callback *, void *);
void qemu_plugin_outs(const char *);

EXPORT int qemu_plugin_version = 1;

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
			       char **arguments);

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
