/* SPDX-License-Identifier: MIT */
/*
 * Frames that leave a guest, and come back.  A frame leaves when all its pages
 * are lent: it is unmapped, then every vCPU comes by once, so that neither a
 * TLB nor an access under way knows it any more, then it is zeroed and the
 * pool's.  A page that the guest asks for is its own when a zeroed frame is
 * mapped again; if the pool has none, the guest waits for one.
 */
#include "vm_devices.h"
#include "vm_memory.h"
#include <mullion/arch.h>
#include <mullion/balloon.h>
#include <mullion/frame_pool.h>
#include <mullion/log.h>
#include <mullion/vm.h>
#include <string.h>

#define LOOKS_A_STEP 512 /* frames whose state is looked at */
#define RETRY_MS 50	 /* until the pool is asked again */

static frame_owner owner_of(const struct vm *vm)
{
	return FRAME_VM + vm->index;
}

static void set_entry(struct vm *vm, uint32_t index, uint32_t entry)
{
	__atomic_store_n(&vm->frames[index], entry, __ATOMIC_RELEASE);
}

static void map(struct vm *vm, uint32_t index, hpa_t to,
		enum stage2_rights rights)
{
	/* Its table is there: it was mapped when the VM started. */
	lock_take(&vm->stage2_lock);
	if (virt->stage2_map(vm->stage2, vm_memory_address(vm, index), to,
			     FRAME_SIZE, rights) != ERR_NONE)
		panic("balloon: a table of %s is gone", vm->description.name);
	lock_give(&vm->stage2_lock);
}

static uint64_t retry_time(void)
{
	return arch_time() + arch_time_ms(RETRY_MS);
}

/* The frame with number @index is as all others again. */
static void hold(struct vm *vm, uint32_t index, uint32_t frame)
{
	set_entry(vm, index, frame);
	map(vm, index, hpa((uint64_t)frame << FRAME_SHIFT), STAGE2_ALL);
	vm->balloon->states[index] = BALLOON_HELD;
}

/* ---- pages --------------------------------------------------------------- */

static uint64_t *word_of(struct balloon *balloon, uint32_t index, gpa_t at,
			 uint64_t *bit)
{
	uint32_t page = at.value % FRAME_SIZE / BALLOON_PAGE;

	*bit = BIT(page % 64);
	return &balloon->pages[index][page / 64];
}

/* None of its pages is lent any more. */
static void forget_pages(struct balloon *balloon, uint32_t index)
{
	atomic_fetch_sub(&balloon->lent, balloon->counts[index]);
	balloon->counts[index] = 0;
	if (balloon->states[index] == BALLOON_WHOLE) {
		balloon->states[index] = BALLOON_HELD;
		balloon->whole--;
	}
}

enum error balloon_lend(struct vm *vm, gpa_t at)
{
	struct balloon *balloon = vm->balloon;
	uint64_t *word, bit;
	uint32_t index;

	if (!vm_memory_index(vm, at, &index))
		return ERR_BAD_ADDRESS;
	if (!balloon->counts[index])
		memset(balloon->pages[index], 0, sizeof balloon->pages[index]);
	word = word_of(balloon, index, at, &bit);
	if (*word & bit)
		return ERR_NONE;
	*word |= bit;
	atomic_fetch_add(&balloon->lent, 1);
	if (++balloon->counts[index] == BALLOON_PAGES &&
	    balloon->states[index] == BALLOON_HELD) {
		balloon->states[index] = BALLOON_WHOLE;
		balloon->whole++;
	}
	return ERR_NONE;
}

enum error balloon_return(struct vm *vm, gpa_t at)
{
	struct balloon *balloon = vm->balloon;
	uint64_t *word, bit;
	uint32_t index;

	if (!vm_memory_index(vm, at, &index))
		return ERR_BAD_ADDRESS;
	if (balloon->states[index] >= BALLOON_LEAVING) {
		if (balloon->wanted == BALLOON_NONE)
			balloon->wanted = index;
		return ERR_BUSY;
	}
	word = word_of(balloon, index, at, &bit);
	if (!balloon->counts[index] || !(*word & bit))
		return ERR_NONE;
	if (balloon->states[index] == BALLOON_WHOLE) {
		balloon->states[index] = BALLOON_HELD;
		balloon->whole--;
	}
	*word &= ~bit;
	balloon->counts[index]--;
	atomic_fetch_sub(&balloon->lent, 1);
	return ERR_NONE;
}

void balloon_empty(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;

	if (!atomic_load(&balloon->emptied) || balloon->restores)
		return;
	memset(balloon->counts, 0,
	       balloon->frame_count * sizeof *balloon->counts);
	for (uint32_t i = 0; i < balloon->frame_count; i++)
		if (balloon->states[i] == BALLOON_WHOLE)
			balloon->states[i] = BALLOON_HELD;
	balloon->whole = 0;
	atomic_store(&balloon->lent, 0);
	balloon->restores = true;
}

