/* SPDX-License-Identifier: MIT */
/*
 * The state in which 32-bit code starts: flat segments, no paging.  Multiboot
 * 0.6.96, "Machine state"; Xen, "x86/HVM direct boot ABI".  Neither promises
 * a GDT, but a kernel may load a segment before it has its own.
 */
#include "loader.h"

#define BOOT_CS 0x10
#define BOOT_DS 0x18

/* SDM 325384, "Segment Descriptor": present, accessed, 4 GiB, 32-bit. */
static const uint64_t gdt[] = {
	[BOOT_CS / 8] = 0x00cf9b000000ffff, /* execute and read */
	[BOOT_DS / 8] = 0x00cf93000000ffff, /* read and write */
};

enum error protected_mode_write(const struct guest_memory *memory,
				struct guest_start *start)
{
	start->mode = GUEST_PROTECTED;
	start->gdt_base = LOW_GDT;
	start->gdt_limit = sizeof gdt - 1;
	start->cs = BOOT_CS;
	start->ds = BOOT_DS;
	start->rsp = LOW_STACK_TOP;
	return guest_write(memory, gpa(LOW_GDT), gdt, sizeof gdt);
}
