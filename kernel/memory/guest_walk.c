/* SPDX-License-Identifier: MIT */
#include <mullion/bits.h>
#include <mullion/guest_walk.h>

#define CR0_WP BIT(16)
#define CR0_PG BIT(31)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_LA57 BIT(12)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define RFLAGS_AC BIT(18)
#define SEGMENT_LONG BIT(9)
#define SEGMENT_BIG BIT(10)

/* "Page-Translation-Table Entry Fields" */
#define ENTRY_PRESENT BIT(0)
#define ENTRY_WRITABLE BIT(1)
#define ENTRY_USER BIT(2)
#define ENTRY_ACCESSED BIT(5)
#define ENTRY_DIRTY BIT(6)
#define ENTRY_LARGE BIT(7)
#define ENTRY_NO_EXECUTE BIT(63)
#define ENTRY_FRAME BITS(51, 12)
#define ENTRY_FRAME_32 BITS(31, 12)
/* A 4 MiB page's address bits 39:32, "4-Mbyte PDE--Page Translation" */
#define ENTRY_LARGE_32_HIGH BITS(20, 13)

/* "Page-Fault Error Code" */
#define FAULT_PRESENT BIT(0)
#define FAULT_WRITE BIT(1)
#define FAULT_USER BIT(2)
#define FAULT_RESERVED BIT(3)
#define FAULT_FETCH BIT(4)

#define VECTOR_GP 13
#define VECTOR_PF 14
#define CPL_USER 3

#define LEVEL_MAX 5
#define LINEAR_32 BITS(31, 0)

enum format { FORMAT_FLAT, FORMAT_32, FORMAT_PAE, FORMAT_LONG };

/* One walk under way; rights are those of all levels so far. */
struct walk {
	const struct guest_memory *memory;
	const struct guest_paging *paging;
	struct guest_event *fault;
	enum format format;
	enum guest_access access;
	uint64_t linear;
	uint64_t rights; /* ENTRY_WRITABLE, ENTRY_USER */
	bool no_execute;
	unsigned used; /* entries with accessed flags to set */
	struct {
		gpa_t at;
		uint64_t value;
	} entries[LEVEL_MAX];
};

enum code_mode guest_code_mode(const struct guest_system *system)
{
	uint16_t attributes = system->segments[SEGMENT_CS].attributes;

	if (system->efer & EFER_LMA && attributes & SEGMENT_LONG)
		return CODE_64;
	return attributes & SEGMENT_BIG ? CODE_32 : CODE_16;
}

struct guest_paging guest_paging_of(const struct guest_system *system,
				    uint64_t rflags, uint8_t physical_bits)
{
	return (struct guest_paging){
		.cr0 = system->cr0,
		.cr3 = system->cr3,
		.cr4 = system->cr4,
		.efer = system->efer,
		.rflags = rflags,
		.cpl = (uint8_t)system->cpl,
		.physical_bits = physical_bits,
		.code_64 = guest_code_mode(system) == CODE_64,
	};
}

