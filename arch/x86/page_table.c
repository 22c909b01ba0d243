/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own page tables: the image with W^X, a direct map of the
 * memory that is its own (and of nothing else), device registers, a window a
 * CPU onto any other frame, and each CPU's stacks with guard pages.
 * SDM 325384, "Format of an IA-32e Page-Table Entry that Maps a 4-KByte Page"
 * and its neighbours.
 */
#include "cpu.h"
#include "registers.h"
#include <mullion/arch.h>
#include <mullion/log.h>
#include <mullion/page.h>
#include <string.h>

#define PTE_PRESENT BIT(0)
#define PTE_WRITE BIT(1)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_LARGE BIT(7)
#define PTE_PAT_LARGE BIT(12)
#define PTE_GLOBAL BIT(8)
#define PTE_NX BIT(63)
#define PTE_ADDRESS BITS(51, 12)

#define DIRECT_BASE 0xffff800000000000ull
#define WINDOW_BASE 0xfffffe0000000000ull

/* Tables that are needed before there is a page allocator. */
#define EARLY_TABLES 24
static uint64_t early_tables[EARLY_TABLES][512] __attribute__((aligned(4096)));
static uint32_t early_used;
static uint64_t *root;
static uint64_t image_physical;

extern const char image_start[], rodata_start[], data_start[], image_end[];

static bool in_image(const void *address)
{
	return (uint64_t)address >= MULL_KERNEL_BASE;
}

hpa_t arch_physical(const void *direct)
{
	if (in_image(direct))
		return hpa((uint64_t)direct - MULL_KERNEL_BASE +
			   image_physical);
	return hpa((uint64_t)direct - DIRECT_BASE);
}

/* A table by its physical address: in the image, or in the direct map. */
static uint64_t *table_at(uint64_t physical)
{
	uint64_t offset = physical - image_physical;

	if (offset < (uint64_t)(image_end - image_start))
		return (uint64_t *)(MULL_KERNEL_BASE + offset);
	return arch_direct(hpa(physical));
}

void *arch_direct(hpa_t address)
{
	return (void *)(DIRECT_BASE + address.value);
}

static uint64_t *new_table(void)
{
	uint64_t *table;

	if (early_used < EARLY_TABLES)
		return early_tables[early_used++];
	table = page_alloc(1);
	if (!table)
		panic("no memory for the hypervisor's page tables");
	return table;
}

/* The entry for @address in the table of @level (1: 4 KiB pages, 2: 2 MiB),
 * with the tables above it. */
static uint64_t *entry_for(uint64_t address, int level)
{
	uint64_t *table = root;

	for (int at = 4; at > level; at--) {
		uint64_t *entry = &table[address >> (12 + 9 * (at - 1)) & 511];

		if (!(*entry & PTE_PRESENT))
			*entry = arch_physical(new_table()).value |
				 PTE_PRESENT | PTE_WRITE;
		table = table_at(*entry & PTE_ADDRESS);
	}
	return &table[address >> (12 + 9 * (level - 1)) & 511];
}

static void map_page(uint64_t address, uint64_t physical, uint64_t flags)
{
	*entry_for(address, 1) = physical | PTE_PRESENT | flags;
}

static void map_image(void)
{
	for (const char *at = image_start; at < image_end; at += PAGE_SIZE) {
		uint64_t flags = PTE_GLOBAL;

		if (at >= rodata_start)
			flags |= PTE_NX;
		if (at >= data_start)
			flags |= PTE_WRITE;
		map_page((uint64_t)at, arch_physical(at).value, flags);
	}
}

static uint64_t map_flags(enum arch_map_kind kind)
{
	switch (kind) {
	case ARCH_MAP_RAM:
		return PTE_WRITE | PTE_NX;
	case ARCH_MAP_READ_ONLY:
		return PTE_NX;
	case ARCH_MAP_DEVICE:
		return PTE_WRITE | PTE_NX | PTE_PCD | PTE_PWT;
	case ARCH_MAP_FRAMEBUFFER: /* PAT entry 5 */
		return PTE_WRITE | PTE_NX | PTE_PWT | PTE_PAT_LARGE;
	}
	return PTE_NX;
}

