/* SPDX-License-Identifier: MIT */
/*
 * The guest's ACPI tables.  DSDT and FADT come from guests/acpi/; the rest
 * depends on the VM and is made here.  ACPI 6.3, "Root System Description
 * Pointer (RSDP) Structure", "Extended System Description Table Fields
 * (XSDT)", "Multiple APIC Description Table (MADT) Format".
 */
#include "loader.h"

#include <guest_acpi.h>
#include <mullion/bits.h>
#include <mullion/guest.h>
#include <mullion/guest_acpi.h>
#include <string.h>

struct __attribute__((packed)) acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
};

struct __attribute__((packed)) rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
};

struct __attribute__((packed)) xsdt {
	struct acpi_header header;
	uint64_t tables[4]; /* the last one only if there is a WDAT */
};

/* PCI Firmware Specification 3.3, "MCFG Table Description". */
struct __attribute__((packed)) mcfg {
	struct acpi_header header;
	uint64_t reserved;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved_too;
};

struct __attribute__((packed)) madt_local_apic {
	uint8_t type, length;
	uint8_t uid, id;
	uint32_t flags;
};

struct __attribute__((packed)) madt_io_apic {
	uint8_t type, length;
	uint8_t id, reserved;
	uint32_t address;
	uint32_t gsi_base;
};

struct __attribute__((packed)) madt_local_nmi {
	uint8_t type, length;
	uint8_t uid;
	uint16_t flags;
	uint8_t lint;
};

struct __attribute__((packed)) madt_override {
	uint8_t type, length;
	uint8_t bus, source;
	uint32_t gsi;
	uint16_t flags;
};

#define MADT_HAS_8259 1
#define OVERRIDE_LEVEL_HIGH 0x000d /* "MPS INTI Flags" */

/* A legacy PC's timer, and its system control interrupt. */
static const struct madt_override overrides[] = {
	{ .type = 2, .length = 10, .source = 0, .gsi = 2 },
	{ .type = 2,
	  .length = 10,
	  .source = MULL_GUEST_EVENT_GSI,
	  .gsi = MULL_GUEST_EVENT_GSI,
	  .flags = OVERRIDE_LEVEL_HIGH },
};

/* What varies in number comes last: the local APICs, a PC's overrides. */
struct __attribute__((packed)) madt {
	struct acpi_header header;
	uint32_t local_apic;
	uint32_t flags;
	struct madt_io_apic io_apic;
	struct madt_local_nmi local_nmi;
	uint8_t more[MULL_VCPU_MAX * sizeof(struct madt_local_apic) +
		     sizeof overrides];
};

/* ACPI 6.3, "Firmware ACPI Control Structure (FACS)": nothing in it. */
struct __attribute__((packed)) facs {
	char signature[4];
	uint32_t length;
	uint8_t zero[24];
	uint8_t version;
	uint8_t zero_too[31];
};

/* "Hardware Watchdog Timers Design Specification", "Watchdog Action Table". */
struct __attribute__((packed)) wdat_entry {
	uint8_t action, instruction;
	uint16_t reserved;
	uint8_t space, bit_width, bit_offset, access_width; /* the register */
	uint64_t address;
	uint32_t value, mask;
};

#define WDAT_ENTRIES 9

struct __attribute__((packed)) wdat {
	struct acpi_header header;
	uint32_t header_length; /* of what follows, up to the entries */
	uint16_t pci_segment;
	uint8_t pci_bus, pci_device, pci_function; /* 0xff: not on PCI */
	uint8_t reserved[3];
	uint32_t period; /* milliseconds that a count lasts */
	uint32_t count_max, count_min;
	uint8_t flags;
	uint8_t reserved_too[3];
	uint32_t entry_count;
	struct wdat_entry entries[WDAT_ENTRIES];
};

