/* SPDX-License-Identifier: MIT */
/* A guest's memory by linear addresses, without gdb's breakpoints in it. */
#include "gdb_memory.h"

#include <mullion/bits.h>
#include <string.h>

#include "guest_tables.h"

#define INT3 0xcc

bool gdb_registers_of(struct gdb_stub *stub)
{
	if (!stub->registers_known)
		stub->registers_known = stub->vm.registers(
			stub->vm.context, stub->vcpu, &stub->registers);
	return stub->registers_known;
}

void gdb_forget_pages(struct gdb_stub *stub)
{
	memset(stub->pages, 0, sizeof stub->pages);
}

/* Where @linear is, and how many bytes follow in its page. */
static bool find(struct gdb_stub *stub, uint64_t linear, uint64_t *physical,
		 uint64_t *left)
{
	struct guest_tables tables = { stub->vm.read, stub->vm.context };
	uint64_t page = round_down(linear, PAGE_SIZE), place;
	size_t slot = linear / PAGE_SIZE % GDB_PAGES;

	*left = PAGE_SIZE - linear % PAGE_SIZE;
	if (!stub->pages[slot].known || stub->pages[slot].linear != page) {
		if (!gdb_registers_of(stub) ||
		    !guest_tables_find(&tables, &stub->registers, page, &place,
				       &(uint64_t){ 0 }))
			return false;
		stub->pages[slot].linear = page;
		stub->pages[slot].physical = place;
		stub->pages[slot].known = true;
	}
	*physical = stub->pages[slot].physical + linear % PAGE_SIZE;
	return true;
}

/* @bytes of memory at @physical as they are without breakpoints; with @insert,
 * as they are with them, which then remember what @bytes had there. */
static void overlay(struct gdb_stub *stub, uint64_t physical, uint8_t *bytes,
		    size_t length, bool insert)
{
	for (size_t i = 0; i < stub->breakpoint_count; i++) {
		struct gdb_breakpoint *at = &stub->breakpoints[i];
		uint64_t offset = at->physical - physical;

		if (offset >= length)
			continue;
		if (!insert) {
			/* The guest may have written over it. */
			if (bytes[offset] == INT3)
				bytes[offset] = at->before;
		} else {
			at->before = bytes[offset];
		}
	}
	for (size_t i = 0; insert && i < stub->breakpoint_count; i++)
		if (stub->breakpoints[i].physical - physical < length)
			bytes[stub->breakpoints[i].physical - physical] = INT3;
}

size_t gdb_read(struct gdb_stub *stub, uint64_t linear, uint8_t *bytes,
		size_t length)
{
	uint64_t physical, left;
	size_t done = 0;

	while (done < length && find(stub, linear + done, &physical, &left)) {
		if (left > length - done)
			left = length - done;
		if (!stub->vm.read(stub->vm.context, physical, bytes + done,
				   left))
			break;
		overlay(stub, physical, bytes + done, left, false);
		done += left;
	}
	return done;
}

bool gdb_write(struct gdb_stub *stub, uint64_t linear, uint8_t *bytes,
	       size_t length)
{
	uint64_t physical, left;
	bool good = true;

	while (good && length) {
		if (!find(stub, linear, &physical, &left))
			return false;
		if (left > length)
			left = length;
		overlay(stub, physical, bytes, left, true);
		good = stub->vm.write(stub->vm.context, physical, bytes, left);
		linear += left;
		bytes += left;
		length -= left;
		/* It may have been a table. */
		gdb_forget_pages(stub);
	}
	return good;
}

/* ---- breakpoints -------------------------------------------------------- */

static struct gdb_breakpoint *breakpoint_at(struct gdb_stub *stub,
					    uint64_t linear)
{
	for (size_t i = 0; i < stub->breakpoint_count; i++)
		if (stub->breakpoints[i].linear == linear)
			return &stub->breakpoints[i];
	return NULL;
}

static size_t count_at(const struct gdb_stub *stub, uint64_t physical)
{
	size_t count = 0;

	for (size_t i = 0; i < stub->breakpoint_count; i++)
		count += stub->breakpoints[i].physical == physical;
	return count;
}

bool gdb_insert(struct gdb_stub *stub, uint64_t linear)
{
	struct gdb_breakpoint *to = &stub->breakpoints[stub->breakpoint_count];
	uint64_t left;
	uint8_t int3 = INT3;

	if (breakpoint_at(stub, linear))
		return true;
	if (stub->breakpoint_count == GDB_BREAKPOINTS_MAX ||
	    !find(stub, linear, &to->physical, &left) ||
	    gdb_read(stub, linear, &to->before, 1) != 1)
		return false;
	to->linear = linear;
	if (!stub->vm.write(stub->vm.context, to->physical, &int3, 1))
		return false;
	stub->breakpoint_count++;
	return true;
}

bool gdb_remove(struct gdb_stub *stub, uint64_t linear)
{
	struct gdb_breakpoint *at = breakpoint_at(stub, linear);
	uint8_t now;

	if (!at)
		return true;
	/* One that has another linear address as well stays; and what the
	 * guest has written over it meanwhile stays, too. */
	if (count_at(stub, at->physical) == 1) {
		if (!stub->vm.read(stub->vm.context, at->physical, &now, 1) ||
		    (now == INT3 &&
		     !stub->vm.write(stub->vm.context, at->physical,
				     &at->before, 1)))
			return false;
	}
	*at = stub->breakpoints[--stub->breakpoint_count];
	return true;
}

bool gdb_stub_arm(struct gdb_stub *stub, bool armed)
{
	bool good = true;

	for (size_t i = 0; i < stub->breakpoint_count; i++) {
		struct gdb_breakpoint *at = &stub->breakpoints[i];
		uint8_t now;

		if (!stub->vm.read(stub->vm.context, at->physical, &now, 1)) {
			good = false;
		} else if (armed != (now == INT3)) {
			/* The guest may have changed it meanwhile. */
			at->before = armed ? now : at->before;
			now = armed ? INT3 : at->before;
			good &= stub->vm.write(stub->vm.context, at->physical,
					       &now, 1);
		}
	}
	return good;
}

bool gdb_stub_clear(struct gdb_stub *stub)
{
	while (stub->breakpoint_count)
		if (!gdb_remove(stub, stub->breakpoints[0].linear))
			return false;
	return true;
}