/* ---- frames that leave --------------------------------------------------- */

static void let_go(struct vm *vm, uint32_t index)
{
	struct balloon *balloon = vm->balloon;

	map(vm, index, hpa(0), STAGE2_NONE);
	set_entry(vm, index, vm->frames[index] | GUEST_HOLE);
	balloon->states[index] = BALLOON_LEAVING;
	balloon->leaving[balloon->leaving_count++] = index;
	balloon->whole--;
}

/* The next ones that are whole, and that no disk of the machine writes to. */
static bool begin_leaving(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;
	bool flown_over = false;

	for (uint32_t i = 0; balloon->whole && i < LOOKS_A_STEP; i++) {
		uint32_t index = balloon->cursor++ % balloon->frame_count;

		if (balloon->states[index] != BALLOON_WHOLE)
			continue;
		if (vm_devices_fly_over(vm, vm->frames[index])) {
			flown_over = true;
			continue;
		}
		let_go(vm, index);
		if (balloon->leaving_count == BALLOON_LEAVING_MAX)
			break;
	}
	if (!balloon->leaving_count) {
		if (flown_over)
			balloon->leave_at = retry_time();
		return balloon->whole && !flown_over;
	}
	balloon->erased = 0;
	atomic_store(&balloon->unseen, vm->vcpu_count);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vcpu_request(vm->vcpus[i], VCPU_FORGET);
	return false;
}

void vm_balloon_seen(struct vm *vm)
{
	if (atomic_fetch_sub(&vm->balloon->unseen, 1) == 1)
		arch_kick(vm_home(vm));
}

/* Whoever looked before every vCPU came by has done so by now. */
static bool erase_leaving(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;
	uint32_t index, frame;

	if (atomic_load(&balloon->unseen))
		return false;
	index = balloon->leaving[balloon->leaving_count - 1];
	frame = vm->frames[index] & ~GUEST_HOLE;
	frame_zero(frame, balloon->erased, FRAME_ZERO_PIECE);
	balloon->erased += FRAME_ZERO_PIECE;
	if (balloon->erased < FRAME_SIZE)
		return true;
	balloon->erased = 0;
	balloon->leaving_count--;
	set_entry(vm, index, GUEST_HOLE);
	balloon->states[index] = BALLOON_GONE;
	atomic_fetch_add(&balloon->gone, 1);
	frame_give(owner_of(vm), frame);
	return true;
}

/* ---- frames that come back ----------------------------------------------- */

static bool take_frame(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;

	if (balloon->has_frame)
		return true;
	balloon->has_frame = frame_take(owner_of(vm), 1, &balloon->frame) ==
			     ERR_NONE;
	balloon->cleared = 0;
	if (balloon->has_frame == atomic_load(&balloon->waits)) {
		atomic_store(&balloon->waits, !balloon->has_frame);
		log_guest(vm->vcpus[0], "its balloon %s",
			  balloon->has_frame ?
				  "has a frame now" :
				  "waits for a frame: others have them all");
	}
	balloon->fetch_at = balloon->has_frame ? ARCH_NO_DEADLINE :
						 retry_time();
	return balloon->has_frame;
}

/* The next piece of having @balloon->wanted back, which is gone. */
static bool fetch(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;

	if (balloon->fetch_at != ARCH_NO_DEADLINE || !take_frame(vm))
		return false;
	frame_zero(balloon->frame, balloon->cleared, FRAME_ZERO_PIECE);
	balloon->cleared += FRAME_ZERO_PIECE;
	if (balloon->cleared < FRAME_SIZE)
		return true;
	hold(vm, balloon->wanted, balloon->frame);
	atomic_fetch_sub(&balloon->gone, 1);
	balloon->has_frame = false;
	balloon->wanted = BALLOON_NONE;
	return true;
}

/* Which one is gone, when all are to come back; false: none is. */
static bool find_gone(struct balloon *balloon)
{
	if (!atomic_load(&balloon->gone))
		return false;
	for (uint32_t i = 0; i < LOOKS_A_STEP; i++) {
		uint32_t index = balloon->cursor++ % balloon->frame_count;

		if (balloon->states[index] == BALLOON_GONE) {
			balloon->wanted = index;
			break;
		}
	}
	return true;
}

/* A vCPU needs a frame now: it comes before what was wanted. */
static void want_touched(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;
	uint32_t index = atomic_load(&balloon->touched) - 1;

	forget_pages(balloon, index);
	if (balloon->states[index] == BALLOON_HELD) {
		atomic_store(&balloon->touched, 0);
		return;
	}
	balloon->wanted = index;
	if (balloon->states[index] != BALLOON_GONE || take_frame(vm))
		return;
	atomic_store(&balloon->touched, 0);
	vm_end(vm, MULL_END_BAD_EXIT, 0,
	       "it uses memory at 0x%lx that it gave to its balloon, and there "
	       "is no free frame for it",
	       vm_memory_address(vm, index).value);
}

