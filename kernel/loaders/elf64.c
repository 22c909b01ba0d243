/* SPDX-License-Identifier: MIT */
/* Mullion's own ELF64 guests (<mullion/guest.h>). */
#include "elf.h"

#include <mullion/bits.h>
#include <mullion/guest.h>
#include <string.h>

static enum error check_note(struct load *load, const struct elf *elf)
{
	uint32_t abi = 0;

	if (elf_find_note(load, elf, MULL_NOTE_OWNER, sizeof MULL_NOTE_OWNER,
			  MULL_NOTE_ABI, &abi, sizeof abi) != sizeof abi)
		return load_fail(load, ERR_BAD_IMAGE,
				 "kernel is no %s: it has no note of that name",
				 elf->what);
	if (abi != MULL_GUEST_ABI)
		return load_fail(load, ERR_VERSION,
				 "kernel was made for version %u of the "
				 "guest's interface, but this is version %u",
				 abi, MULL_GUEST_ABI);
	return ERR_NONE;
}

/* Whether the entry point is a byte of the file that may be executed.  Segments
 * without memory are not loaded, whatever else they say. */
static bool is_entered(const struct load *load, const struct elf *elf)
{
	for (uint32_t i = 0; i < elf->segment_count; i++) {
		struct elf_segment segment = elf_segment(load, elf, i);

		if (segment.type == ELF_SEGMENT_LOAD &&
		    segment.flags & ELF_FLAG_EXECUTE && segment.memsz &&
		    elf->entry - segment.paddr < segment.filesz)
			return true;
	}
	return false;
}

enum error elf64_check(struct load *load)
{
	struct elf elf;
	enum error error = elf_open(load, "guest of Mullion", false, &elf);

	if (!error)
		error = check_note(load, &elf);
	if (!error)
		error = elf_add_segments(load, &elf);
	if (!error && !is_entered(load, &elf))
		error = load_fail(load, ERR_BAD_IMAGE,
				  "kernel: the entry point 0x%lx is not in a "
				  "segment with code",
				  (unsigned long)elf.entry);
	load->start.rip = elf.entry;
	return error;
}

/* ---- what the guest is told --------------------------------------------- */

enum error elf64_write_tables(struct load *load)
{
	const struct load_request *request = &load->request;
	struct mull_guest_info info = {
		.magic = MULL_GUEST_INFO_MAGIC,
		.abi = MULL_GUEST_ABI,
		.vcpu_count = request->vm->vcpu_count,
		.memory_low = request->memory_low,
		.memory_high = request->memory_high,
		.tsc_khz = request->tsc_khz,
		.rsdp = MULL_GUEST_ACPI_AREA,
		.command_line = LOW_COMMAND_LINE,
	};
	enum error error;

	memcpy(info.name, request->vm->name, sizeof info.name - 1);
	error = guest_write(request->memory, gpa(LOW_INFO), &info, sizeof info);
	/* The page of the command line is zero and ends it. */
	if (!error)
		error = guest_write(request->memory, gpa(LOW_COMMAND_LINE),
				    request->vm->command_line,
				    command_line_length(request->vm));
	load->start.rdi = LOW_INFO;
	return error;
}