_Static_assert(sizeof(struct wdat_entry) == 24, "WDAT");
_Static_assert(offsetof(struct wdat, entries) == 68, "WDAT");
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI");
_Static_assert(sizeof(struct rsdp) == MULL_GUEST_RSDP_SIZE, "ACPI");
_Static_assert(sizeof(struct mcfg) == 60, "PCI");
_Static_assert(offsetof(struct madt, io_apic) == 44, "ACPI");
_Static_assert(sizeof(struct madt_local_apic) == 8, "ACPI");
_Static_assert(sizeof(struct madt_io_apic) == 12, "ACPI");
_Static_assert(sizeof(struct madt_override) == 10, "ACPI");
_Static_assert(sizeof(struct facs) == 64, "ACPI");
_Static_assert(sizeof guest_fadt == sizeof guest_fadt_pc, "one or the other");
_Static_assert(sizeof(struct madt_local_nmi) == 6, "ACPI");

/* ACPI 6.3, "FADT Format". */
#define FADT_FACS 36
#define FADT_DSDT 40
#define FADT_X_DSDT 140

#define UP(value) (((value) + 63) & ~63ul)
/* From the RSDP on. */
#define RSDP_AT 0ul
#define XSDT_AT (RSDP_AT + UP(sizeof(struct rsdp)))
#define FADT_AT (XSDT_AT + UP(sizeof(struct xsdt)))
#define DSDT_AT (FADT_AT + UP(sizeof guest_fadt))
#define DSDT_MAX \
	(sizeof guest_dsdt > sizeof guest_dsdt_pc ? sizeof guest_dsdt : \
						    sizeof guest_dsdt_pc)
#define MCFG_AT (DSDT_AT + UP(DSDT_MAX))
#define FACS_AT (MCFG_AT + UP(sizeof(struct mcfg)))
#define WDAT_AT (FACS_AT + UP(sizeof(struct facs)))
#define MADT_AT (WDAT_AT + UP(sizeof(struct wdat)))

/* Where a PC's firmware begins: SDM 325462, "First Instruction Executed". */
#define RESET_VECTOR (MIB(1) - 16)

_Static_assert(MADT_AT + sizeof(struct madt) <= MULL_GUEST_ACPI_SIZE &&
		       MULL_GUEST_ACPI_AREA + MULL_GUEST_ACPI_SIZE <=
			       RESET_VECTOR,
	       "the tables' area");

/* Where they go, and what pointers to them are counted from. */
struct area {
	const struct guest_memory *memory;
	uint64_t at, base;
	bool pc;
};

static uint8_t checksum(const void *table, size_t length)
{
	const uint8_t *bytes = table;
	uint8_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += bytes[i];
	return (uint8_t)-sum;
}

/* Gives @table its checksum and puts it where the guest finds it. */
static enum error write_table(const struct area *area, uint64_t at, void *table,
			      uint32_t length)
{
	struct acpi_header *header = table;

	header->checksum = 0;
	header->checksum = checksum(table, length);
	return guest_write(area->memory, gpa(area->at + at), table, length);
}

static struct acpi_header make_header(const char *signature, uint8_t revision,
				      uint32_t length)
{
	struct acpi_header header = {
		.length = length,
		.revision = revision,
		.oem_revision = 1,
		.creator_revision = 1,
	};

	memcpy(header.signature, signature, sizeof header.signature);
	memcpy(header.oem_id, "MULLIO", sizeof header.oem_id);
	memcpy(header.oem_table_id, "MULLGUST", sizeof header.oem_table_id);
	memcpy(header.creator_id, "MULL", sizeof header.creator_id);
	return header;
}

static enum error write_rsdp(const struct area *area)
{
	struct rsdp rsdp = { .revision = 2,
			     .length = sizeof rsdp,
			     .xsdt = area->base + XSDT_AT };

	memcpy(rsdp.signature, "RSD PTR ", sizeof rsdp.signature);
	memcpy(rsdp.oem_id, "MULLIO", sizeof rsdp.oem_id);
	rsdp.checksum = checksum(&rsdp, offsetof(struct rsdp, length));
	rsdp.extended_checksum = checksum(&rsdp, sizeof rsdp);
	return guest_write(area->memory, gpa(area->at + RSDP_AT), &rsdp,
			   sizeof rsdp);
}

