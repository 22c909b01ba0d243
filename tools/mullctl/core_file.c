/* SPDX-License-Identifier: MIT */
#include "core_file.h"

#include <mullion/bits.h>
#include <mullion/guest.h>
#include <mullion/package.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest_tables.h"
#include "texts.h"

/* Linux's struct elf_prstatus of x86-64; registers that are not here are 0. */
struct prstatus {
	uint8_t signals[32];
	uint32_t pid; /* of the thread: the vCPU's number and 1 */
	uint8_t process[76];
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
	uint64_t rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, rflags, rsp, ss;
	uint64_t fs_base, gs_base, ds, es, fs, gs;
	uint64_t has_floats; /* 0 */
};
static_assert(sizeof(struct prstatus) == 336, "core format");

/* QEMU's QEMUCPUState, version 1: crash finds a randomized kernel by it. */
struct qemu_segment {
	uint32_t selector, limit, flags, pad;
	uint64_t base;
};
struct qemu_state {
	uint32_t version, size;
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8_to_r15[8];
	uint64_t rip, rflags;
	struct qemu_segment cs, ds, es, fs, gs, ss, ldt, tr, gdt, idt;
	uint64_t cr[5];
	uint64_t kernel_gs_base;
};
static_assert(sizeof(struct qemu_state) == 440, "core format");

struct prstatus_note {
	Elf64_Nhdr header;
	char name[8]; /* "CORE" */
	struct prstatus data;
} __attribute__((packed));
struct qemu_note {
	Elf64_Nhdr header;
	char name[8]; /* "QEMU" */
	struct qemu_state data;
} __attribute__((packed));

static_assert(sizeof(Elf64_Ehdr) + CORE_HEADERS_MAX * sizeof(Elf64_Phdr) +
			      MULL_VCPU_MAX * (sizeof(struct prstatus_note) +
					       sizeof(struct qemu_note)) <=
		      CORE_HEADER_AREA,
	      "all headers and notes have room");

enum { ES, CS, SS, DS, FS, GS, LDTR, TR };	     /* mull_segment */
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 }; /* gpr */

/* ---- memory ------------------------------------------------------------- */

static void add_region(struct core_file *core, uint64_t start, uint64_t size)
{
	if (!size)
		return;
	core->regions[core->region_count++] = (struct core_region){
		start, size, core->file_size
	};
	core->file_size += size;
}

/* By their addresses, as the hypervisor lays them out. */
bool core_begin(struct core_file *core, const struct new_file *file,
		uint64_t memory_size, uint64_t firmware)
{
	uint64_t end = firmware ? MULL_GUEST_PC_ECAM : MULL_GUEST_MMIO_START;
	uint64_t rest = memory_size - firmware;
	uint64_t low = rest < end ? rest : end;

	*core = (struct core_file){ .file = file,
				    .file_size = CORE_HEADER_AREA };
	add_region(core, 0, low);
	add_region(core, GIB(4) - firmware, firmware);
	add_region(core, GIB(4), rest - low);
	core->headers = memory_get(NULL,
				   CORE_HEADERS_MAX * sizeof *core->headers);
	return !ftruncate(file->fd, (off_t)core->file_size) ||
	       new_file_failed(file);
}

void core_free(struct core_file *core)
{
	free(core->headers);
}

static bool write_at(const struct core_file *core, const void *bytes,
		     size_t length, uint64_t offset)
{
	const uint8_t *from = bytes;

	while (length) {
		ssize_t done = pwrite(core->file->fd, from, length,
				      (off_t)offset);

		if (done <= 0)
			return new_file_failed(core->file);
		from += done;
		offset += (uint64_t)done;
		length -= (size_t)done;
	}
	return true;
}

/* The region of an address, or NULL. */
static const struct core_region *region_of(const struct core_file *core,
					   uint64_t address)
{
	for (size_t i = 0; i < core->region_count; i++)
		if (address - core->regions[i].start < core->regions[i].size)
			return &core->regions[i];
	return NULL;
}

