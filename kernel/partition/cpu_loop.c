/* SPDX-License-Identifier: MIT */
/*
 * One CPU, one loop, no shared locks.  A CPU looks after the vCPUs that are
 * pinned to it, the VMs whose vCPU 0 is among them, and, on the service CPU,
 * the management channel, the disks and the uplink.  Several vCPUs take turns by
 * equal slots, or as the machine's schedule says; what is not a VM's turn is then
 * neither run nor worked on, nor does its timer interrupt the one whose turn it
 * is.
 */
#include <mullion/arch.h>
#include <mullion/balloon.h>
#include <mullion/bits.h>
#include <mullion/block.h>
#include <mullion/cache.h>
#include <mullion/cpu_loop.h>
#include <mullion/description.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/schedule.h>
#include <mullion/uplink.h>
#include <mullion/vm.h>

#define SLOT_US 2000
/* The same while its devices have work, whose next piece comes after it. */
#define SLOT_DEVICES_US 100

static struct cpu_queue {
	uint32_t cpu;
	bool service;	    /* this is the service CPU */
	struct vcpu *vcpus; /* in a ring by their next members; NULL: none */
	struct vcpu *current;
	struct stopwatch guests, idle;
	uint64_t kicks;		       /* that made a guest exit */
	uint64_t worst_step;	       /* ticks */
	_Atomic(struct vcpu *) moving; /* are to come or to go */
	/* Where vCPUs here have slots of a schedule: */
	uint32_t scheduled; /* how many have */
	struct slot_clock slots;
	bool joined; /* one has, whose turn is not known yet */
	bool busy;   /* one whose slot it is wanted to run */
	/* When the service CPU is to kick this one; 0: never. */
	_Atomic uint64_t watched;
} queues[MULL_CPU_MAX];

static uint32_t service_cpu;
static _Atomic uint32_t watched_count; /* queues with a time */

void cpu_loop_set_service(uint32_t cpu)
{
	service_cpu = cpu;
}

uint32_t cpu_loop_service(void)
{
	return service_cpu;
}

struct vcpu *cpu_loop_current(void)
{
	return queues[arch_cpu_index()].current;
}

void cpu_loop_move(struct vcpu *vcpu)
{
	struct cpu_queue *queue = &queues[vcpu->cpu];

	vcpu->moves_before = atomic_load(&queue->moving);
	while (!atomic_compare_exchange_weak(&queue->moving,
					     &vcpu->moves_before, vcpu))
		;
	arch_kick(vcpu->cpu);
}

static void join(struct cpu_queue *queue, struct vcpu *vcpu)
{
	vcpu->scheduled = mull_is_scheduled(&vcpu->vm->description);
	queue->scheduled += vcpu->scheduled;
	queue->joined = true;
	vcpu->turn = SLOT_OWN;
	if (!queue->vcpus) {
		queue->vcpus = vcpu;
		vcpu->next = vcpu;
		return;
	}
	vcpu->next = queue->vcpus->next;
	queue->vcpus->next = vcpu;
}

/* The hypervisor's is what no other has of the time since the start. */
void cpu_loop_stats(uint32_t cpu, uint64_t time_ns,
		    struct mull_cpu_stats *stats)
{
	const struct cpu_queue *queue = &queues[cpu];

	stats->cpu = cpu;
	stats->guest_ns = stopwatch_ns(&queue->guests);
	stats->idle_ns = stopwatch_ns(&queue->idle);
	stats->hypervisor_ns = time_ns - stats->guest_ns - stats->idle_ns;
	stats->kicks = queue->kicks;
	stats->worst_step_ns = arch_time_ns(queue->worst_step);
}

/* What this CPU still holds of it goes, too. */
static void leave(struct cpu_queue *queue, struct vcpu *vcpu)
{
	struct vcpu *before = vcpu;

	queue->scheduled -= vcpu->scheduled;
	if (!queue->scheduled)
		queue->slots.place.end = 0;
	while (before->next != vcpu)
		before = before->next;
	before->next = vcpu->next;
	queue->vcpus = before == vcpu ? NULL : before;
	if (queue->current == vcpu) {
		arch_leave_vm();
		panic_running(queue->cpu, NULL);
		queue->current = NULL;
	}
	virt->vcpu_destroy(vcpu);
	atomic_fetch_add(&vcpu->vm->left, 1); /* it may be gone from here on */
	manage_notify();
}