static uint32_t xsdt_length(bool has_wdat)
{
	return sizeof(struct xsdt) - (has_wdat ? 0 : sizeof(uint64_t));
}

static enum error write_xsdt(const struct area *area, bool has_wdat)
{
	struct xsdt xsdt = {
		.tables = { area->base + FADT_AT, area->base + MADT_AT,
			    area->base + MCFG_AT, area->base + WDAT_AT }
	};
	uint32_t length = xsdt_length(has_wdat);

	xsdt.header = make_header("XSDT", 1, length);
	return write_table(area, XSDT_AT, &xsdt, length);
}

static enum error write_facs(const struct area *area)
{
	struct facs facs = { .length = sizeof facs, .version = 2 };

	memcpy(facs.signature, "FACS", sizeof facs.signature);
	return guest_write(area->memory, gpa(area->at + FACS_AT), &facs,
			   sizeof facs);
}

static enum error write_fadt(const struct area *area)
{
	const uint64_t x_dsdt = area->base + DSDT_AT;
	const uint32_t dsdt = (uint32_t)x_dsdt;
	const uint32_t facs = (uint32_t)(area->base + FACS_AT);
	uint8_t fadt[sizeof guest_fadt];

	memcpy(fadt, area->pc ? guest_fadt_pc : guest_fadt, sizeof fadt);
	if (area->pc)
		memcpy(fadt + FADT_FACS, &facs, sizeof facs);
	memcpy(fadt + FADT_DSDT, &dsdt, sizeof dsdt);
	memcpy(fadt + FADT_X_DSDT, &x_dsdt, sizeof x_dsdt);
	return write_table(area, FADT_AT, fadt, sizeof fadt);
}

static enum error write_mcfg(const struct area *area)
{
	struct mcfg mcfg = { .base = MULL_GUEST_ECAM };

	mcfg.header = make_header("MCFG", 1, sizeof mcfg);
	return write_table(area, MCFG_AT, &mcfg, sizeof mcfg);
}

static void append(struct madt *madt, const void *entry, uint32_t size)
{
	memcpy((uint8_t *)madt + madt->header.length, entry, size);
	madt->header.length += size;
}

/* Local APICs have ids 0..n-1 and the I/O APIC the next one, so that no two
 * share an id, as old kernels demand.  Without a PIC nothing is overridden. */
static enum error write_madt(const struct area *area, uint32_t vcpu_count)
{
	struct madt madt = {
		.header = make_header("APIC", 5, offsetof(struct madt, more)),
		.local_apic = MULL_GUEST_LOCAL_APIC,
		.flags = area->pc ? MADT_HAS_8259 : 0,
		.io_apic = { .type = 1,
			     .length = sizeof madt.io_apic,
			     .id = (uint8_t)vcpu_count,
			     .address = MULL_GUEST_IO_APIC },
		.local_nmi = { .type = 4,
			       .length = sizeof madt.local_nmi,
			       .uid = 0xff /* every one */,
			       .lint = 1 },
	};

	for (uint32_t i = 0; i < vcpu_count; i++) {
		const struct madt_local_apic local_apic = {
			.length = sizeof local_apic,
			.uid = (uint8_t)i,
			.id = (uint8_t)i,
			.flags = 1, /* enabled */
		};

		append(&madt, &local_apic, sizeof local_apic);
	}
	if (area->pc)
		append(&madt, overrides, sizeof overrides);
	return write_table(area, MADT_AT, &madt, madt.header.length);
}

/*
 * Linux with reduced hardware believes in EFI's reset, and without EFI it goes
 * back to real mode and jumps to the firmware, not to the reset register.
 */
static enum error write_reset_vector(const struct area *area)
{
	uint16_t port = area->pc ? MULL_GUEST_PC_RESET : MULL_GUEST_RESET_PORT;
	/* mov $1, %al; mov $0x602, %dx; out %al, %dx; halt: hlt; jmp halt */
	const uint8_t code[] = { 0xb0,
				 area->pc ? MULL_GUEST_PC_RESET_VALUE :
					    MULL_GUEST_RESET_VALUE,
				 0xba,
				 (uint8_t)port,
				 (uint8_t)(port >> 8),
				 0xee,
				 0xf4,
				 0xeb,
				 0xfd };

