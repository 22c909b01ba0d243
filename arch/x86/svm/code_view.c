/* SPDX-License-Identifier: MIT */
#include "code_view.h"
#include "../cpu.h"
#include "../registers.h"
#include <mullion/vm.h>

/* "4-Kbyte Page Translation - Long Mode" and its larger neighbours */
#define PTE_PRESENT BIT(0)
#define PTE_LARGE BIT(7)
#define PTE_ADDRESS BITS(51, 12)

/* Slots of this CPU's windows: one a level and one for the code. */
#define SLOTS_A_VIEW (CODE_LEVELS + 1)
static_assert(1 + CODE_VIEWS * SLOTS_A_VIEW < WINDOW_SLOTS, "windows");

/* A window shows 2 MiB, whatever the guest's page. */
static uint64_t view_size(int level)
{
	return level == 1 ? PAGE_SIZE : FRAME_SIZE;
}

static void drop(struct code_view *view)
{
	view->page = UINT64_MAX; /* an offset of 0 has no instruction there */
	view->limit = 0;
}

static const void *look(struct vcpu *vcpu, uint32_t slot, uint64_t at)
{
	hpa_t address;

	if (guest_locate(&vcpu->vm->memory, gpa(at), &address) != ERR_NONE)
		return NULL;
	return page_table_view(slot, address);
}

static bool can_view(const struct vmcb *vmcb)
{
	return vmcb->efer & EFER_LMA &&
	       vmcb->cs.attributes & SVM_SEGMENT_LONG &&
	       !(vmcb->cr4 & CR4_LA57);
}

/* Entries that the way does not have repeat the last one it has. */
static void pad_levels(struct code_view *view)
{
	for (uint32_t i = view->levels; i < CODE_LEVELS; i++) {
		view->entries[i] = view->entries[i - 1];
		view->values[i] = view->values[i - 1];
	}
}

void code_view_fill(struct code_view *views, struct vcpu *vcpu,
		    const struct vmcb *vmcb)
{
	struct code_view *view = code_view_for(views, vmcb->rip);
	uint32_t slot = 1 + (view - views) * SLOTS_A_VIEW;
	uint64_t table = vmcb->cr3 & PTE_ADDRESS;
	int level = CODE_LEVELS;

	drop(view);
	if (!can_view(vmcb))
		return;
	view->levels = 0;
	for (;; level--) {
		uint64_t index = vmcb->rip >> (12 + 9 * (level - 1)) & 511;
		const uint64_t *entry = look(vcpu, slot + view->levels,
					     table + 8 * index);

		if (!entry)
			return;
		view->entries[view->levels] = entry;
		view->values[view->levels] = *(const volatile uint64_t *)entry;
		table = view->values[view->levels++] & PTE_ADDRESS;
		if (!(view->values[view->levels - 1] & PTE_PRESENT))
			return;
		if (level == 1 ||
		    (level < 4 && view->values[view->levels - 1] & PTE_LARGE))
			break;
	}
	if (level == 3)
		table += vmcb->rip & BITS(29, 21);
	view->code = look(vcpu, slot + CODE_LEVELS,
			  round_down(table, view_size(level)));
	if (!view->code)
		return;
	pad_levels(view);
	view->cr3 = vmcb->cr3;
	view->limit = view_size(level) - CODE_BYTES;
	view->page = round_down(vmcb->rip, view_size(level));
}

void code_views_drop(struct code_view *views)
{
	for (int i = 0; i < CODE_VIEWS; i++)
		drop(&views[i]);
}
