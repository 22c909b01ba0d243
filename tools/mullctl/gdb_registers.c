/* SPDX-License-Identifier: MIT */
/*
 * In the order of GDB's 64bit-core.xml and 64bit-segments.xml, which it asks
 * for, and then the system's registers.  The x87's are not known.
 */
#include "gdb_registers.h"

#include <assert.h>
#include <mullion/bits.h>
#include <stdio.h>
#include <string.h>

#include "gdb_packet.h"

#define UNKNOWN 0xffff /* no such member: gdb is told that it is not known */

enum { ES, CS, SS, DS, FS, GS }; /* struct mull_segment */

static const struct row {
	const char *name;
	const char *type;
	uint8_t size;	     /* bytes in gdb's form */
	uint8_t known;	     /* bytes of the member; the rest is 0 */
	bool fixed;	     /* cannot be set: the segment's base is not told */
	uint16_t offset;     /* in struct mull_registers */
	const char *feature; /* that begins with it, or NULL */
} rows[] = {
#define CORE "org.gnu.gdb.i386.core"
#define AT(member) offsetof(struct mull_registers, member)
#define GPR(name, number, type, feature) \
	{ \
		name, type, 8, 8, false, AT(gpr) + 8 * (number), feature \
	}
#define LONG(name, member) \
	{ \
		name, "int64", 8, 8, false, AT(member), NULL \
	}
#define SELECTOR(name, number) \
	{ \
		name, "int32", 4, 2, true, AT(segments[number].selector), NULL \
	}
#define FLOAT(name) \
	{ \
		name, "i387_ext", 10, 0, true, UNKNOWN, NULL \
	}
#define FLOAT_CONTROL(name) \
	{ \
		name, "int", 4, 0, true, UNKNOWN, NULL \
	}
	GPR("rax", 0, "int64", CORE),
	GPR("rbx", 3, "int64", NULL),
	GPR("rcx", 1, "int64", NULL),
	GPR("rdx", 2, "int64", NULL),
	GPR("rsi", 6, "int64", NULL),
	GPR("rdi", 7, "int64", NULL),
	GPR("rbp", 5, "data_ptr", NULL),
	GPR("rsp", 4, "data_ptr", NULL),
	GPR("r8", 8, "int64", NULL),
	GPR("r9", 9, "int64", NULL),
	GPR("r10", 10, "int64", NULL),
	GPR("r11", 11, "int64", NULL),
	GPR("r12", 12, "int64", NULL),
	GPR("r13", 13, "int64", NULL),
	GPR("r14", 14, "int64", NULL),
	GPR("r15", 15, "int64", NULL),
	{ "rip", "code_ptr", 8, 8, false, AT(rip), NULL },
	{ "eflags", "i386_eflags", 4, 4, false, AT(rflags), NULL },
	SELECTOR("cs", CS),
	SELECTOR("ss", SS),
	SELECTOR("ds", DS),
	SELECTOR("es", ES),
	SELECTOR("fs", FS),
	SELECTOR("gs", GS),
	FLOAT("st0"),
	FLOAT("st1"),
	FLOAT("st2"),
	FLOAT("st3"),
	FLOAT("st4"),
	FLOAT("st5"),
	FLOAT("st6"),
	FLOAT("st7"),
	FLOAT_CONTROL("fctrl"),
	FLOAT_CONTROL("fstat"),
	FLOAT_CONTROL("ftag"),
	FLOAT_CONTROL("fiseg"),
	FLOAT_CONTROL("fioff"),
	FLOAT_CONTROL("foseg"),
	FLOAT_CONTROL("fooff"),
	FLOAT_CONTROL("fop"),
	{ "fs_base", "int64", 8, 8, false, AT(segments[FS].base),
	  "org.gnu.gdb.i386.segments" },
	LONG("gs_base", segments[GS].base),
	{ "cr0", "int64", 8, 8, false, AT(cr0), "org.mullion.system" },
	LONG("cr2", cr2),
	LONG("cr3", cr3),
	LONG("cr4", cr4),
	LONG("efer", efer),
	LONG("dr6", dr6),
	LONG("dr7", dr7),
	LONG("gdt_base", gdt_base),
	LONG("idt_base", idt_base),
	LONG("k_gs_base", kernel_gs_base),
	LONG("star", star),
	LONG("lstar", lstar),
	LONG("fmask", fmask),
};