static bool come(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;
	bool deflates = balloon->wanted != BALLOON_NONE;

	switch ((enum balloon_state)balloon->states[balloon->wanted]) {
	case BALLOON_HELD:
	case BALLOON_WHOLE:
		balloon->wanted = BALLOON_NONE;
		break;
	case BALLOON_LEAVING:
		return false; /* it is taken back when it is gone */
	case BALLOON_GONE:
		if (!fetch(vm))
			return false;
		break;
	}
	/* The deflate queue goes on with the page that wanted it. */
	if (deflates && balloon->wanted == BALLOON_NONE)
		virtio_wake(vm, &balloon->device, 1);
	return true;
}

/* Whether all are there again. */
static bool restore(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;

	if (balloon->wanted != BALLOON_NONE || balloon->leaving_count ||
	    find_gone(balloon))
		return false;
	balloon->restores = false;
	atomic_store(&balloon->emptied, false);
	return true;
}

static void look_at_clock(struct balloon *balloon)
{
	uint64_t now = arch_time();

	if (now >= balloon->fetch_at)
		balloon->fetch_at = ARCH_NO_DEADLINE;
	if (now >= balloon->leave_at)
		balloon->leave_at = ARCH_NO_DEADLINE;
}

bool vm_balloon_work(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;
	bool more = false;

	look_at_clock(balloon);
	if (atomic_load(&balloon->emptied)) {
		lock_take(&vm->device_lock);
		balloon_empty(vm);
		lock_give(&vm->device_lock);
	}
	if (atomic_load(&balloon->touched))
		want_touched(vm);
	if (balloon->restores)
		more = !restore(vm) && balloon->wanted == BALLOON_NONE;
	if (balloon->wanted != BALLOON_NONE)
		more = come(vm);
	if (balloon->leaving_count)
		more |= erase_leaving(vm);
	else if (balloon->whole && atomic_load(&balloon->bound) &&
		 balloon->leave_at == ARCH_NO_DEADLINE)
		more |= begin_leaving(vm);
	balloon->works = more;
	return more;
}

uint64_t vm_balloon_deadline(const struct vm *vm)
{
	const struct balloon *balloon = vm->balloon;

	return balloon->fetch_at < balloon->leave_at ? balloon->fetch_at :
						       balloon->leave_at;
}

bool vm_balloon_touch(struct vm *vm, gpa_t at)
{
	uint32_t index, none = 0;

	if (!vm->balloon || !vm_memory_index(vm, at, &index))
		return false;
	/* One at a time: who comes second comes again. */
	if (__atomic_load_n(&vm->frames[index], __ATOMIC_ACQUIRE) & GUEST_HOLE)
		atomic_compare_exchange_strong(&vm->balloon->touched, &none,
					       index + 1);
	arch_kick(vm_home(vm));
	return true;
}

/* ---- ends and beginnings ------------------------------------------------- */

void vm_balloon_begin(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;

	memset(balloon->states, BALLOON_HELD, balloon->frame_count);
	atomic_store(&balloon->gone, 0);
	atomic_store(&balloon->target, balloon->frame_count);
	vm_balloon_settle(vm);
}

void vm_balloon_settle(struct vm *vm)
{
	struct balloon *balloon = vm->balloon;

	while (balloon->leaving_count) {
		uint32_t index = balloon->leaving[--balloon->leaving_count];

		hold(vm, index, vm->frames[index] & ~GUEST_HOLE);
	}
	if (balloon->has_frame) {
		hold(vm, balloon->wanted, balloon->frame);
		atomic_fetch_sub(&balloon->gone, 1);
	}
	balloon->has_frame = false;
	balloon->wanted = BALLOON_NONE;
	balloon->restores = false;
	balloon->fetch_at = balloon->leave_at = ARCH_NO_DEADLINE;
	balloon->cursor = 0;
	atomic_store(&balloon->unseen, 0);
	atomic_store(&balloon->touched, 0);
	atomic_store(&balloon->waits, false);
	atomic_store(&balloon->emptied, true);
	balloon_empty(vm);
	balloon->restores = false;
	atomic_store(&balloon->emptied, false);
}

bool vm_balloon_restore(struct vm *vm, bool *waits)
{
	struct balloon *balloon = vm->balloon;

	*waits = false;
	if (balloon->wanted == BALLOON_NONE)
		return !find_gone(balloon);
	look_at_clock(balloon);
	*waits = !fetch(vm);
	return false;
}