bool core_put(const struct core_file *core, uint64_t address, const void *bytes,
	      size_t length)
{
	const struct core_region *region = region_of(core, address);

	return write_at(core, bytes, length,
			region->offset + (address - region->start));
}

static bool read_back(void *context, uint64_t address, void *bytes,
		      size_t length)
{
	const struct core_file *core = context;
	const struct core_region *region = region_of(core, address);

	return region && length <= region->size - (address - region->start) &&
	       pread(core->file->fd, bytes, length,
		     (off_t)(region->offset + (address - region->start))) ==
		       (ssize_t)length;
}

/* ---- program headers ---------------------------------------------------- */

static void add_load(struct core_file *core, uint64_t linear, uint64_t physical,
		     uint64_t size)
{
	const struct core_region *region = region_of(core, physical);
	Elf64_Phdr *last = &core->headers[core->header_count - 1];

	if (last->p_type == PT_LOAD &&
	    linear == last->p_vaddr + last->p_memsz &&

	    physical == last->p_paddr + last->p_memsz) {
		last->p_filesz = last->p_memsz += size;
		return;
	}
	if (core->header_count == CORE_MAPPINGS_MAX + 3) {
		core->left_out++;
		return;
	}
	core->headers[core->header_count++] = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_W | PF_X,
		.p_offset = region->offset + (physical - region->start),
		.p_vaddr = linear,
		.p_paddr = physical,
		.p_filesz = size,
		.p_memsz = size,
		.p_align = 0, /* else crash takes it for a netdump */
	};
}

/* What of the page is RAM: one may reach over its end. */
static void on_mapping(void *context, uint64_t linear, uint64_t physical,
		       uint64_t size)
{
	struct core_file *core = context;

	for (size_t i = 0; i < core->region_count; i++) {
		uint64_t start = core->regions[i].start;
		uint64_t end = start + core->regions[i].size;

		if (start < physical)
			start = physical;
		if (end > physical + size)
			end = physical + size;
		if (start < end)
			add_load(core, linear + (start - physical), start,
				 end - start);
	}
}

static bool add_loads(struct core_file *core,
		      const struct mull_registers *registers, uint32_t count)
{
	const struct core_region *last = &core->regions[core->region_count - 1];
	struct guest_tables tables = { read_back, core };
	struct guest_walk walk = {
		.tables = &tables,
		.mapping = on_mapping,
		.context = core,
		.page_count = (last->start + last->size) / PAGE_SIZE,
	};
	uint64_t physical = 0;

	/* Not memory_get(): the VM is to go on, and what is 0 takes none. */
	walk.visits = calloc(GUEST_TABLE_LEVELS, walk.page_count);
	if (!walk.visits)
		return new_file_failed(core->file);
	for (uint32_t i = 0; i < count; i++)
		if (guest_tables_in_use(&registers[i]))
			physical = CORE_PHYSICAL;
	for (size_t i = 0; i < core->region_count; i++)
		add_load(core, physical + core->regions[i].start,
			 core->regions[i].start, core->regions[i].size);
	for (uint32_t i = 0; i < count; i++)
		guest_tables_walk(&walk, &registers[i]);
	free(walk.visits);
	return true;
}

/* ---- notes -------------------------------------------------------------- */

static void put_prstatus(struct prstatus_note *note,
			 const struct mull_registers *registers)
{
	const struct mull_segment *segments = registers->segments;
	const uint64_t *gpr = registers->gpr;

	*note = (struct prstatus_note){
		.header = { 5, sizeof note->data, NT_PRSTATUS },
		.name = "CORE",
		.data = {
			.pid = registers->vcpu + 1,
			.r15 = gpr[15], .r14 = gpr[14], .r13 = gpr[13],
			.r12 = gpr[12], .rbp = gpr[RBP], .rbx = gpr[RBX],
			.r11 = gpr[11], .r10 = gpr[10], .r9 = gpr[9],
			.r8 = gpr[R8], .rax = gpr[RAX], .rcx = gpr[RCX],
			.rdx = gpr[RDX], .rsi = gpr[RSI], .rdi = gpr[RDI],
			.rip = registers->rip, .rflags = registers->rflags,
			.rsp = gpr[RSP],
			.cs = segments[CS].selector,
			.ss = segments[SS].selector,
			.fs_base = segments[FS].base,
			.gs_base = segments[GS].base,
			.ds = segments[DS].selector,
			.es = segments[ES].selector,
			.fs = segments[FS].selector,
			.gs = segments[GS].selector,
		},
	};
}

