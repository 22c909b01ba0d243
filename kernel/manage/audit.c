/* SPDX-License-Identifier: MIT */
/*
 * Whether the page tables that the processors use keep the VMs apart.  Each
 * frame has one owner, so when no VM reaches a frame that it does not own, no
 * frame is reached by two; but for shared memory, which those reach that name
 * it, each with its own rights.  In small steps, while the VMs run.
 */
#include "request.h"
#include "service.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/frame_pool.h>
#include <mullion/page.h>
#include <mullion/shared_memory.h>
#include <string.h>

#define TOP BIT(48)
#define OWN_TABLES MULL_VM_MAX /* after those of the last VM */
#define LOOKS_A_STEP 200
#define FRAMES_A_STEP 512 /* one entry may have so many */

static struct {
	struct mull_audit record;
	uint32_t tables; /* of this VM, or OWN_TABLES */
	uint64_t at;	 /* the next address that is looked up there */
} audit;

static const char *owner_name(frame_owner owner)
{
	switch (owner) {
	case FRAME_ABSENT:
		return "nobody: it is no free memory";
	case FRAME_FREE:
		return "nobody: it is free";
	case FRAME_HYPERVISOR:
		return "the hypervisor";
	case FRAME_PACKAGE:
		return "the boot package";
	case FRAME_STORE:
		return "the store of images";
	}
	if (shared_memory_name(owner))
		return shared_memory_name(owner);
	if (owner - FRAME_VM < MULL_VM_MAX && vms[owner - FRAME_VM])
		return vms[owner - FRAME_VM]->description.name;
	return "a VM that is gone";
}

static bool may_reach(uint32_t frame, const struct mapping *mapping)
{
	frame_owner owner = frame_owner_of(frame);

	if (audit.tables < OWN_TABLES)
		return owner == FRAME_VM + audit.tables ||
		       shared_memory_allows(vms[audit.tables], owner, mapping);
	return owner != FRAME_FREE && owner < FRAME_VM;
}

static void tell_fault(const struct mapping *mapping, uint32_t frame)
{
	const struct vm *vm = audit.tables < OWN_TABLES ? vms[audit.tables] :
							  NULL;
	struct mull_audit *record = &audit.record;
	bool shared = shared_memory_name(frame_owner_of(frame));

	if (record->faults++)
		return;
	format_text(record->words, sizeof record->words,
		    "%.31s %s frame %u (0x%lx) at %s 0x%lx; it belongs to "
		    "%s%.31s",
		    vm ? vm->description.name : "the hypervisor",
		    mapping->writable && shared ? "writes" : "reaches", frame,
		    (uint64_t)frame << FRAME_SHIFT,
		    vm ? "guest-physical" : "virtual", mapping->at,
		    shared ? "shared memory " : "",
		    owner_name(frame_owner_of(frame)));
	log_write("audit: %s", record->words);
}

static void next_tables(void)
{
	audit.at = 0;
	if (audit.tables++ < OWN_TABLES)
		return;
	audit.record.running = 0;
	audit.record.finished_ns = log_time();
	log_write("audit: %lu frames, %lu entries, %u faults",
		  audit.record.frames, audit.record.entries,
		  audit.record.faults);
}

static void note(const struct mapping *mapping)
{
	uint32_t first = mapping->to.value >> FRAME_SHIFT, frame = first;
	uint32_t end = mapping->present ?
			       first + (mapping->size - 1) / FRAME_SIZE + 1 :
			       first;

	while (frame < end && may_reach(frame, mapping))
		frame++;
	if (frame < end)
		tell_fault(mapping, frame);
	audit.record.entries++;
	audit.record.frames += end - first;
	/* Its first entry tells of each table. */
	for (uint64_t span = mapping->size << 9;
	     span <= TOP && mapping->at % span == 0; span <<= 9)
		audit.record.tables++;
	audit.at = mapping->at + mapping->size;
}

/* The VM's CPU takes them away while nobody holds the lock, and gives back the
 * frames behind that; false: there are none now. */
static bool look_at_vm(struct vm *vm)
{
	struct mapping mapping;
	bool there;

	lock_take(&vm->stage2_lock);
	there = vm->stage2.value;
	if (there) {
		virt->stage2_look(vm->stage2, gpa(audit.at), &mapping);
		note(&mapping);
	}
	lock_give(&vm->stage2_lock);
	return there;
}

static void look(void)
{
	struct mapping mapping;
	bool there;

	if (audit.tables == OWN_TABLES) {
		arch_look(audit.at, &mapping);
		note(&mapping);
		there = true;
	} else {
		there = vms[audit.tables] && look_at_vm(vms[audit.tables]);
	}
	if (!there || audit.at == TOP)
		next_tables();
}

bool audit_step(void)
{
	uint64_t enough = audit.record.frames + FRAMES_A_STEP;

	for (int i = 0; audit.record.running && i < LOOKS_A_STEP &&
			audit.record.frames < enough;
	     i++)
		look();
	return audit.record.running;
}

enum error request_audit(const struct asked *asked, struct answer *answer)
{
	if (asked->argument && !audit.record.running) {
		memset(&audit, 0, sizeof audit);
		audit.record.running = 1;
	}
	memcpy(answer_add(answer, sizeof audit.record), &audit.record,
	       sizeof audit.record);
	return ERR_NONE;
}
