/* SPDX-License-Identifier: MIT */
/*
 * Items are made anew for each byte: they are small, read once, and need no
 * memory then.  What is no item, and what is behind one's end, is 0.
 */
#include "pc_parts.h"

#include <mullion/guest_acpi.h>
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

/* "etc/table-loader": where firmware copies files to, and what it mends there. */
struct __attribute__((packed)) loader_command {
	uint32_t command;
	char file[56];
	union {
		struct {
			uint32_t align;
			uint8_t zone;
		} allocate;
		struct __attribute__((packed)) {
			char to[56];
			uint32_t at;
			uint8_t size;
		} pointer;
		struct {
			uint32_t at, start, length;
		} sum;
		uint8_t all[128 - 60];
	};
};
#define LOADER_ALLOCATE 1
#define LOADER_ADD_POINTER 2
#define LOADER_ADD_CHECKSUM 3
#define ZONE_HIGH 1
#define ZONE_LOW 2 /* where an RSDP is looked for */

#define FILE_RSDP "etc/acpi/rsdp"
#define FILE_TABLES "etc/acpi/tables"

#define ITEM_MAX 2048

_Static_assert(sizeof(struct range) == 20, "fw_cfg");
_Static_assert(sizeof(struct directory_entry) == 64, "fw_cfg");
_Static_assert(sizeof(struct loader_command) == 128, "fw_cfg");
_Static_assert((2 + ACPI_MENDS_MAX + 2) * 128 <= ITEM_MAX, "fw_cfg");

/* The tables lie where the loader has put them. */
static uint64_t tables_at(const struct vm *vm)
{
	return vm->memory_low - MULL_GUEST_ACPI_SIZE;
}

static uint32_t make_map(struct vm *vm, void *to)
{
	uint64_t low = tables_at(vm);
	const struct range map[] = {
		{ 0, low, RANGE_RAM },
		{ low, MULL_GUEST_ACPI_SIZE, RANGE_RESERVED },
		{ GIB(4), vm->memory_high, RANGE_RAM },
	};
	uint32_t size = vm->memory_high ? sizeof map : 2 * sizeof map[0];

	memcpy(to, map, size);
	return size;
}

static uint32_t make_rsdp(struct vm *vm, void *to)
{
	guest_read(&vm->memory, gpa(tables_at(vm)), to, MULL_GUEST_RSDP_SIZE);
	return MULL_GUEST_RSDP_SIZE;
}

static struct loader_command allocate(const char *file, uint32_t align,
				      uint8_t zone)
{
	struct loader_command command = {
		.command = LOADER_ALLOCATE,
		.allocate = { .align = align, .zone = zone },
	};

	memcpy(command.file, file, strlen(file));
	return command;
}

/* All pointers lead into the tables. */
static struct loader_command mend(const char *file,
				  const struct acpi_mend *what)
{
	struct loader_command command = { .command = LOADER_ADD_CHECKSUM };

	memcpy(command.file, file, strlen(file));
	if (what->size) {
		command.command = LOADER_ADD_POINTER;
		memcpy(command.pointer.to, FILE_TABLES, strlen(FILE_TABLES));
		command.pointer.at = what->at;
		command.pointer.size = (uint8_t)what->size;
	} else {
		command.sum.at = what->at;
		command.sum.start = what->start;
		command.sum.length = what->length;
	}
	return command;
}

static uint32_t make_table_loader(struct vm *vm, void *to)
{
	struct acpi_mend mends[ACPI_MENDS_MAX];
	uint32_t count = guest_acpi_mends(&vm->description, mends);
	struct loader_command *next = to;

	*next++ = allocate(FILE_RSDP, 16, ZONE_LOW);
	*next++ = allocate(FILE_TABLES, 64, ZONE_HIGH);
	for (uint32_t i = 0; i < count; i++)
		*next++ = mend(FILE_TABLES, &mends[i]);
	for (uint32_t i = 0; i < ARRAY_COUNT(guest_acpi_rsdp_mends); i++)
		*next++ = mend(FILE_RSDP, &guest_acpi_rsdp_mends[i]);
	return (uint32_t)((uint8_t *)next - (uint8_t *)to);
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
	{ FILE_RSDP, make_rsdp },
	{ "etc/table-loader", make_table_loader },
	{ "etc/sercon-port", make_serial_console },
	{ FILE_TABLES, NULL }, /* last, and not made but read */
};
#define ITEM_TABLES (ITEM_FILES + ARRAY_COUNT(files) - 1)

static uint32_t file_size(struct vm *vm, uint32_t file)
{
	uint8_t unused[ITEM_MAX];

	return files[file].make ? files[file].make(vm, unused) :
				  guest_acpi_size(&vm->description);
}

static uint32_t make_directory(struct vm *vm, uint8_t *to)
{
	uint32_t count = __builtin_bswap32(ARRAY_COUNT(files));

	memcpy(to, &count, sizeof count);
	to += sizeof count;
	for (uint32_t i = 0; i < ARRAY_COUNT(files); i++) {
		struct directory_entry entry = {
			.size = __builtin_bswap32(file_size(vm, i)),
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
	if (item >= ITEM_FILES && item < ITEM_TABLES)
		return files[item - ITEM_FILES].make(vm, to);
	return 0;
}

void fw_cfg_select(struct vm *vm, uint16_t item)
{
	vm->pc->fw_cfg = (struct fw_cfg){ .item = item };
}

/* The guest's own memory: what it has written there is what it gets. */
static uint8_t next_of_tables(struct vm *vm, struct fw_cfg *fw_cfg)
{
	uint8_t byte = 0;

	if (fw_cfg->offset < guest_acpi_size(&vm->description))
		guest_load_8(&vm->memory, gpa(tables_at(vm) + fw_cfg->offset++),
			     &byte);
	return byte;
}

uint8_t fw_cfg_next(struct vm *vm)
{
	struct fw_cfg *fw_cfg = &vm->pc->fw_cfg;
	uint8_t bytes[ITEM_MAX];

	if (fw_cfg->item == ITEM_TABLES)
		return next_of_tables(vm, fw_cfg);
	/* Until it is chosen again it stays at its end. */
	if (fw_cfg->offset >= make(vm, fw_cfg->item, bytes))
		return 0;
	return bytes[fw_cfg->offset++];
}
