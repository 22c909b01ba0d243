/* SPDX-License-Identifier: MIT */
/*
 * The one table of verbs and options: it drives the parsing, the help texts
 * and the manual page.
 */
#ifndef MULLCTL_VERBS_H
#define MULLCTL_VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum option_id {
	OPTION_OUTPUT,
	OPTION_FORMAT,
	OPTION_EFI,
	OPTION_KERNEL,
	OPTION_INITRD,
	OPTION_CMDLINE,
	OPTION_MEMORY,
	OPTION_CPUS,
	OPTION_SMP,
	OPTION_MACHINE_MEMORY,
	OPTION_EMULATOR,
	OPTION_ACCEL,
	OPTION_QEMU,
	OPTION_QEMU_ARG,
	OPTION_DISK,
	OPTION_NIC,
	OPTION_DETERMINISTIC,
	OPTION_TIMEOUT,
	OPTION_NO_REBOOT,
	OPTION_SERIAL,
	OPTION_GDB,
	OPTION_KEEP,
	OPTION_VERBOSE,
	OPTION_CONNECT,
	OPTION_FORM,
	OPTION_WAIT,
	OPTION_FORCE,
	OPTION_VCPU,
	OPTION_LISTEN,
	OPTION_FOLLOW,
	OPTION_PREVIOUS,
	OPTION_ALL,
	OPTION_WARM,
	OPTION_LEVEL,
	OPTION_STDIO,
	OPTION_NAME,
	OPTION_KIND,
	OPTION_REPLACE,
	OPTION_READ_ONLY,
	OPTION_ROOM,
	OPTION_PARTITION,
	OPTION_START,
	OPTION_BATCH,
	OPTION_INTERVAL,
	OPTION_ITERATIONS,
	OPTION_SWITCH,
	OPTION_COUNT
};

#define REPEATED_MAX 64

/* The values of an option that may be given again, in their order. */
struct repeated {
	size_t count;
	const char *values[REPEATED_MAX];
};

/* A command line, parsed; the texts belong to argv. */
struct options {
	const struct verb *verb;
	const char *operand; /* the manifest, or the verb to help with */
	const char *second;  /* the operand behind it */
	const char *third;
	const char *text[OPTION_COUNT]; /* NULL: not given; "" for a flag */
	struct repeated qemu_args, disks, nics;
};

struct verb {
	const char *name;
	const char *operands; /* as the synopsis shows them */
	int operand_min, operand_max;
	const char *summary;
	const char *description;
	int (*run)(const struct options *options); /* returns enum status */
	bool remote; /* speaks with a hypervisor: the exit statuses of those */
};

struct option_row {
	enum option_id id;
	char letter; /* 0: none */
	const char *name;
	const char *argument; /* NULL: a flag */
	const char *verbs;    /* names, each with a space behind it */
	const char *help;
};

/* A line of two columns: an exit status, a key, an environment variable. */
struct note {
	const char *what;
	const char *words;
};

extern const struct verb verbs[];	      /* ends with a NULL name */
extern const struct option_row option_rows[]; /* ends with a NULL name */
extern const struct note status_notes[], remote_status_notes[];
extern const struct note key_notes[], environment_notes[];

/* Whether @option belongs to @verb. */
int option_is_of(const struct option_row *option, const struct verb *verb);
const struct verb *verb_find(const char *name);

/* All of mullctl but its name: returns the exit status. */
int mullctl(int argc, char **argv);

/* The verbs, each in a file of its own. */
int verb_check(const struct options *options);
int verb_pack(const struct options *options);
int verb_run(const struct options *options);
int verb_list(const struct options *options);
int verb_show(const struct options *options);
int verb_version(const struct options *options);
int verb_info(const struct options *options);
int verb_start(const struct options *options);
int verb_stop(const struct options *options);
int verb_reset(const struct options *options);
int verb_pause(const struct options *options);
int verb_resume(const struct options *options);
int verb_destroy(const struct options *options);
int verb_disks(const struct options *options);
int verb_nics(const struct options *options);
int verb_attach(const struct options *options);
int verb_detach(const struct options *options);
int verb_balloon(const struct options *options);
int verb_console(const struct options *options);
int verb_log(const struct options *options);
int verb_events(const struct options *options);
int verb_stats(const struct options *options);
int verb_schedule(const struct options *options);
int verb_top(const struct options *options);
int verb_trace(const struct options *options);
int verb_audit(const struct options *options);
int verb_shutdown(const struct options *options);
int verb_reboot(const struct options *options);
int verb_images(const struct options *options);
int verb_upload(const struct options *options);
int verb_download(const struct options *options);
int verb_delete(const struct options *options);
int verb_create(const struct options *options);
int verb_completion(const struct options *options);
int verb_debug(const struct options *options);
int verb_dump(const struct options *options);
int verb_inject(const struct options *options);
int verb_agent(const struct options *options);
int verb_vsock(const struct options *options);
int verb_help(const struct options *options);
int verb_man(const struct options *options);

#endif
