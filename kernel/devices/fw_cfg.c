/* SPDX-License-Identifier: MIT */
/*
 * Items are made anew for each byte: they are small, read once, and need no
 * memory then.  What is no item, and what is behind one's end, is 0.
 */
#include "pc_parts.h"

#include <string.h>

#define ITEM_SIGNATURE 0x00
#define ITEM_INTERFACE 0x01 /* 1: by ports, without DMA */
#define ITEM_RAM_SIZE 0x03
#define ITEM_CPUS 0x05
#define ITEM_CPUS_MAX 0x0f
#define ITEM_DIRECTORY 0x19
#define ITEM_FILES 0x20 /* the first */

/* "etc/e820", as the BIOS function that it is named after. */
struct __attribute__((packed)) range {
	uint64_t start, size;
	uint32_t type;
};
#define RANGE_RAM 1
#define RANGE_RESERVED 2

/* Files in the directory; numbers there are big-endian. */
struct directory_entry {
	uint32_t size;
	uint16_t item, reserved;
	char name[56];
};

/* "etc/table-loader": where firmware copies a file to. */
struct loader_allocate {
	uint32_t command;
	char file[56];
	uint32_t align;
	uint8_t zone;
	uint8_t zero[128 - 65];
};
#define LOADER_ALLOCATE 1
#define ZONE_LOW 2 /* where an RSDP is looked for */

#define ITEM_MAX 1024

_Static_assert(sizeof(struct range) == 20, "fw_cfg");
_Static_assert(sizeof(struct directory_entry) == 64, "fw_cfg");
_Static_assert(sizeof(struct loader_allocate) == 128, "fw_cfg");

static uint32_t make_map(struct vm *vm, void *to)
{
	uint64_t low = vm->memory_low - MULL_GUEST_ACPI_SIZE;
	const struct range map[] = {
		{ 0, low, RANGE_RAM },
		{ low, MULL_GUEST_ACPI_SIZE, RANGE_RESERVED },
		{ GIB(4), vm->memory_high, RANGE_RAM },
	};
	uint32_t size = vm->memory_high ? sizeof map : 2 * sizeof map[0];

	memcpy(to, map, size);
	return size;
}

/* The tables lie where the loader has put them. */
static uint32_t make_rsdp(struct vm *vm, void *to)
{
	uint64_t at = vm->memory_low - MULL_GUEST_ACPI_SIZE;

	guest_read(&vm->memory, gpa(at), to, MULL_GUEST_RSDP_SIZE);
	return MULL_GUEST_RSDP_SIZE;
}

static uint32_t make_table_loader(struct vm *vm, void *to)
{
	const struct loader_allocate allocate = {
		.command = LOADER_ALLOCATE,
		.file = "etc/acpi/rsdp",
		.align = 16,
		.zone = ZONE_LOW,
	};

	(void)vm;
	memcpy(to, &allocate, sizeof allocate);
	return sizeof allocate;
}

/* The screen's text on the serial line. */
static uint32_t make_serial_console(struct vm *vm, void *to)
{
	const uint16_t port = MULL_GUEST_UART_PORT;

	(void)vm;
	memcpy(to, &port, sizeof port);
	return sizeof port;
}

static const struct file {
	const char *name;
	uint32_t (*make)(struct vm *vm, void *to);
} files[] = {
	{ "etc/e820", make_map },
	{ "etc/acpi/rsdp", make_rsdp },
	{ "etc/table-loader", make_table_loader },
	{ "etc/sercon-port", make_serial_console },
};

static uint32_t make_directory(struct vm *vm, uint8_t *to)
{
	uint32_t count = __builtin_bswap32(ARRAY_COUNT(files));
	uint8_t unused[ITEM_MAX];

	memcpy(to, &count, sizeof count);
	to += sizeof count;
	for (uint32_t i = 0; i < ARRAY_COUNT(files); i++) {
		struct directory_entry entry = {
			.size = __builtin_bswap32(files[i].make(vm, unused)),
			.item = __builtin_bswap16((uint16_t)(ITEM_FILES + i)),
		};

		memcpy(entry.name, files[i].name, strlen(files[i].name));
		memcpy(to, &entry, sizeof entry);
		to += sizeof entry;
	}
	return sizeof count +
	       ARRAY_COUNT(files) * sizeof(struct directory_entry);
}

static uint32_t make_number(uint8_t *to, uint64_t number, uint32_t size)
{
	memcpy(to, &number, size);
	return size;
}

/* Fills @to, of ITEM_MAX bytes; returns the item's size. */
static uint32_t make(struct vm *vm, uint16_t item, uint8_t *to)
{
	switch (item) {
	case ITEM_SIGNATURE:
		memcpy(to, "QEMU", 4);
		return 4;
	case ITEM_INTERFACE:
		return make_number(to, 1, 4);
	case ITEM_RAM_SIZE:
		return make_number(to, vm->memory_low + vm->memory_high, 8);
	case ITEM_CPUS:
	case ITEM_CPUS_MAX:
		return make_number(to, vm->vcpu_count, 2);
	case ITEM_DIRECTORY:
		return make_directory(vm, to);
	}
	if (item >= ITEM_FILES && item < ITEM_FILES + ARRAY_COUNT(files))
		return files[item - ITEM_FILES].make(vm, to);
	return 0;
}

void fw_cfg_select(struct vm *vm, uint16_t item)
{
	vm->pc->fw_cfg = (struct fw_cfg){ .item = item };
}

uint8_t fw_cfg_next(struct vm *vm)
{
	struct fw_cfg *fw_cfg = &vm->pc->fw_cfg;
	uint8_t bytes[ITEM_MAX];

	/* Until it is chosen again it stays at its end. */
	if (fw_cfg->offset >= make(vm, fw_cfg->item, bytes))
		return 0;
	return bytes[fw_cfg->offset++];
}