/* ---- the description ---------------------------------------------------- */

static const char flags_type[] =
	"<flags id=\"i386_eflags\" size=\"4\">"
	"<field name=\"CF\" start=\"0\" end=\"0\"/>"
	"<field name=\"PF\" start=\"2\" end=\"2\"/>"
	"<field name=\"AF\" start=\"4\" end=\"4\"/>"
	"<field name=\"ZF\" start=\"6\" end=\"6\"/>"
	"<field name=\"SF\" start=\"7\" end=\"7\"/>"
	"<field name=\"TF\" start=\"8\" end=\"8\"/>"
	"<field name=\"IF\" start=\"9\" end=\"9\"/>"
	"<field name=\"DF\" start=\"10\" end=\"10\"/>"
	"<field name=\"OF\" start=\"11\" end=\"11\"/>"
	"<field name=\"NT\" start=\"14\" end=\"14\"/>"
	"<field name=\"RF\" start=\"16\" end=\"16\"/>"
	"<field name=\"VM\" start=\"17\" end=\"17\"/>"
	"<field name=\"AC\" start=\"18\" end=\"18\"/>"
	"<field name=\"ID\" start=\"21\" end=\"21\"/></flags>\n";

size_t gdb_description(const char **text)
{
	static char description[8192];
	static size_t length;
	FILE *to;

	*text = description;
	if (length)
		return length;
	to = fmemopen(description, sizeof description, "w");
	if (!to)
		return 0;
	fprintf(to, "<?xml version=\"1.0\"?>\n"
		    "<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>"
		    "<architecture>i386:x86-64</architecture>\n");
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		if (rows[i].feature)
			fprintf(to, "%s<feature name=\"%s\">\n%s",
				i ? "</feature>\n" : "", rows[i].feature,
				i ? "" : flags_type);
		fprintf(to, "<reg name=\"%s\" bitsize=\"%d\" type=\"%s\"/>\n",
			rows[i].name, 8 * rows[i].size, rows[i].type);
	}
	fprintf(to, "</feature></target>\n");
	length = (size_t)ftell(to);
	fclose(to);
	return length;
}

/* ---- values ------------------------------------------------------------- */

static size_t put_row(const struct mull_registers *registers,
		      const struct row *row, char *to)
{
	const uint8_t *from = (const uint8_t *)registers + row->offset;

	for (size_t i = 0; i < row->size; i++)
		if (row->offset == UNKNOWN)
			memcpy(to + 2 * i, "xx", 2);
		else
			sprintf(to + 2 * i, "%02x",
				i < row->known ? from[i] : 0);
	return 2u * row->size;
}

size_t gdb_registers_put(const struct mull_registers *registers, char *to)
{
	size_t length = 0;

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
		length += put_row(registers, &rows[i], to + length);
	return length;
}

size_t gdb_register_put(const struct mull_registers *registers, uint64_t number,
			char *to)
{
	return number < ARRAY_COUNT(rows) ?
		       put_row(registers, &rows[number], to) :
		       0;
}

static bool take_row(struct mull_registers *registers, const struct row *row,
		     const char *digits)
{
	uint8_t *to = (uint8_t *)registers + row->offset;

	if (row->fixed)
		return false;
	for (size_t i = 0; i < row->known; i++) {
		int high = gdb_digit(digits[2 * i]);
		int low = gdb_digit(digits[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool gdb_registers_take(struct mull_registers *registers, const char *digits)
{
	size_t length = strlen(digits);

	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		size_t size = 2u * rows[i].size;

		if (length < size ||
		    (!rows[i].fixed && !take_row(registers, &rows[i], digits)))
			return false;
		digits += size;
		length -= size;
	}
	return true;
}

bool gdb_register_take(struct mull_registers *registers, uint64_t number,
		       const char *digits)
{
	return number < ARRAY_COUNT(rows) &&
	       strlen(digits) == 2u * rows[number].size &&
	       take_row(registers, &rows[number], digits);
}