bool guest_is_canonical(const struct guest_paging *paging, uint64_t linear)
{
	unsigned unused = paging->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

	return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

static enum format format_of(const struct guest_paging *paging)
{
	if (!(paging->cr0 & CR0_PG))
		return FORMAT_FLAT;
	if (paging->efer & EFER_LMA)
		return FORMAT_LONG;
	return paging->cr4 & CR4_PAE ? FORMAT_PAE : FORMAT_32;
}

/* ---- faults ------------------------------------------------------------- */

/* @cause: FAULT_PRESENT and FAULT_RESERVED, as they apply. */
static enum error page_fault(const struct walk *walk, uint64_t cause)
{
	const struct guest_paging *paging = walk->paging;
	bool tells_fetch = paging->cr4 & CR4_SMEP ||
			   (paging->cr4 & CR4_PAE && paging->efer & EFER_NXE);

	if (walk->access == ACCESS_WRITE)
		cause |= FAULT_WRITE;
	if (walk->access == ACCESS_FETCH && tells_fetch)
		cause |= FAULT_FETCH;
	if (paging->cpl == CPL_USER)
		cause |= FAULT_USER;
	*walk->fault = (struct guest_event){
		.kind = EVENT_EXCEPTION,
		.vector = VECTOR_PF,
		.has_error_code = true,
		.error_code = (uint32_t)cause,
		.cr2 = walk->linear,
	};
	return ERR_NOT_MAPPED;
}

/* "Access Rights": of the page found, for a program at CPL 3. */
static bool user_may(const struct walk *walk)
{
	if (!(walk->rights & ENTRY_USER))
		return false;
	if (walk->access == ACCESS_WRITE)
		return walk->rights & ENTRY_WRITABLE;
	return walk->access != ACCESS_FETCH || !walk->no_execute;
}

/* The same at CPL 0 to 2. */
static bool supervisor_may(const struct walk *walk)
{
	const struct guest_paging *paging = walk->paging;
	bool of_user = walk->rights & ENTRY_USER;

	if (walk->access == ACCESS_FETCH)
		return !walk->no_execute &&
		       !(of_user && paging->cr4 & CR4_SMEP);
	if (of_user && paging->cr4 & CR4_SMAP && !(paging->rflags & RFLAGS_AC))
		return false;
	return walk->access != ACCESS_WRITE || walk->rights & ENTRY_WRITABLE ||
	       !(paging->cr0 & CR0_WP);
}

/* ---- one table entry ---------------------------------------------------- */

/* Levels count down to 1, the table whose entries are 4 KiB pages. */
static bool is_large(const struct walk *walk, unsigned level, uint64_t entry)
{
	if (level == 1 || !(entry & ENTRY_LARGE))
		return level == 1;
	switch (walk->format) {
	case FORMAT_FLAT:
		break;
	case FORMAT_32:
		return walk->paging->cr4 & CR4_PSE;
	case FORMAT_PAE:
		return level == 2;
	case FORMAT_LONG:
		return level <= 3;
	}
	return false;
}

/* Of a 32-bit entry: the address bits above the processor's, and bit 21. */
static uint64_t reserved_32(unsigned level, bool page, unsigned physical_bits)
{
	unsigned low = 13;

	if (level == 1 || !page)
		return 0;
	if (physical_bits > 32)
		low += (physical_bits < 40 ? physical_bits : 40) - 32;
	return BITS(21, low);
}

/* "Reserved bits": set ones are a fault. */
static uint64_t reserved_bits(const struct walk *walk, unsigned level,
			      bool page)
{
	const struct guest_paging *paging = walk->paging;
	unsigned bits = paging->physical_bits;
	uint64_t reserved = BITS(51, bits);

	if (walk->format == FORMAT_32)
		return reserved_32(level, page, bits);
	if (!(paging->efer & EFER_NXE))
		reserved |= ENTRY_NO_EXECUTE;
	if (walk->format == FORMAT_PAE) {
		reserved |= BITS(62, 52);
		if (level == 3)
			return reserved | ENTRY_NO_EXECUTE | BITS(8, 5) |
			       BITS(2, 1);
	}
	if (level > 3)
		reserved |= ENTRY_LARGE;
	if (page && level == 2)
		reserved |= BITS(20, 13);
	if (page && level == 3)
		reserved |= BITS(29, 13);
	return reserved;
}

/* Reads the entry of @level and narrows the rights by what it says. */
static enum error take_entry(struct walk *walk, unsigned level, gpa_t at,
			     uint64_t *entry, bool *page)
{
	size_t size = walk->format == FORMAT_32 ? 4 : 8;
	enum error error;

	*entry = 0;
	error = guest_read(walk->memory, at, entry, size);
	if (error)
		return error;
	if (!(*entry & ENTRY_PRESENT))
		return page_fault(walk, 0);
	*page = is_large(walk, level, *entry);
	if (*entry & reserved_bits(walk, level, *page))
		return page_fault(walk, FAULT_PRESENT | FAULT_RESERVED);
	/* The four entries at PAE's top have no rights and no flags. */
	if (walk->format == FORMAT_PAE && level == 3)
		return ERR_NONE;
	walk->rights &= *entry;
	walk->no_execute |= (*entry & ENTRY_NO_EXECUTE) != 0;
	walk->entries[walk->used].at = at;
	walk->entries[walk->used++].value = *entry;
	return ERR_NONE;
}

/* ---- the walk ----------------------------------------------------------- */

static unsigned level_count(const struct walk *walk)
{
	switch (walk->format) {
	case FORMAT_FLAT:
		return 0;
	case FORMAT_32:
		return 2;
	case FORMAT_PAE:
		return 3;
	case FORMAT_LONG:
		break;
	}
	return walk->paging->cr4 & CR4_LA57 ? 5 : 4;
}

static uint64_t top_table(const struct walk *walk)
{
	switch (walk->format) {
	case FORMAT_FLAT:
		break;
	case FORMAT_32:
		return walk->paging->cr3 & ENTRY_FRAME_32;
	case FORMAT_PAE:
		return walk->paging->cr3 & BITS(31, 5);
	case FORMAT_LONG:
		return walk->paging->cr3 & ENTRY_FRAME;
	}
	return 0;
}

/* The physical address of the byte, from the entry of its page. */
static gpa_t page_address(const struct walk *walk, uint64_t entry,
			  unsigned level, unsigned shift)
{
	uint64_t offset = walk->linear & (BIT(shift) - 1);
	uint64_t frame = entry & ENTRY_FRAME;

	if (walk->format == FORMAT_32 && level == 2)
		frame |= field_get(ENTRY_LARGE_32_HIGH, entry) << 32;
	return gpa((frame & ~(BIT(shift) - 1)) | offset);
}

/* Sets what the processor would set; it finds most of it set already. */
static enum error set_flags(const struct walk *walk)
{
	size_t size = walk->format == FORMAT_32 ? 4 : 8;

	for (unsigned i = 0; i < walk->used; i++) {
		uint64_t old = walk->entries[i].value;
		uint64_t new = old | ENTRY_ACCESSED;
		bool swapped;
		enum error error;

		if (walk->access == ACCESS_WRITE && i == walk->used - 1)
			new |= ENTRY_DIRTY;
		if (new == old)
			continue;
		error = guest_compare_swap(walk->memory, walk->entries[i].at,
					   size, old, new, &swapped);
		if (error)
			return error;
		if (!swapped)
			return ERR_BUSY;
	}
	return ERR_NONE;
}

static enum error walk_tables(struct walk *walk, gpa_t *result)
{
	unsigned index_bits = walk->format == FORMAT_32 ? 10 : 9;
	size_t size = walk->format == FORMAT_32 ? 4 : 8;
	uint64_t table = top_table(walk), entry = 0;
	unsigned level = level_count(walk), shift = 0;
	bool may;

	for (bool page = false; !page; level--) {
		uint64_t index;
		enum error error;

		shift = 12 + (level - 1) * index_bits;
		index = walk->linear >> shift & (BIT(index_bits) - 1);
		error = take_entry(walk, level, gpa(table + index * size),
				   &entry, &page);
		if (error)
			return error;
		table = entry & ENTRY_FRAME;
	}
	may = walk->paging->cpl == CPL_USER ? user_may(walk) :
					      supervisor_may(walk);
	if (!may)
		return page_fault(walk, FAULT_PRESENT);
	*result = page_address(walk, entry, level + 1, shift);
	return set_flags(walk);
}

enum error guest_walk(const struct guest_memory *memory,
		      const struct guest_paging *paging, gva_t linear,
		      enum guest_access access, gpa_t *result,
		      struct guest_event *fault)
{
	struct walk walk = {
		.memory = memory,
		.paging = paging,
		.fault = fault,
		.format = format_of(paging),
		.access = access,
		.linear = linear.value,
		.rights = ENTRY_WRITABLE | ENTRY_USER,
	};

	if (!paging->code_64) {
		walk.linear &= LINEAR_32;
	} else if (!guest_is_canonical(paging, linear.value)) {
		*fault = (struct guest_event){
			.kind = EVENT_EXCEPTION,
			.vector = VECTOR_GP,
			.has_error_code = true,
		};
		return ERR_NOT_MAPPED;
	}
	if (walk.format != FORMAT_FLAT)
		return walk_tables(&walk, result);
	*result = gpa(walk.linear);
	return ERR_NONE;
}