	if (area->at != MULL_GUEST_ACPI_AREA)
		return ERR_NONE;
	return guest_write(area->memory, gpa(RESET_VECTOR), code, sizeof code);
}

/* "Watchdog Actions" and "Watchdog Instructions". */
enum wdat_action {
	WDAT_FEED = 1,
	WDAT_GET_COUNT = 4,
	WDAT_SET_COUNT = 6,
	WDAT_GET_RUNNING = 8,
	WDAT_RUN = 9,
	WDAT_GET_STOPPED = 10,
	WDAT_STOP = 11,
	WDAT_GET_STATUS = 32,
	WDAT_CLEAR_STATUS = 33,
};
enum wdat_instruction {
	WDAT_COMPARE = 0, /* the register, masked, with the value */
	WDAT_READ = 1,
	WDAT_WRITE_VALUE = 2,
	WDAT_WRITE = 3,
};

#define WDAT_ENABLED 1
#define SPACE_IO 1
#define ACCESS_BYTE 1

static enum error write_wdat(const struct area *area, uint32_t seconds)
{
	static const struct {
		uint8_t action, instruction;
		uint16_t port;
		uint8_t value, mask;
	} rows[WDAT_ENTRIES] = {
		{ WDAT_FEED, WDAT_WRITE_VALUE, MULL_GUEST_WATCHDOG_COMMAND,
		  MULL_GUEST_WATCHDOG_FEED, 0xff },
		{ WDAT_GET_COUNT, WDAT_READ, MULL_GUEST_WATCHDOG_SECONDS, 0,
		  0xff },
		{ WDAT_SET_COUNT, WDAT_WRITE, MULL_GUEST_WATCHDOG_SECONDS, 0,
		  0xff },
		{ WDAT_GET_RUNNING, WDAT_COMPARE, MULL_GUEST_WATCHDOG_COMMAND,
		  1, 1 },
		{ WDAT_RUN, WDAT_WRITE_VALUE, MULL_GUEST_WATCHDOG_COMMAND,
		  MULL_GUEST_WATCHDOG_RUN, 0xff },
		{ WDAT_GET_STOPPED, WDAT_COMPARE, MULL_GUEST_WATCHDOG_COMMAND,
		  0, 1 },
		{ WDAT_STOP, WDAT_WRITE_VALUE, MULL_GUEST_WATCHDOG_COMMAND,
		  MULL_GUEST_WATCHDOG_STOP, 0xff },
		{ WDAT_GET_STATUS, WDAT_COMPARE, MULL_GUEST_WATCHDOG_STATUS, 1,
		  1 },
		{ WDAT_CLEAR_STATUS, WDAT_WRITE_VALUE,
		  MULL_GUEST_WATCHDOG_STATUS, 1, 0xff },
	};
	struct wdat wdat = {
		.header = make_header("WDAT", 1, sizeof wdat),
		.header_length = offsetof(struct wdat, entries) -
				 sizeof wdat.header,
		.pci_segment = 0xff,
		.pci_bus = 0xff,
		.pci_device = 0xff,
		.pci_function = 0xff,
		.period = 1000,
		.count_max = seconds,
		.count_min = 1,
		.flags = WDAT_ENABLED,
		.entry_count = WDAT_ENTRIES,
	};

	for (uint32_t i = 0; i < WDAT_ENTRIES; i++)
		wdat.entries[i] = (struct wdat_entry){
			.action = rows[i].action,
			.instruction = rows[i].instruction,
			.space = SPACE_IO,
			.bit_width = 8,
			.access_width = ACCESS_BYTE,
			.address = rows[i].port,
			.value = rows[i].value,
			.mask = rows[i].mask,
		};
	return write_table(area, WDAT_AT, &wdat, sizeof wdat);
}

