/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emulator.h"
#include "program.h"
#include "texts.h"

void arguments_add(struct arguments *arguments, const char *format, ...)
{
	va_list list;
	char *text;

	va_start(list, format);
	if (vasprintf(&text, format, list) < 0)
		memory_is_out();
	va_end(list);
	arguments->list[arguments->count++] = text;
	arguments->list[arguments->count] = NULL;
}

void arguments_free(struct arguments *arguments)
{
	while (arguments->count)
		free(arguments->list[--arguments->count]);
}

static const char *variable(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

static bool need_file(const char *file, const char *package)
{
	if (!access(file, R_OK))
		return true;
	tell("%s: %s: install the package %s", file, strerror(errno), package);
	return false;
}

/* ---- qemu --------------------------------------------------------------- */

static void add_words(struct arguments *arguments, const char *words)
{
	while (*words) {
		int length = (int)strcspn(words, " ");

		arguments_add(arguments, "%.*s", length, words);
		words += length;
		words += strspn(words, " ");
	}
}

static void add_drives(struct arguments *arguments, const struct run_plan *plan,
		       const char *code, const char *flash)
{
	add_words(arguments, "-drive");
	arguments_add(arguments,
		      "if=pflash,format=raw,unit=0,readonly=on,file=%s", code);
	add_words(arguments, "-drive");
	arguments_add(arguments,
		      "if=pflash,format=raw,unit=1,snapshot=on,file=%s", flash);
	add_words(arguments, "-drive");
	arguments_add(arguments,
		      "if=none,id=boot,format=raw,readonly=on,file=%s",
		      plan->disk);
	add_words(arguments, "-device virtio-blk-pci,drive=boot,bootindex=0");
}

/* FILE or FILE,nvme; whether the file can be used.  In qemu's words a comma is
 * doubled. */
static bool add_disk(struct arguments *arguments, const char *value,
		     size_t index)
{
	static const char suffix[] = ",nvme";
	size_t length = strlen(value), end = sizeof suffix - 1;
	bool nvme = length > end && !strcmp(value + length - end, suffix);
	char *file = texts_format("%.*s", (int)(length - (nvme ? end : 0)),
				  value);
	char *doubled = calloc(2 * length + 1, 1), *to = doubled;
	bool usable = !access(file, R_OK | W_OK);

	if (!doubled)
		memory_is_out();
	for (const char *from = file; *from; from++) {
		*to++ = *from;
		if (*from == ',')
			*to++ = ',';
	}
	if (!usable)
		tell("%s: %s", file, strerror(errno));
	arguments_add(arguments, "-drive");
	arguments_add(arguments, "if=none,id=disk%zu,format=raw,file=%s", index,
		      doubled);
	arguments_add(arguments, "-device");
	if (nvme)
		arguments_add(arguments, "nvme,drive=disk%zu,serial=%zu", index,
			      index);
	else
		arguments_add(arguments,
			      "virtio-blk-pci,drive=disk%zu,disable-legacy=on",
			      index);
	free(doubled);
	free(file);
	return usable;
}

/* CARD or CARD,WORDS; whether it is a card. */
static bool add_nic(struct arguments *arguments, const char *value,
		    size_t index)
{
	static const struct {
		const char *name, *device;
	} cards[] = {
		{ "virtio", "virtio-net-pci,disable-legacy=on" },
		{ "e1000e", "e1000e" },
	};
	size_t length = strcspn(value, ",");
	const char *device = NULL;

	for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
		if (strlen(cards[i].name) == length &&
		    !memcmp(cards[i].name, value, length))
			device = cards[i].device;
	if (!device) {
		tell("--nic is virtio or e1000e, not \"%.*s\"", (int)length,
		     value);
		return false;
	}
	arguments_add(arguments, "-netdev");
	arguments_add(arguments, "user,id=net%zu%s", index, value + length);
	arguments_add(arguments, "-device");
	arguments_add(arguments, "%s,netdev=net%zu,romfile=", device, index);
	return true;
}

enum status qemu_arguments(const struct run_plan *plan,
			   struct arguments *arguments)
{
	const char *code = variable("OVMF_CODE",
				    "/usr/share/OVMF/OVMF_CODE_4M.fd");
	const char *flash = variable("OVMF_VARS",
				     "/usr/share/OVMF/OVMF_VARS_4M.fd");
	char *qemu = program_need(plan->qemu, "qemu-system-x86");

	if (!qemu)
		return STATUS_HOST;
	arguments_add(arguments, "%s", qemu);
	free(qemu);
	if (!need_file(code, "ovmf") || !need_file(flash, "ovmf"))
		return STATUS_HOST;
	if (plan->kvm && access("/dev/kvm", R_OK | W_OK)) {
		tell("/dev/kvm: %s (--accel kvm needs KVM with nested "
		     "virtualization)",
		     strerror(errno));
		return STATUS_HOST;
	}
	add_words(arguments, "-nodefaults -machine q35");
	add_words(arguments,
		  plan->kvm ? "-enable-kvm -cpu host" : "-accel tcg -cpu max");
	arguments_add(arguments, "-m");
	arguments_add(arguments, "%luM", plan->memory >> 20);
	arguments_add(arguments, "-smp");
	arguments_add(arguments, "%u", plan->cpus);
	add_words(arguments, "-display none -monitor none -no-reboot "
			     "-boot menu=off");
	add_drives(arguments, plan, code, flash);
	add_words(arguments, "-chardev stdio,id=channel,signal=off "
			     "-serial chardev:channel");
	if (plan->deterministic)
		add_words(arguments, "-icount shift=6,sleep=off");
	if (plan->gdb) {
		add_words(arguments, "-S -gdb");
		arguments_add(arguments, "unix:%s/gdb,server=on,wait=off",
			      plan->folder);
	}
	for (size_t i = 0; i < plan->disks->count; i++)
		if (!add_disk(arguments, plan->disks->values[i], i))
			return STATUS_MISTAKE;
	for (size_t i = 0; i < plan->nics->count; i++)
		if (!add_nic(arguments, plan->nics->values[i], i))
			return STATUS_MISTAKE;
	for (size_t i = 0; i < plan->qemu_args->count; i++)
		arguments_add(arguments, "%s", plan->qemu_args->values[i]);
	return STATUS_OK;
}

/* ---- bochs -------------------------------------------------------------- */

static const char bochs_configuration[] =
	"display_library: %s\n"
	"romimage: file=%s, address=0xffe00000\n"
	"vgaromimage: file=%s\n"
	"megs: %lu\n"
	"cpu: model=%s, count=%u, ips=100000000, reset_on_triple_fault=0\n"
	"clock: sync=none, time0=1800000000\n" /* the same in each run: 2027 */
	"ata0-master: type=disk, path=%s, mode=flat\n"
	"boot: disk\n"
	"com1: enabled=1, mode=socket-client, dev=localhost:%u\n"
	"log: %s/bochs.log\n"
	"panic: action=fatal\n"
	"info: action=ignore\n"
	"error: action=report\n"
	"%s\n";

static bool write_text(const struct run_plan *plan, const char *name,
		       char *text)
{
	char *file = texts_format("%s/%s", plan->folder, name);
	FILE *stream = fopen(file, "we");
	bool done = stream && fputs(text, stream) >= 0;

	if (stream && fclose(stream))
		done = false;
	if (!done)
		tell("%s: %s", file, strerror(errno));
	free(file);
	free(text);
	return done;
}

/* Debian's binary is a debugger that must be told to continue; others do not
 * know that option. */
static bool is_debugger(const char *bochs)
{
	const char *arguments[] = { bochs, "--help", NULL };
	char words[4096];

	program_ask(arguments, words, sizeof words);
	return strstr(words, "-rc ") != NULL;
}

enum status bochs_arguments(const struct run_plan *plan, unsigned port,
			    struct arguments *arguments)
{
	static const char firmware[] = "/usr/share/ovmf/OVMF.fd";
	static const char video[] = "/usr/share/vgabios/vgabios.bin";
	char *bochs = program_need(variable("BOCHS", "bochs"),
				   "bochs (with bochs-term and vgabios)");

	if (!bochs)
		return STATUS_HOST;
	arguments_add(arguments, "%s", bochs);
	free(bochs);
	if (!need_file(firmware, "ovmf") || !need_file(video, "vgabios") ||
	    !write_text(
		    plan, "bochsrc",
		    texts_format(bochs_configuration,
				 variable("BOCHS_DISPLAY", "term"), firmware,
				 video, plan->memory >> 20,
				 variable("BOCHS_CPU", "corei7_haswell_4770"),
				 plan->cpus, plan->disk, port, plan->folder,
				 variable("BOCHS_LINES", ""))) ||
	    !write_text(plan, "continue", texts_format("c\n")))
		return STATUS_HOST;
	add_words(arguments, "-q -f");
	arguments_add(arguments, "%s/bochsrc", plan->folder);
	if (is_debugger(arguments->list[0])) {
		arguments_add(arguments, "-rc");
		arguments_add(arguments, "%s/continue", plan->folder);
	}
	return STATUS_OK;
}