enum error arch_map(hpa_t address, uint64_t size, enum arch_map_kind kind)
{
	uint64_t end = round_up(address.value + size, FRAME_SIZE);

	if (size == 0 || end < address.value || end > BIT(46))
		return ERR_BAD_ADDRESS;
	for (uint64_t at = round_down(address.value, FRAME_SIZE); at < end;
	     at += FRAME_SIZE) {
		uint64_t virtual = DIRECT_BASE + at;

		*entry_for(virtual, 2) = at | PTE_PRESENT | PTE_LARGE |
					 map_flags(kind);
		invalidate_page(virtual);
	}
	return ERR_NONE;
}

static uint64_t window_address(uint32_t cpu, uint32_t slot)
{
	return WINDOW_BASE + (cpu * WINDOW_SLOTS + slot) * FRAME_SIZE;
}

static void *open_window(uint32_t slot, hpa_t frame, uint64_t rights)
{
	uint64_t virtual = window_address(cpu_self()->index, slot);

	*entry_for(virtual, 2) = frame.value | PTE_PRESENT | PTE_LARGE |
				 PTE_NX | rights;
	invalidate_page(virtual);
	return (void *)virtual;
}

static __attribute__((noinline)) void *move_window(hpa_t frame)
{
	cpu_self()->window_frame = frame.value | 1;
	return open_window(0, frame, PTE_WRITE);
}

/* Mostly it is there already. */
void *arch_window(hpa_t frame)
{
	struct cpu *cpu = cpu_self();

	if (cpu->window_frame != (frame.value | 1))
		return move_window(frame);
	return (void *)window_address(cpu->index, 0);
}

const void *arch_view(hpa_t frame)
{
	return open_window(WINDOW_SLOTS - 1, frame, 0);
}

const void *page_table_view(uint32_t slot, hpa_t address)
{
	hpa_t frame = hpa(round_down(address.value, FRAME_SIZE));
	const uint8_t *window;

	ASSERT(slot > 0 && slot < WINDOW_SLOTS - 1);
	window = open_window(slot, frame, 0);
	return window + (address.value - frame.value);
}

/* Through the window for copies, which is closed behind it.  INVLPG is
 * serializing, so that this CPU fetches the new code. */
void page_table_write_image(const char *at, const uint8_t *bytes, size_t size)
{
	uint64_t physical = arch_physical(at).value;

	for (size_t i = 0; i < size; i++) {
		hpa_t frame = hpa(round_down(physical + i, FRAME_SIZE));
		uint8_t *window = arch_window(frame);

		window[physical + i - frame.value] = bytes[i];
	}
	cpu_self()->window_frame = 0;
	*entry_for(window_address(cpu_self()->index, 0), 2) = 0;
	invalidate_page(window_address(cpu_self()->index, 0));
}

uint64_t page_table_root(void)
{
	return arch_physical(root).value;
}

void page_table_identity_page(uint64_t physical)
{
	map_page(physical, physical, PTE_WRITE);
}

/* Counts the 4 KiB pages below @table; any that is writable and executable is
 * a bug.  @rights: what the tables above allow. */
static uint64_t check_table(const uint64_t *table, int level, uint64_t rights)
{
	uint64_t pages = 0;

	for (int i = 0; i < 512; i++) {
		uint64_t entry = table[i];
		uint64_t here = (entry & rights & PTE_WRITE) |
				((entry | rights) & PTE_NX);

		if (!(entry & PTE_PRESENT))
			continue;
		if (level > 1 && !(entry & PTE_LARGE)) {
			pages += check_table(table_at(entry & PTE_ADDRESS),
					     level - 1, here);
			continue;
		}
		if ((here & (PTE_WRITE | PTE_NX)) == PTE_WRITE)
			panic("page table: 0x%lx is writable and executable",
			      entry & PTE_ADDRESS);
		pages += 1ull << 9 * (level - 1);
	}
	return pages;
}