/* ---- where firmware copies them ------------------------------------------- */

#define SUM_OF(table_at, size) \
	{ \
		.at = (table_at) + offsetof(struct acpi_header, checksum), \
		.start = (table_at), .length = (size) \
	}

const struct acpi_mend guest_acpi_rsdp_mends[2] = {
	{ .at = offsetof(struct rsdp, xsdt), .size = 8 },
	{ .at = offsetof(struct rsdp, extended_checksum),
	  .length = sizeof(struct rsdp) },
};

/* A PC's alone: no other VM has firmware. */
uint32_t guest_acpi_mends(const struct mull_vm *vm,
			  struct acpi_mend mends[ACPI_MENDS_MAX])
{
	const struct acpi_mend fadt[] = {
		{ .at = FADT_AT + FADT_FACS, .size = 4 },
		{ .at = FADT_AT + FADT_DSDT, .size = 4 },
		{ .at = FADT_AT + FADT_X_DSDT, .size = 8 },
		SUM_OF(FADT_AT, sizeof guest_fadt_pc),
	};
	const uint32_t length = xsdt_length(vm->watchdog);
	uint32_t count = ARRAY_COUNT(fadt);

	_Static_assert(ARRAY_COUNT(fadt) + 4 + 1 == ACPI_MENDS_MAX, "all");
	memcpy(mends, fadt, sizeof fadt);
	for (uint32_t at = offsetof(struct xsdt, tables); at < length; at += 8)
		mends[count++] = (struct acpi_mend){ .at = XSDT_AT + at,
						     .size = 8 };
	mends[count++] = (struct acpi_mend)SUM_OF(XSDT_AT, length);
	return count;
}

uint32_t guest_acpi_size(const struct mull_vm *vm)
{
	return (uint32_t)(MADT_AT + offsetof(struct madt, more) +
			  vm->vcpu_count * sizeof(struct madt_local_apic) +
			  sizeof overrides);
}

/* Some firmware adds the old sum to the new one. */
static enum error clear_sums(const struct area *area, const struct mull_vm *vm)
{
	struct acpi_mend mends[ACPI_MENDS_MAX];
	uint32_t count = guest_acpi_mends(vm, mends);
	enum error error = ERR_NONE;

	for (uint32_t i = 0; !error && i < count; i++)
		if (!mends[i].size)
			error = guest_store_8(area->memory,
					      gpa(area->at + mends[i].at), 0);
	if (error)
		return error;
	return guest_store_8(area->memory,
			     gpa(area->at + guest_acpi_rsdp_mends[1].at), 0);
}

/* ---- the whole ------------------------------------------------------------ */

enum error guest_acpi_write(const struct guest_memory *memory, uint64_t at,
			    const struct mull_vm *vm)
{
	const bool pc = vm->flags & MULL_VM_PLATFORM_PC;
	const bool copied = at != MULL_GUEST_ACPI_AREA; /* by firmware */
	const struct area area = { memory, at, copied ? 0 : at, pc };
	uint32_t vcpu_count = vm->vcpu_count;
	enum error error = ERR_NONE;

	if (vcpu_count == 0 || vcpu_count > MULL_VCPU_MAX)
		return ERR_BAD_REQUEST;
	error = guest_write(memory, gpa(at + DSDT_AT),
			    pc ? guest_dsdt_pc : guest_dsdt,
			    pc ? sizeof guest_dsdt_pc : sizeof guest_dsdt);
	if (!error && pc)
		error = write_facs(&area);
	if (!error)
		error = write_fadt(&area);
	if (!error)
		error = write_madt(&area, vcpu_count);
	if (!error)
		error = write_mcfg(&area);
	if (!error)
		error = write_xsdt(&area, vm->watchdog);
	if (!error && vm->watchdog)
		error = write_wdat(&area, vm->watchdog);
	if (!error)
		error = write_rsdp(&area);
	if (!error)
		error = write_reset_vector(&area);
	if (!error && copied)
		error = clear_sums(&area, vm);
	return error;
}
