/* SPDX-License-Identifier: MIT */
/*
 * Debian ships no header for plugins; these few declarations are what is
 * needed of QEMU 7.2's interface, version 1 ("QEMU TCG Plugins", "API").
 */
#ifndef QEMU_PLUGIN_H
#define QEMU_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

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
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *,
					  exec_callback *, int flags,
					  void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *,
						 size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *,
					    exec_callback *, int flags,
					    void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *,
						int operation, void *counter,
						uint64_t value);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, exit_callback *, void *);
void qemu_plugin_outs(const char *);

extern EXPORT int qemu_plugin_version;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int count,
			       char **arguments);

#endif
