/* SPDX-License-Identifier: MIT */
/*
 * Modules: files that lie in memory beside a kernel, each with a command
 * line.  The initrd of a VM is the first of them, without one.
 */
#include "loader.h"

#include <mullion/bits.h>
#include <string.h>

_Static_assert(sizeof(((struct mull_module *)0)->words) == 124,
	       "LOW_STRINGS has room");

static bool has_initrd(const struct load *load)
{
	return load->request.initrd.record != NULL;
}

uint32_t modules_count(struct load *load)
{
	struct load_work *work = load_work(load);

	return work->piece_count - work->first_module;
}

static const struct load_image *image_of(const struct load *load,
					 uint32_t index)
{
	if (has_initrd(load))
		return index ? &load->request.modules[index - 1] :
			       &load->request.initrd;
	return &load->request.modules[index];
}

/* Where the kernel ends, and what is below 1 MiB. */
static uint64_t kernel_end(struct load *load)
{
	const struct load_work *work = load_work(load);
	uint64_t end = MIB(1);

	for (uint32_t i = 0; i < work->piece_count; i++)
		if (end < work->pieces[i].to + work->pieces[i].size)
			end = work->pieces[i].to + work->pieces[i].size;
	return end;
}

/* As GRUB does: some kernels map no more than the memory around them. */
enum error modules_place(struct load *load)
{
	struct load_work *work = load_work(load);
	uint64_t low = load->request.memory_low;
	uint64_t at = round_up(kernel_end(load), PAGE_SIZE);
	uint32_t count = load->request.vm->module_count + has_initrd(load);

	work->first_module = work->piece_count;
	for (uint32_t i = 0; i < count; i++) {
		const struct load_image *image = image_of(load, i);
		uint64_t size = image->record->size;

		if (at > low || size > low - at)
			return load_fail(load, ERR_TOO_LARGE,
					 "module %u of %lu KiB does not fit "
					 "behind 0x%lx: the VM has %lu MiB of "
					 "memory below 4 GiB",
					 i + 1,
					 (unsigned long)((size + 1023) / 1024),
					 (unsigned long)at,
					 (unsigned long)(low / MIB(1)));
		work->pieces[work->piece_count++] = (struct load_piece){
			.to = at,
			.image = image,
			.copied = size,
			.size = size,
		};
		at = round_up(at + size, PAGE_SIZE);
	}
	return ERR_NONE;
}

size_t module_words(const struct load *load, uint32_t index,
		    char words[sizeof(((struct mull_module *)0)->words)])
{
	const struct mull_module *module;
	const char *end;
	size_t length;

	words[0] = 0;
	if (has_initrd(load) && index-- == 0)
		return 0;
	module = &load->request.vm->modules[index];
	end = memchr(module->words, 0, sizeof module->words);
	length = end ? (size_t)(end - module->words) : sizeof module->words - 1;
	memcpy(words, module->words, length);
	words[length] = 0;
	return length;
}

/* The page is zero and ends each of them. */
enum error command_lines_write(struct load *load, uint32_t at[LOAD_MODULES])
{
	const struct load_request *request = &load->request;
	char words[sizeof(((struct mull_module *)0)->words)];
	uint32_t next = LOW_STRINGS;
	enum error error;

	error = guest_write(request->memory, gpa(LOW_COMMAND_LINE),
			    request->vm->command_line,
			    command_line_length(request->vm));
	for (uint32_t i = 0; i < modules_count(load) && !error; i++) {
		size_t length = module_words(load, i, words);

		/* The first string's end is where an empty one is. */
		at[i] = length ? next : LOW_STRINGS - 1;
		error = guest_write(request->memory, gpa(next), words, length);
		next += length ? (uint32_t)length + 1 : 0;
	}
	return error;
}
