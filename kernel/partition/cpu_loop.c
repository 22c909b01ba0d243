/* SPDX-License-Identifier: MIT */
/*
 * One CPU, one loop, no shared locks.  A CPU looks after the vCPUs that are
 * pinned to it, the VMs whose vCPU 0 is among them, and, on the service CPU,
 * the management channel, the disks and the uplink.  Several vCPUs take turns by
 * equal slots.
 */
#include <mullion/arch.h>
#include <mullion/balloon.h>
#include <mullion/block.h>
#include <mullion/cpu_loop.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/uplink.h>
#include <mullion/vm.h>

#define SLOT_US 2000
/* The same while its devices have work, whose next piece comes after it. */
#define SLOT_DEVICES_US 100

static struct cpu_queue {
	struct vcpu *vcpus; /* in a ring by their next members; NULL: none */
	struct vcpu *current;
	struct stopwatch guests, idle;
	uint64_t kicks;		       /* that made a guest exit */
	uint64_t worst_step;	       /* ticks */
	_Atomic(struct vcpu *) moving; /* are to come or to go */
} queues[MULL_CPU_MAX];

static uint32_t service_cpu;

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

	while (before->next != vcpu)
		before = before->next;
	before->next = vcpu->next;
	queue->vcpus = before == vcpu ? NULL : before;
	if (queue->current == vcpu) {
		arch_leave_vm();
		panic_running(NULL);
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

/* Of its timer, and of what its home CPU does for its VM. */
static uint64_t deadline_of(const struct vcpu *vcpu, bool at_home)
{
	uint64_t timer = vcpu->apic.timer_deadline;

	return at_home ? earlier(timer, vm_deadline(vcpu->vm)) : timer;
}

/* Of the management channel, the disks and the uplink. */
static uint64_t service_deadline(void)
{
	uint64_t limit = earlier(block_deadline(), uplink_deadline());

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
	uint64_t limit = arch_cpu_index() == service_cpu ? service_deadline() :
							   ARCH_NO_DEADLINE;

	if (!vcpu)
		return limit;
	do {
		if (vcpu != running && vcpu->state != VCPU_PAUSED)
			limit = earlier(limit,
					deadline_of(vcpu, vcpu->index == 0));
		vcpu = vcpu->next;
	} while (vcpu != queue->vcpus);
	return limit;
}

/* Requests, timers and wake-ups of every vCPU here; which one runs next. */
static struct vcpu *choose(struct cpu_queue *queue, uint32_t *runnable)
{
	struct vcpu *first, *vcpu, *chosen = NULL;

	*runnable = 0;
	if (!queue->vcpus)
		return NULL;
	first = queue->current ? queue->current->next : queue->vcpus;
	vcpu = first;
	do {
		vcpu_obey(vcpu);
		if (vcpu->state > VCPU_PAUSED)
			local_apic_timer(vcpu, arch_time());
		if (vcpu->state == VCPU_HALTED && vcpu_wakes(vcpu)) {
			vcpu->state = VCPU_RUNNABLE;
			vcpu->unhalted = false;
			guest_steal_wait(vcpu, arch_time());
			atomic_store(&vcpu->stuck, false);
		}
		if (vcpu->state == VCPU_RUNNABLE && !vcpu->held) {
			(*runnable)++;
			if (!chosen)
				chosen = vcpu;
		}
		vcpu = vcpu->next;
	} while (vcpu != first);
	return chosen;
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
		uint64_t slot_us)
{
	uint64_t now = arch_time();
	uint64_t slot_end = now + arch_time_khz() * slot_us / 1000;
	uint64_t others = next_deadline(queue, vcpu);
	uint64_t limit = shared ? earlier(slot_end, others) : others;
	bool at_home = vm_home(vcpu->vm) == vcpu->cpu;
	struct vm_exit exit;

	if (queue->current && queue->current->vm != vcpu->vm)
		arch_leave_vm();
	queue->current = vcpu;
	guest_steal_return(vcpu, now);
	panic_running(vcpu);
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
		if (vcpu->index == 0)
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
		if (vcpu->index == 0 &&
		    atomic_load(&vcpu->vm->state) == MULL_VM_RUNNING &&
		    (atomic_load(&vcpu->vm->pci.work) ||
		     (vcpu->vm->balloon && vcpu->vm->balloon->works)))
			return true;
		vcpu = vcpu->next;
	} while (vcpu != queue->vcpus);
	return false;
}

_Noreturn void cpu_loop(void)
{
	struct cpu_queue *queue = &queues[arch_cpu_index()];
	bool service = arch_cpu_index() == service_cpu;

	for (;;) {
		struct vcpu *vcpu;
		uint32_t runnable;
		uint64_t began;
		bool more;

		arch_kick_forget();
		arch_take_interrupts();
		began = arch_time();
		move_all(queue);
		more = work_on_vms(queue);
		if (service) {
			more |= manage_poll();
			more |= block_poll();
			more |= uplink_poll();
		}
		manage_end();
		began = arch_time() - began;
		if (began > queue->worst_step)
			queue->worst_step = began;
		vcpu = choose(queue, &runnable);
		if (queue->current && queue->current != vcpu)
			guest_steal_leave(queue->current, arch_time());
		if (vcpu) {
			run(queue, vcpu, runnable > 1 || more,
			    devices_have_work(queue) ? SLOT_DEVICES_US :
						       SLOT_US);
		} else if (!more) {
			panic_running(NULL);
			arch_set_deadline(next_deadline(queue, NULL));
			stopwatch_start(&queue->idle, arch_time());
			arch_idle();
			stopwatch_stop(&queue->idle, arch_time());
		}
	}
}