static void move_all(struct cpu_queue *queue)
{
	struct vcpu *vcpu = atomic_exchange(&queue->moving, NULL);

	while (vcpu) {
		struct vcpu *next = vcpu->moves_before;

		if (vcpu->next)
			leave(queue, vcpu);
		else
			join(queue, vcpu);
		vcpu = next;
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Whose turn it is, where there is a schedule. */
static void take_turns(struct cpu_queue *queue)
{
	struct vcpu *vcpu = queue->vcpus;

	queue->joined = false;
	do {
		if (vcpu->scheduled)
			atomic_store(
				&vcpu->turn,
				schedule_turn(&queue->slots.place,
					      vcpu->vm->description.slots));
		vcpu = vcpu->next;
	} while (vcpu != queue->vcpus);
}

static void see_slot(struct cpu_queue *queue, uint64_t now)
{
	if (!queue->scheduled)
		return;
	if (now >= queue->slots.place.end)
		slot_clock_move(&queue->slots, now);
	else if (!queue->joined)
		return;
	take_turns(queue);
}

/*
 * Whether this CPU works on @vcpu's VM now.  Where there is a schedule, that is
 * when the VM's slot is or nobody uses his; what has no part in the schedule in
 * force can only be stopped or changed, and is that between others' guests.
 */
static bool works_on(const struct cpu_queue *queue, const struct vcpu *vcpu)
{
	return vcpu->index == 0 && (vcpu->turn == SLOT_OWN || !queue->busy ||
				    vcpu->turn == SLOT_ABSENT);
}

/* Of its timer, and of what its home CPU does for its VM. */
static uint64_t deadline_of(const struct vcpu *vcpu, bool at_home)
{
	uint64_t timer = vcpu->apic.timer_deadline;

	return at_home ? earlier(timer, vm_deadline(vcpu->vm)) : timer;
}

/* To be told of it, the service CPU comes around: for an earlier time only,
 * since it looks again at every one that it knows. */
void cpu_loop_watch(uint64_t time)
{
	uint64_t next = time == ARCH_NO_DEADLINE ? 0 : time;
	uint64_t before = atomic_exchange(&queues[arch_cpu_index()].watched,
					  next);

	if (!before && next)
		atomic_fetch_add(&watched_count, 1);
	if (before && !next)
		atomic_fetch_sub(&watched_count, 1);
	if (next && (!before || next < before))
		arch_kick(service_cpu);
}

static void kick_watched(uint64_t now)
{
	if (!atomic_load(&watched_count))
		return;
	for (uint32_t i = 0; i < arch_cpu_count(); i++) {
		uint64_t time = atomic_load(&queues[i].watched);

		if (!time || time > now ||
		    !atomic_compare_exchange_strong(&queues[i].watched, &time,
						    0))
			continue;
		atomic_fetch_sub(&watched_count, 1);
		arch_kick(i);
	}
}

static uint64_t watched_deadline(void)
{
	uint64_t limit = ARCH_NO_DEADLINE;

	if (!atomic_load(&watched_count))
		return limit;
	for (uint32_t i = 0; i < arch_cpu_count(); i++) {
		uint64_t time = atomic_load(&queues[i].watched);

		if (time)
			limit = earlier(limit, time);
	}
	return limit;
}

/* Of the management channel, the disks, the uplink, and CPUs without a timer. */
static uint64_t service_deadline(void)
{
	uint64_t limit = earlier(block_deadline(), uplink_deadline());

	limit = earlier(limit, watched_deadline());
	if (manage_needs_polling())
		limit = earlier(limit, arch_time() + arch_time_khz());
	return limit;
}

/*
 * When something is due on this CPU by time alone, @running's own left out.
 * Whoever changes that afterwards kicks this CPU, which then comes around and
 * asks again; only what @running does moves its own without a kick.
 */
static uint64_t next_deadline(const struct cpu_queue *queue,
			      const struct vcpu *running)
{
	const struct vcpu *vcpu = queue->vcpus;
	uint64_t limit = queue->service ? service_deadline() : ARCH_NO_DEADLINE;
	enum slot_turn last = running ? running->turn : SLOT_SLACK;

	if (!vcpu)
		return limit;
	if (queue->scheduled)
		limit = earlier(limit, queue->slots.place.end);
	do {
		if (vcpu != running && vcpu->state != VCPU_PAUSED &&
		    vcpu->turn <= last)
			limit = earlier(limit,
					deadline_of(vcpu, vcpu->index == 0));
		vcpu = vcpu->next;
	} while (vcpu != queue->vcpus);
	return limit;
}

/* Those in question, of whom one runs next. */
struct choice {
	struct vcpu *first; /* in turn */
	uint32_t count;
	enum slot_turn turn;
};

static void offer(struct choice *choice, struct vcpu *vcpu)
{
	if (vcpu->turn > choice->turn || vcpu->turn >= SLOT_NONE)
		return;
	if (vcpu->turn < choice->turn)
		*choice = (struct choice){ .turn = vcpu->turn };
	if (!choice->count++)
		choice->first = vcpu;
}

/* Requests, timers and wake-ups of every vCPU here; which one runs next. */
static struct choice choose(struct cpu_queue *queue, uint64_t now)
{
	struct choice choice = { .turn = SLOT_NONE };
	struct vcpu *first, *vcpu;

	if (!queue->vcpus)
		return choice;
	first = queue->current ? queue->current->next : queue->vcpus;
	vcpu = first;
	do {
		if (atomic_load(&vcpu->requests))
			vcpu_obey(vcpu);
		if (vcpu->apic.timer_deadline <= now &&
		    vcpu->state > VCPU_PAUSED)
			local_apic_timer(vcpu, now);
		if (vcpu->state == VCPU_HALTED && vcpu_wakes(vcpu)) {
			vcpu->state = VCPU_RUNNABLE;
			vcpu->unhalted = false;
			guest_steal_wait(vcpu, now);
			atomic_store(&vcpu->stuck, false);
		}
		if (vcpu->state == VCPU_RUNNABLE && !vcpu->held)
			offer(&choice, vcpu);
		vcpu = vcpu->next;
	} while (vcpu != first);
	queue->busy = choice.turn == SLOT_OWN;
	return choice;
}

/* An NMI that had to let something else go first waits for the next exit,
 * which must be soon. */
static uint64_t entry_deadline(struct vcpu *vcpu, bool at_home, uint64_t limit)
{
	if (atomic_load(&vcpu->requests) & VCPU_NMI && !vcpu->stepping)
		return arch_time();
	return earlier(limit, deadline_of(vcpu, at_home));
}

/*
 * Enters @vcpu's guest again and again, until this CPU must look around.  That
 * is after a slot, even if nobody waits for it and so nothing ends the slot: an
 * interrupt that came during an exit may be seen by no entry (Bochs ends none
 * for it while the guest's RFLAGS.IF is 0).
 */
static void run(struct cpu_queue *queue, struct vcpu *vcpu, bool shared,
		uint64_t slot_us, uint64_t now)
{
	uint64_t slot_end = now + arch_time_khz() * slot_us / 1000;
	uint64_t others = next_deadline(queue, vcpu);
	uint64_t limit = shared ? earlier(slot_end, others) : others;
	bool at_home = vm_home(vcpu->vm) == vcpu->cpu;
	bool switched = queue->current && queue->current->vm != vcpu->vm;
	struct vm_exit exit;

	if (switched)
		arch_leave_vm();
	if (queue->scheduled) {
		slot_end = earlier(slot_end, queue->slots.place.end);
		slot_clock_enter(&queue->slots, arch_time(), switched,
				 vcpu->turn);
	}
	queue->current = vcpu;
	guest_steal_return(vcpu, now);
	panic_running(queue->cpu, vcpu);
	stopwatch_start(&vcpu->work, now);
	do {
		local_apic_timer(vcpu, now);
		vcpu_prepare(vcpu);
		arch_set_deadline(entry_deadline(vcpu, at_home, limit));
		now = arch_time();
		stopwatch_stop(&vcpu->work, now);
		stopwatch_start(&vcpu->guest, now);
		stopwatch_start(&queue->guests, now);
		virt->vcpu_run(vcpu, &exit);
		now = arch_time();
		stopwatch_stop(&queue->guests, now);
		stopwatch_stop(&vcpu->guest, now);
		stopwatch_start(&vcpu->work, now);
		vcpu->exits[exit.kind]++;
		exit_handle(vcpu, &exit);
		now = arch_time();
	} while (exit.kind > EXIT_NMI && vcpu->state == VCPU_RUNNABLE &&
		 !vcpu->held && !vcpu->yields && now < slot_end);
	vcpu->yields = false;
	queue->slots.left = now;
	stopwatch_stop(&vcpu->work, now);
	queue->kicks += exit.kind == EXIT_NMI;
}

static bool work_on_vms(const struct cpu_queue *queue)
{
	const struct vcpu *vcpu = queue->vcpus;
	bool more = false;

	if (!vcpu)
		return false;
	do {
		if (works_on(queue, vcpu))
			more |= vm_work(vcpu->vm);
		vcpu = vcpu->next;
	} while (vcpu != queue->vcpus);
	return more;
}

/* Of a VM whose home this is, and that runs. */
static bool devices_have_work(const struct cpu_queue *queue)
{
	const struct vcpu *vcpu = queue->vcpus;

	do {
		if (works_on(queue, vcpu) &&
		    atomic_load(&vcpu->vm->state) == MULL_VM_RUNNING &&
		    (atomic_load(&vcpu->vm->pci.work) ||
		     (vcpu->vm->balloon && vcpu->vm->balloon->works)))
			return true;
		vcpu = vcpu->next;
	} while (vcpu != queue->vcpus);
	return false;
}

bool cpu_loop_has_slots(uint32_t cpu)
{
	return queues[cpu].scheduled;
}

void cpu_loop_slot_stats(uint32_t cpu, struct mull_slot_stats *stats)
{
	stats->cpu = cpu;
	slot_clock_stats(&queues[cpu].slots, stats);
}

_Noreturn void cpu_loop(void)
{
	struct cpu_queue *queue = &queues[arch_cpu_index()];

	WORK_OUT_ONCE(queue);
	queue->cpu = arch_cpu_index();
	queue->service = queue->cpu == service_cpu;
	for (;;) {
		struct choice choice;
		uint64_t began, now;
		bool more;

		arch_kick_forget();
		arch_take_interrupts();
		began = arch_time();
		if (atomic_load(&queue->moving))
			move_all(queue);
		see_slot(queue, began);
		more = work_on_vms(queue);
		if (queue->service) {
			more |= manage_poll();
			more |= block_poll();
			more |= uplink_poll();
			kick_watched(arch_time());
		}
		manage_end();
		now = arch_time();
		if (now - began > queue->worst_step)
			queue->worst_step = now - began;
		see_slot(queue, now);
		choice = choose(queue, now);
		if (queue->current && queue->current != choice.first)
			guest_steal_leave(queue->current, now);
		cache_enter(choice.first ? choice.first->vm : NULL);
		if (choice.first) {
			run(queue, choice.first, choice.count > 1 || more,
			    devices_have_work(queue) ? SLOT_DEVICES_US :
						       SLOT_US,
			    now);
			continue;
		}
		slot_clock_idle(&queue->slots);
		if (!more) {
			panic_running(queue->cpu, NULL);
			arch_set_deadline(next_deadline(queue, NULL));
			stopwatch_start(&queue->idle, arch_time());
			arch_idle();
			stopwatch_stop(&queue->idle, arch_time());
		}
	}
}
