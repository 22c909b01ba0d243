/* SPDX-License-Identifier: MIT */
/*
 * What a kernel is told that starts by Multiboot 1, Multiboot 2 or PVH.  The
 * three tell the same in different forms: each is turned into struct told,
 * and that is checked against the command line, which says what must be there
 * ("memory=64" in MiB, "modules=2"), and against each module's own, which
 * says how it begins ("begins=7f454c46").
 */
#define MULL_NO_C /* there is no <assert.h> of 32 bits */
#include <mullion/guest.h>
#include <stdbool.h>
#include <stdint.h>

#define MODULES_MAX 8

uint32_t found_eax, found_ebx, found_esp, found_eflags, found_cr0, found_cr4;
uint32_t found_efer, found_cs;
uint16_t found_idtr[3];
extern const uint8_t image_end[];
void boot32(void);

struct told {
	const char *way;
	const char *command_line;
	uint32_t rsdp; /* 0: it has to be looked for */
	uint64_t ram;  /* bytes */
	bool has_acpi_area;
	uint32_t module_count;
	struct {
		uint32_t start, size;
		const char *words;
	} modules[MODULES_MAX];
};

static struct told told;
static uint32_t reports, failures;

/* ---- printing ----------------------------------------------------------- */

static void out8(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void print(const char *text)
{
	for (; *text; text++)
		out8(MULL_GUEST_UART_PORT, (uint8_t)*text);
}

static void print_hex(uint32_t value)
{
	for (int shift = 28; shift >= 0; shift -= 4)
		out8(MULL_GUEST_UART_PORT,
		     (uint8_t) "0123456789abcdef"[value >> shift & 15]);
}

static void print_decimal(uint32_t value)
{
	if (value >= 10)
		print_decimal(value / 10);
	out8(MULL_GUEST_UART_PORT, (uint8_t)('0' + value % 10));
}

static void report(bool good, const char *what, uint32_t value)
{
	print(good ? "PASS " : "FAIL ");
	print(what);
	print(": ");
	print_hex(value);
	print("\n");
	reports++;
	failures += !good;
}

/* ---- reading ------------------------------------------------------------ */

static uint32_t at32(uint32_t address)
{
	return *(const volatile uint32_t *)address;
}

static uint64_t at64(uint32_t address)
{
	return at32(address) | (uint64_t)at32(address + 4) << 32;
}

/* The number after @name in @text, to @base; 0: it is not there. */
static uint32_t number_in(const char *text, const char *name, uint32_t base)
{
	uint32_t value = 0;

	for (; *text; text++) {
		const char *at = text, *want = name;

		while (*want && *at == *want)
			at++, want++;
		if (*want)
			continue;
		for (;; at++) {
			uint32_t digit = *at >= 'a' ? *at - 'a' + 10u :
						      *at - (uint32_t)'0';

			if (digit >= base)
				return value;
			value = value * base + digit;
		}
	}
	return 0;
}

static void add_module(uint32_t start, uint32_t size, uint32_t words)
{
	uint32_t i = told.module_count++;

	if (i >= MODULES_MAX)
		return;
	told.modules[i].start = start;
	told.modules[i].size = size;
	told.modules[i].words = (const char *)words;
}

static void add_memory(uint64_t start, uint64_t size, uint32_t type)
{
	if (type == 1)
		told.ram += size;
	if (type == 2 && start <= MULL_GUEST_ACPI_AREA &&
	    start + size >= 0x100000)
		told.has_acpi_area = true;
}

/* ---- Multiboot 1 -------------------------------------------------------- */

static void read_multiboot(uint32_t info)
{
	uint32_t modules = at32(info + 24), map = at32(info + 48);

	report((at32(info) & 0x24d) == 0x24d, "flags", at32(info));
	report(at32(info + 4) == 639, "KiB of lower memory", at32(info + 4));
	told.command_line = (const char *)at32(info + 16);
	for (uint32_t i = 0; i < at32(info + 20); i++)
		add_module(at32(modules + 16 * i),
			   at32(modules + 16 * i + 4) - at32(modules + 16 * i),
			   at32(modules + 16 * i + 8));
	for (uint32_t at = map; at < map + at32(info + 44); at += at32(at) + 4)
		add_memory(at64(at + 4), at64(at + 12), at32(at + 20));
	report(*(const char *)at32(info + 64) == 'M', "boot loader's name",
	       at32(info + 64));
}

/* ---- Multiboot 2 -------------------------------------------------------- */

static void read_tag(uint32_t at)
{
	switch (at32(at)) {
	case 1:
		told.command_line = (const char *)(at + 8);
		break;
	case 2:
		report(*(const char *)(at + 8) == 'M', "boot loader's name",
		       at);
		break;
	case 3:
		add_module(at32(at + 8), at32(at + 12) - at32(at + 8), at + 16);
		break;
	case 4:
		report(at32(at + 8) == 639, "KiB of lower memory",
		       at32(at + 8));
		break;
	case 6:
		for (uint32_t entry = at + 16; entry < at + at32(at + 4);
		     entry += at32(at + 8))
			add_memory(at64(entry), at64(entry + 8),
				   at32(entry + 16));
		break;
	case 15:
		told.rsdp = at + 8;
		break;
	}
}

static void read_multiboot2(uint32_t info)
{
	uint32_t at = info + 8;

	for (; at < info + at32(info) && at32(at);
	     at += (at32(at + 4) + 7) & ~7u)
		read_tag(at);
	report(at + 8 == info + at32(info), "the last tag ends where all does",
	       at32(info));
}

/* ---- PVH ---------------------------------------------------------------- */

static void read_pvh(uint32_t info)
{
	uint32_t modules = at32(info + 16), map = at32(info + 40);

	report(at32(info + 4) == 1, "version", at32(info + 4));
	told.command_line = (const char *)at32(info + 24);
	told.rsdp = at32(info + 32);
	for (uint32_t i = 0; i < at32(info + 12); i++)
		add_module(at32(modules + 32 * i), at32(modules + 32 * i + 8),
			   at32(modules + 32 * i + 16));
	for (uint32_t i = 0; i < at32(info + 48); i++)
		add_memory(at64(map + 24 * i), at64(map + 24 * i + 8),
			   at32(map + 24 * i + 16));
}

/* ---- checks ------------------------------------------------------------- */

/* Multiboot, "Machine state"; Xen, "x86/HVM direct boot ABI". */
static void check_registers(void)
{
	report((found_cr0 & 0x80000001) == 1, "CR0: PE without PG", found_cr0);
	report(found_cr4 == 0, "CR4", found_cr4);
	report((found_efer & 0x500) == 0, "EFER: no long mode", found_efer);
	report((found_eflags & 0x20300) == 0, "EFLAGS: no VM, IF and TF",
	       found_eflags);
	report(found_cs && found_cs % 8 == 0, "CS is reloaded", found_cs);
}

/* ACPI, "Root System Description Pointer (RSDP) Structure". */
static void check_rsdp(void)
{
	uint32_t at = told.rsdp ? told.rsdp : MULL_GUEST_ACPI_AREA;
	uint8_t sum = 0;

	for (uint32_t i = 0; i < 36; i++)
		sum += *(const uint8_t *)(at + i);
	report(at32(at) == 0x20445352 && at32(at + 4) == 0x20525450 && !sum,
	       "the RSDP is whole", at);
}

static void check_module(uint32_t i)
{
	uint32_t start = told.modules[i].start, first = at32(start);
	uint32_t want = number_in(told.modules[i].words, "begins=", 16);

	/* As it is read: the first byte is the highest. */
	first = __builtin_bswap32(first);
	report(start % 4096 == 0 && start >= (uint32_t)image_end,
	       "a module begins a page behind the kernel", start);
	report(want && first == want, told.modules[i].words, first);
}

static void check_told(void)
{
	uint32_t memory = number_in(told.command_line, "memory=", 10);
	uint32_t count = number_in(told.command_line, "modules=", 10);

	/* Without what a PC has from 0x9fc00 to 1 MiB. */
	report(told.ram == ((uint64_t)memory << 20) - (0x100000 - 0x9fc00),
	       "bytes of RAM", (uint32_t)told.ram);
	report(told.has_acpi_area, "the ACPI tables' area is reserved", 0);
	report(told.module_count == count, "modules", told.module_count);
	for (uint32_t i = 0; i < told.module_count && i < MODULES_MAX; i++)
		check_module(i);
	check_rsdp();
}

void boot32(void)
{
	if (found_eax == 0x2badb002) {
		told.way = "multiboot";
		read_multiboot(found_ebx);
	} else if (found_eax == 0x36d76289) {
		told.way = "multiboot2";
		read_multiboot2(found_ebx);
	} else {
		told.way = "pvh";
		report(at32(found_ebx) == 0x336ec578, "start_info's magic",
		       at32(found_ebx));
		read_pvh(found_ebx);
	}
	print("boot32: started by ");
	print(told.way);
	print("\nboot32: told \"");
	print(told.command_line);
	print("\"\n");
	check_registers();
	check_told();
	print("DONE ");
	print_decimal(reports);
	print(" ");
	print_decimal(failures);
	print("\n");
	out8(MULL_GUEST_SLEEP_CONTROL, MULL_GUEST_S5_TYPE << 2 | 1 << 5);
}