/* Flags as in a descriptor's second half. */
static struct qemu_segment qemu_segment(const struct mull_segment *segment)
{
	return (struct qemu_segment){
		.selector = segment->selector,
		.limit = segment->limit,
		.flags = (segment->attributes & 0xffu) << 8 |
			 (segment->attributes & 0xf00u) << 12,
		.base = segment->base,
	};
}

static void put_qemu_state(struct qemu_note *note,
			   const struct mull_registers *registers)
{
	const struct mull_segment *segments = registers->segments;
	const uint64_t *gpr = registers->gpr;

	*note = (struct qemu_note){
		.header = { 5, sizeof note->data, 0 },
		.name = "QEMU",
		.data = {
			.version = 1, .size = sizeof note->data,
			.rax = gpr[RAX], .rbx = gpr[RBX], .rcx = gpr[RCX],
			.rdx = gpr[RDX], .rsi = gpr[RSI], .rdi = gpr[RDI],
			.rsp = gpr[RSP], .rbp = gpr[RBP],
			.rip = registers->rip, .rflags = registers->rflags,
			.cs = qemu_segment(&segments[CS]),
			.ds = qemu_segment(&segments[DS]),
			.es = qemu_segment(&segments[ES]),
			.fs = qemu_segment(&segments[FS]),
			.gs = qemu_segment(&segments[GS]),
			.ss = qemu_segment(&segments[SS]),
			.ldt = qemu_segment(&segments[LDTR]),
			.tr = qemu_segment(&segments[TR]),
			.gdt = { .limit = registers->gdt_limit,
				 .base = registers->gdt_base },
			.idt = { .limit = registers->idt_limit,
				 .base = registers->idt_base },
			.cr = { registers->cr0, 0, registers->cr2,
				registers->cr3, registers->cr4 },
			.kernel_gs_base = registers->kernel_gs_base,
		},
	};
	memcpy(note->data.r8_to_r15, gpr + R8, sizeof note->data.r8_to_r15);
}

static bool write_notes(const struct core_file *core,
			const struct mull_registers *registers, uint32_t count)
{
	uint64_t offset = core->headers[0].p_offset;
	struct prstatus_note status;
	struct qemu_note state;

	for (uint32_t i = 0; i < count; i++) {
		put_prstatus(&status, &registers[i]);
		if (!write_at(core, &status, sizeof status, offset))
			return false;
		offset += sizeof status;
	}
	for (uint32_t i = 0; i < count; i++) {
		put_qemu_state(&state, &registers[i]);
		if (!write_at(core, &state, sizeof state, offset))
			return false;
		offset += sizeof state;
	}
	return true;
}

/* ---- the whole ---------------------------------------------------------- */

bool core_finish(struct core_file *core, const struct mull_registers *registers,
		 uint32_t vcpu_count)
{
	Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
			     ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof header,
		.e_ehsize = sizeof header,
		.e_phentsize = sizeof *core->headers,
	};
	Elf64_Phdr *notes = &core->headers[0];

	*notes = (Elf64_Phdr){ .p_type = PT_NOTE };
	core->header_count = 1;
	if (!add_loads(core, registers, vcpu_count))
		return false;
	header.e_phnum = (uint16_t)core->header_count;
	notes->p_offset = sizeof header +
			  core->header_count * sizeof *core->headers;
	notes->p_memsz = notes->p_filesz = vcpu_count *
					   (sizeof(struct prstatus_note) +
					    sizeof(struct qemu_note));
	return write_at(core, &header, sizeof header, 0) &&
	       write_at(core, core->headers,
			core->header_count * sizeof *core->headers,
			sizeof header) &&
	       write_notes(core, registers, vcpu_count);
}