void page_table_check(void)
{
	log_write("page tables: %lu KiB mapped, none writable and executable",
		  check_table(root, 4, PTE_WRITE) * 4);
}

void arch_look(uint64_t address, struct mapping *mapping)
{
	uint64_t windows = address - (WINDOW_BASE & BITS(47, 0));
	uint64_t size = 1ull << 39, value, *table = root;

	for (;; size >>= 9) {
		value = table[address / size & 511];
		if (size == PAGE_SIZE || !(value & PTE_PRESENT) ||
		    value & PTE_LARGE)
			break;
		table = table_at(value & PTE_ADDRESS);
	}
	*mapping = (struct mapping){
		.at = round_down(address, size),
		.size = size,
		.to = hpa(round_down(value & PTE_ADDRESS, size)),
		.present = value & PTE_PRESENT &&
			   windows >= MULL_CPU_MAX * WINDOW_SLOTS * FRAME_SIZE,
	};
}

/* After the last CPU has started: nothing is both writable and executable. */
void page_table_drop_identity(void)
{
	root[0] = 0;
	write_cr3(page_table_root());
}

/* Runtime services wherever they are, and below 4 GiB all else that the map
 * does not give us: tables, registers, flash. */
void page_table_firmware(const struct mull_boot_info *boot)
{
	root = memcpy(new_table(), root, PAGE_SIZE);
	for (uint32_t i = 0; i < boot->memory_count; i++) {
		const struct mull_memory_range *range = &boot->memory[i];

		if (range->kind < MULL_MEMORY_FIRMWARE ||
		    (range->kind > MULL_MEMORY_FIRMWARE &&
		     range->start + range->size > GIB(4)))
			continue;
		for (uint64_t at = round_down(range->start, FRAME_SIZE);
		     at < range->start + range->size; at += FRAME_SIZE)
			*entry_for(at, 2) = at | PTE_PRESENT | PTE_WRITE |
					    PTE_LARGE;
	}
	write_cr3(page_table_root());
}

void page_table_cpu_area(uint32_t index)
{
	static const uint8_t used[] = {
		CPU_PAGE_DATA,	       CPU_PAGE_STACK,
		CPU_PAGE_STACK + 1,    CPU_PAGE_STACK + 2,
		CPU_PAGE_STACK + 3,    CPU_PAGE_NMI,
		CPU_PAGE_DOUBLE_FAULT, CPU_PAGE_MACHINE_CHECK,
	};

	for (size_t i = 0; i < ARRAY_COUNT(used); i++) {
		void *page = page_alloc(1);

		if (!page)
			panic("no memory for the stacks of CPU %u", index);
		map_page((uint64_t)cpu_at(index) + used[i] * PAGE_SIZE,
			 arch_physical(page).value, PTE_WRITE | PTE_NX);
	}
	/* The windows' table must exist before it is used with a guest. */
	*entry_for(window_address(index, 0), 2) = 0;
}

void page_table_reserve(const struct mull_boot_info *boot)
{
	for (uint32_t i = 0; i < boot->memory_count; i++) {
		const struct mull_memory_range *range = &boot->memory[i];

		if (range->kind != MULL_MEMORY_USABLE &&
		    range->kind != MULL_MEMORY_PACKAGE)
			continue;
		for (uint64_t at = round_down(range->start, GIB(1));
		     at < range->start + range->size; at += GIB(1))
			entry_for(DIRECT_BASE + at, 2);
	}
}

void page_table_start(const struct mull_boot_info *boot)
{
	image_physical = boot->image_address;
	root = new_table();
	map_image();
	write_msr(MSR_PAT, PAT_VALUE);
	write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NXE);
	write_cr0((read_cr0() | CR0_WP | CR0_NE | CR0_MP) &
		  ~(CR0_EM | CR0_TS | CR0_CD | CR0_NW));
	write_cr3(page_table_root());
	write_cr4(CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE);
}
