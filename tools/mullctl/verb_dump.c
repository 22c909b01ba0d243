/* SPDX-License-Identifier: MIT */
/* A guest's memory and registers as a file for gdb and crash. */
#include <stdlib.h>
#include <string.h>
#include <mullion/bits.h>
#include <mullion/package.h>
#include <sys/stat.h>

#include "core_file.h"
#include "remote.h"
#include "texts.h"
#include "work.h"

struct dump {
	struct mull *mull;
	const struct mull_vm_status *vm;
	uint64_t size;	   /* of its memory, with what is others' now */
	uint64_t firmware; /* of that, below 4 GiB */
	struct core_file core;
	uint64_t done, stored; /* bytes; those that are not zero */
	double told;	       /* when progress was */
	bool failed;	       /* after a message */
};

/* ---- memory ------------------------------------------------------------- */

static void tell_progress(struct dump *dump)
{
	double now = seconds_now();
	char *size;

	if (now < dump->told + 0.2)
		return;
	dump->told = now;
	size = texts_of_size(dump->stored);
	progress("%s: %3.0f%% of its memory, %s not zero", dump->vm->name,
		 100.0 * (double)dump->done / (double)dump->size, size);
	free(size);
}

static bool on_piece(void *context, uint64_t address, const void *bytes,
		     uint64_t length)
{
	struct dump *dump = context;

	dump->done += length;
	if (bytes) {
		dump->stored += length;
		dump->failed = !core_put(&dump->core, address, bytes, length);
	}
	tell_progress(dump);
	return !dump->failed && !work_signal();
}

static enum status copy_memory(struct dump *dump)
{
	int error = MULL_OK;

	for (size_t i = 0; !error && i < dump->core.region_count; i++)
		error = mull_memory(dump->mull, dump->vm->number,
				    dump->core.regions[i].start,
				    dump->core.regions[i].size, on_piece, dump);
	progress_erase();
	if (error == MULL_STOPPED)
		return STATUS_FAILED;
	return remote_status(dump->mull, error);
}

/* ---- the file ----------------------------------------------------------- */

static enum status copy_all(struct dump *dump)
{
	struct mull_registers registers[MULL_VCPU_MAX];
	enum status status = copy_memory(dump);

	for (uint32_t i = 0; status == STATUS_OK && i < dump->vm->vcpu_count;
	     i++) {
		status = remote_status(
			dump->mull, mull_registers(dump->mull, dump->vm->number,
						   i, &registers[i]));
		registers[i].vcpu = i;
	}
	if (status == STATUS_OK &&
	    !core_finish(&dump->core, registers, dump->vm->vcpu_count))
		status = STATUS_FAILED;
	return status;
}

/* Whole frames, if @kernel is firmware. */
static int ask_firmware(struct mull *mull, uint32_t kernel, uint64_t *size)
{
	static struct mull_image_status images[MULL_IMAGE_MAX];
	size_t count = 0;
	int error = mull_images(mull, images, &count);

	for (size_t i = 0; !error && i < count; i++)
		if (images[i].number == kernel &&
		    images[i].kind == MULL_IMAGE_FIRMWARE &&
		    images[i].size <= MULL_FIRMWARE_MAX)
			*size = round_up(images[i].size, FRAME_SIZE);
	return error;
}

/* All of its memory, with what others have now. */
static enum status ask_size(struct dump *dump)
{
	struct mull_vm_status whole = *dump->vm;
	struct mull_vm description;
	int error = mull_show(dump->mull, whole.number, &description);

	if (!error)
		error = ask_firmware(dump->mull, description.kernel,
				     &dump->firmware);
	if (error)
		return remote_status(dump->mull, error);
	dump->size = whole.memory_size = description.memory_size;
	if (dump->firmware >= dump->size)
		dump->firmware = 0;
	return remote_sane(&whole) ? STATUS_OK : STATUS_FAILED;
}

static void tell_result(const struct dump *dump, const char *name)
{
	const struct mull_vm_status *vm = dump->vm;
	char *size;

	if (dump->core.left_out)
		tell("%s: %zu mappings of the guest are left out; its memory "
		     "is there, at its physical addresses",
		     name, dump->core.left_out);
	if (dump->size > vm->memory_size) {
		size = texts_of_size(dump->size - vm->memory_size);
		tell("%s: %s of its memory are given away by its balloon, and "
		     "stand there as zeros",
		     name, size);
		free(size);
	}
	size = texts_of_size(dump->stored);
	tell("%s: %u vCPU%s, %s that are not zero; see it by: gdb KERNEL.ELF "
	     "%s",
	     name, vm->vcpu_count, vm->vcpu_count == 1 ? "" : "s", size, name);
	free(size);
}

static enum status write_core(struct mull *mull,
			      const struct mull_vm_status *vm, const char *name)
{
	struct dump dump = { .mull = mull, .vm = vm };
	enum status status = ask_size(&dump);
	struct new_file file;

	if (status != STATUS_OK)
		return status;
	status = STATUS_FAILED;
	if (!new_file_open(&file, name))
		return STATUS_FAILED;
	/* The guest's secrets are in it. */
	fchmod(file.fd, 0600);
	if (core_begin(&dump.core, &file, dump.size, dump.firmware))
		status = copy_all(&dump);
	if (!new_file_close(&file, status == STATUS_OK))
		status = STATUS_FAILED;
	core_free(&dump.core);
	if (status == STATUS_OK)
		tell_result(&dump, name);
	return status;
}

/* ---- the VM ------------------------------------------------------------- */

static enum status dump(struct mull *mull, struct mull_vm_status *vm,
			const char *name)
{
	bool paused = vm->state == MULL_VM_PAUSED;
	enum status status = paused ? STATUS_OK : remote_pause(mull, vm), end;

	if (status != STATUS_OK)
		return status;
	status = write_core(mull, vm, name);
	if (paused)
		return status;
	end = remote_status(mull, mull_resume(mull, vm->number));
	return status == STATUS_OK ? end : status;
}

int verb_dump(const struct options *options)
{
	const char *name = options->text[OPTION_OUTPUT];
	struct mull_vm_status vm;
	enum status status;
	struct mull *mull;

	if (!name) {
		tell("where to? give -o FILE");
		return STATUS_USAGE;
	}
	mull = remote_open_vm(options, NULL, &vm, &status);
	if (!mull)
		return status;
	work_begin();
	status = remote_sane(&vm) ? dump(mull, &vm, name) : STATUS_FAILED;
	mull_close(mull);
	work_end();
	return status;
}
