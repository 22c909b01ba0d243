/* SPDX-License-Identifier: MIT */
/* A vCPU's life between exits. */
#include <mullion/arch.h>
#include <mullion/balloon.h>
#include <mullion/bits.h>
#include <mullion/cpuid.h>
#include <mullion/guest_clock.h>
#include <mullion/guest_walk.h>
#include <mullion/log.h>
#include <mullion/pc.h>
#include <mullion/trace.h>
#include <mullion/vm.h>
#include <string.h>

#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define OPCODE_HLT 0xf4

void vcpu_exception(struct vcpu *vcpu, uint8_t vector)
{
	vcpu->has_event = true;
	vcpu->event = (struct guest_event){ .kind = EVENT_EXCEPTION,
					    .vector = vector };
}

void vcpu_exception_code(struct vcpu *vcpu, uint8_t vector, uint32_t code)
{
	vcpu_exception(vcpu, vector);
	vcpu->event.has_error_code = true;
	vcpu->event.error_code = code;
}

void vcpu_page_fault(struct vcpu *vcpu, uint32_t code, uint64_t address)
{
	vcpu_exception_code(vcpu, 14, code);
	vcpu->event.cr2 = address;
}

void vcpu_kick(struct vcpu *vcpu)
{
	/* What was posted is there before this look; the CPU sets the turn
	 * before it looks for that. */
	if (atomic_load(&vcpu->turn) < SLOT_NONE)
		arch_kick(vcpu->cpu);
}

void vcpu_request(struct vcpu *vcpu, enum vcpu_request request)
{
	/* INIT undoes the SIPI before it, whether that was seen yet or not. */
	if (request == VCPU_INIT)
		atomic_fetch_and(&vcpu->requests, ~VCPU_STARTUP);
	atomic_fetch_or(&vcpu->requests, request);
	arch_kick(vcpu->cpu);
}

/* What the loader's guest_start says beside registers.  Xen, "x86/HVM direct
 * boot ABI": in protected mode CR0.PE alone is set, and all of CR4 clear. */
static void set_mode(struct guest_system *system,
		     const struct guest_start *start)
{
	bool is_long = start->mode == GUEST_LONG;
	struct guest_segment code = { .limit = ~0u,
				      .selector = start->cs,
				      .attributes = is_long ? 0xa9b : 0xc9b };
	struct guest_segment data = { .limit = ~0u,
				      .selector = start->ds,
				      .attributes = 0xc93 };

	system->cr0 = 0x11; /* ET, PE */
	if (is_long) {
		system->cr0 = 0x80050033; /* PG, AM, WP, NE, ET, MP, PE */
		system->cr3 = start->cr3;
		system->cr4 = 0x6a0;  /* OSXMMEXCPT, OSFXSR, PGE, PAE */
		system->efer = 0x500; /* LMA, LME */
	}
	system->gdt_base = start->gdt_base;
	system->gdt_limit = start->gdt_limit;
	system->idt_limit = 0;
	system->segments[SEGMENT_CS] = code;
	for (int i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		if (i != SEGMENT_CS)
			system->segments[i] = data;
}

/* The addresses that the guest gave of its memory are of its past. */
static void forget_paravirtual(struct vcpu *vcpu)
{
	memset(&vcpu->clock, 0, sizeof vcpu->clock);
	memset(&vcpu->eoi, 0, sizeof vcpu->eoi);
	memset(&vcpu->steal, 0, sizeof vcpu->steal);
	vcpu->unhalted = vcpu->yields = false;
}

/* A kernel's code, as the loader has prepared it. */
static void begin_as_loaded(struct vcpu *vcpu)
{
	const struct guest_start *start = &vcpu->vm->load.start;
	struct guest_system system;

	virt->read_system(vcpu, &system);
	set_mode(&system, start);
	virt->write_system(vcpu, &system);
	vcpu->rip = start->rip;
	vcpu->gpr[RSP] = start->rsp;
	vcpu->gpr[RAX] = start->rax;
	vcpu->gpr[RBX] = start->rbx;
	vcpu->gpr[RDI] = start->rdi;
	vcpu->gpr[RSI] = start->rsi;
	vcpu->gpr[RDX] = 0;
}

/* vCPU 0 starts where the loader says, the others wait for SIPI. */
static void begin(struct vcpu *vcpu)
{
	virt->vcpu_reset(vcpu);
	local_apic_reset(vcpu);
	if (vcpu->vm->pc && vcpu->index == 0)
		local_apic_wire_pic(&vcpu->apic);
	cpuid_forget(vcpu);
	forget_paravirtual(vcpu);
	vcpu->has_event = false;
	vcpu->wants_window = vcpu->held = vcpu->stepping = false;
	vcpu->misc_enable = 1; /* fast strings */
	vcpu->state = VCPU_WAITING;
	if (vcpu->index != 0)
		return;
	if (vcpu->vm->load.start.mode != GUEST_AT_RESET)
		begin_as_loaded(vcpu);
	vcpu->state = VCPU_RUNNABLE;
}

/* SDM 325384, "MP Initialization Protocol": INIT waits for SIPI. */
static void take_init(struct vcpu *vcpu)
{
	virt->vcpu_reset(vcpu);
	forget_paravirtual(vcpu);
	local_apic_init(vcpu);
	vcpu->has_event = false;
	vcpu->wants_window = false;
	atomic_fetch_and(&vcpu->requests, ~VCPU_NMI);
	vcpu->state = VCPU_WAITING;
}

static void take_startup(struct vcpu *vcpu)
{
	uint32_t vector = atomic_load(&vcpu->startup_vector) & 0xff;
	struct guest_system system;

	if (vcpu->state != VCPU_WAITING)
		return;
	virt->read_system(vcpu, &system);
	system.segments[SEGMENT_CS].selector = vector << 8;
	system.segments[SEGMENT_CS].base = vector << 12;
	virt->write_system(vcpu, &system);
	vcpu->rip = 0;
	vcpu->state = VCPU_RUNNABLE;
}

static void park(struct vcpu *vcpu)
{
	if (vcpu->state == VCPU_PARKED)
		return;
	vcpu->state = VCPU_PARKED;
	/* What was meant for the guest that ended is not for the next, and its
	 * timer must not interrupt others that share this CPU. */
	atomic_store(&vcpu->requests, 0);
	vcpu->apic.timer_deadline = ARCH_NO_DEADLINE;
	local_apic_take(vcpu);
	atomic_fetch_add(&vcpu->vm->parked, 1);
	arch_kick(vm_home(vcpu->vm));
}

void vcpu_stop(struct vcpu *vcpu)
{
	uint32_t none = 0;

	atomic_compare_exchange_strong(&vcpu->vm->stopped_by, &none,
				       vcpu->index + 1);
	vcpu->held = true;
	vm_command(vcpu->vm, MULL_COMMAND_PAUSE);
}

static void step(struct vcpu *vcpu)
{
	vcpu->stepping = true;
	vcpu->guest_steps = vcpu->rflags & RFLAGS_TF;
	vcpu->rflags |= RFLAGS_TF;
	if (vcpu->apic.given)
		vcpu->held_priority = arch_apic_hold();
}

static void pause(struct vcpu *vcpu)
{
	if (vcpu->stepping && !vcpu->guest_steps)
		vcpu->rflags &= ~RFLAGS_TF;
	if (vcpu->stepping && vcpu->apic.given)
		arch_apic_release(vcpu->held_priority);
	vcpu->held = vcpu->stepping = false;
	vcpu->paused_in = vcpu->state;
	vcpu->steal.since = 0; /* nobody steals what the operator takes */
	vcpu->state = VCPU_PAUSED;
	atomic_fetch_add(&vcpu->vm->paused, 1);
	arch_kick(vm_home(vcpu->vm));
}

static void resume(struct vcpu *vcpu)
{
	vcpu->state = vcpu->paused_in;
	guest_clock_write(vcpu, vcpu->clock.msr, true);
}

void vcpu_obey(struct vcpu *vcpu)
{
	/* What the guest asked for waits until it goes on. */
	uint32_t guests = VCPU_INIT | VCPU_STARTUP | VCPU_NMI | VCPU_UNHALT |
			  VCPU_PIC;
	uint32_t requests = atomic_load(&vcpu->requests);

	if (vcpu->state == VCPU_PAUSED &&
	    requests & (VCPU_RESUME | VCPU_STEP)) {
		resume(vcpu);
		if (requests & VCPU_STEP)
			step(vcpu);
	}
	if (vcpu->state == VCPU_PAUSED)
		requests &= ~guests;
	if ((requests & ~VCPU_PIC) == 0)
		return;
	/* Before the requests go: see all_stuck(). */
	atomic_store(&vcpu->stuck, false);
	/* Looked at and taken at once: an INIT that comes meanwhile is not
	 * taken together with a SIPI that was sent before it. */
	requests = atomic_fetch_and(&vcpu->requests,
				    vcpu->state == VCPU_PAUSED ?
					    guests | VCPU_RESUME | VCPU_STEP :
					    VCPU_NMI | VCPU_PIC);
	if (requests & VCPU_FORGET) {
		virt->flush_tlb(vcpu);
		vm_balloon_seen(vcpu->vm);
	}
	/* A guest may end before all of its vCPUs have begun. */
	if (requests & VCPU_BEGIN)
		begin(vcpu);
	if (requests & VCPU_PARK)
		park(vcpu);
	if (requests & VCPU_DEBUG)
		virt->watch_breakpoints(vcpu);
	if (requests & VCPU_LOOK)
		vcpu_exchange(vcpu);
	if (vcpu->state <= VCPU_PAUSED)
		return;
	if (requests & VCPU_INIT)
		take_init(vcpu);
	if (requests & VCPU_STARTUP)
		take_startup(vcpu);
	if (requests & VCPU_UNHALT && vcpu->state != VCPU_WAITING)
		vcpu->unhalted = true;
	if (vcpu->state == VCPU_WAITING) /* takes no NMI, now or later */
		atomic_fetch_and(&vcpu->requests, ~VCPU_NMI);
	if (requests & VCPU_PAUSE)
		pause(vcpu);
	else if (vcpu->state != VCPU_RUNNABLE)
		vcpu_halted(vcpu);
}

/*
 * A request that comes while we look is by a vCPU that is not stuck; one that
 * a vCPU made before it was stuck stands in @requests by then, or has been
 * taken, and then @stuck was cleared before: so @requests is looked at first.
 */
static bool all_stuck(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		if (atomic_load(&vm->vcpus[i]->requests) & ~VCPU_PIC ||
		    !atomic_load(&vm->vcpus[i]->stuck))
			return false;
	return true;
}

void vcpu_halted(struct vcpu *vcpu)
{
	if (vcpu->state == VCPU_HALTED &&
	    (vcpu->rflags & RFLAGS_IF || vcpu_wakes(vcpu)))
		return;
	atomic_store(&vcpu->stuck, true);
	if (all_stuck(vcpu->vm))
		vm_end(vcpu->vm, MULL_END_ALL_HALTED, 0,
		       "all vCPUs halted with interrupts off, vCPU %u last, "
		       "at RIP 0x%lx",
		       vcpu->index, vcpu->rip);
}

/* Whether a legacy PC's 8259A have something, and the way is open to here. */
static bool pic_reaches(struct vcpu *vcpu)
{
	return atomic_load(&vcpu->requests) & VCPU_PIC &&
	       (local_apic_passes_pic(&vcpu->apic) ||
		io_apic_passes_pic(vcpu->vm, vcpu));
}

bool vcpu_wakes(struct vcpu *vcpu)
{
	if (vcpu->has_event || vcpu->unhalted || virt->event_pending(vcpu) ||
	    atomic_load(&vcpu->requests) & VCPU_NMI)
		return true;
	guest_eoi_settle(vcpu);
	return vcpu->rflags & RFLAGS_IF &&
	       (local_apic_pending(&vcpu->apic) >= 0 || pic_reaches(vcpu));
}

static struct guest_paging paging_of(struct vcpu *vcpu, uint64_t *linear)
{
	struct guest_system system;

	virt->read_system(vcpu, &system);
	*linear = vcpu->rip;
	if (guest_code_mode(&system) != CODE_64)
		*linear = (uint32_t)(vcpu->rip +
				     system.segments[SEGMENT_CS].base);
	return guest_paging_of(&system, vcpu->rflags, guest_physical_bits());
}

/* RFLAGS.IF is set, and yet no interrupt can be taken: STI or MOV SS. */
static bool in_shadow(struct vcpu *vcpu)
{
	return vcpu->rflags & RFLAGS_IF && !vcpu->apic.given &&
	       !virt->event_pending(vcpu) && !virt->can_interrupt(vcpu);
}

bool vcpu_code(struct vcpu *vcpu, uint8_t *code, size_t count)
{
	uint64_t linear;
	struct guest_paging paging = paging_of(vcpu, &linear);
	struct guest_event fault;

	return guest_read_linear(&vcpu->vm->memory, &paging, gva(linear), code,
				 count, &fault) == ERR_NONE;
}

/*
 * The guest was left between STI and HLT.  Where an entry does not restore
 * the shadow of STI (QEMU 7.2), a wake-up would now be delivered before the
 * HLT, which would then sleep over it.  So the HLT is done for the guest, at
 * once: the next exit may not show the shadow any more.
 */
void vcpu_leave_shadow(struct vcpu *vcpu)
{
	struct guest_system system;
	uint8_t opcode;

	if (!in_shadow(vcpu))
		return;
	virt->read_system(vcpu, &system);
	if (system.cpl != 0) /* there HLT is a fault */
		return;
	if (!vcpu_code(vcpu, &opcode, 1) || opcode != OPCODE_HLT)
		return;
	vcpu->rip++;
	vcpu->state = VCPU_HALTED;
}

static void want_window(struct vcpu *vcpu, bool want)
{
	if (vcpu->wants_window != want)
		virt->want_window(vcpu, want);
	vcpu->wants_window = want;
}

static void prepare_interrupt(struct vcpu *vcpu)
{
	struct guest_event event = { .kind = EVENT_INTERRUPT };
	/* First: a step that lost its local APIC must not enter with it. */
	bool delivers = virt->delivers && virt->delivers(vcpu);
	int vector = -1;

	if (vcpu->stepping)
		return;
	if (vcpu->apic.given) {
		local_apic_pass_posted(&vcpu->apic);
		return;
	}
	guest_eoi_settle(vcpu);
	if (delivers)
		local_apic_take_posted(&vcpu->apic);
	else
		vector = local_apic_pending(&vcpu->apic);
	/* Another waits, for which the end of this one must exit. */
	if (vcpu->eoi.offered && local_apic_requested(&vcpu->apic))
		guest_eoi_take_back(vcpu);
	if (vector < 0) {
		want_window(vcpu, false);
		return;
	}
	if (!virt->can_interrupt(vcpu)) {
		want_window(vcpu, true);
		return;
	}
	want_window(vcpu, false);
	event.vector = vector;
	guest_eoi_accept(vcpu, vector);
	vcpu->interrupts++;
	TRACE(INTERRUPT, vcpu, "interrupt 0x%x", vector);
	virt->inject(vcpu, &event);
}

/*
 * The 8259A's goes before what the local APIC has.  One that cannot be taken
 * yet asks for a window, as does another one behind it.
 */
static void prepare_pic(struct vcpu *vcpu)
{
	struct guest_event event = { .kind = EVENT_INTERRUPT };
	int vector = PIC_NONE;

	if (vcpu->stepping)
		return;
	if (virt->can_interrupt(vcpu))
		vector = pc_take_interrupt(vcpu);
	if (vector != PIC_NONE) {
		event.vector = (uint8_t)vector;
		vcpu->interrupts++;
		TRACE(INTERRUPT, vcpu, "interrupt 0x%x of the 8259A", vector);
		virt->inject(vcpu, &event);
	}
	prepare_interrupt(vcpu);
	if (pic_reaches(vcpu))
		want_window(vcpu, true);
}

/* What is rare: an NMI, or a legacy PC's interrupt. */
static void prepare_requested(struct vcpu *vcpu, bool has_event)
{
	static const struct guest_event nmi = { .kind = EVENT_NMI,
						.vector = 2 };

	if (!has_event && !vcpu->stepping &&
	    atomic_load(&vcpu->requests) & VCPU_NMI &&
	    !virt->event_pending(vcpu)) {
		atomic_fetch_and(&vcpu->requests, ~VCPU_NMI);
		virt->inject(vcpu, &nmi);
	}
	if (pic_reaches(vcpu))
		prepare_pic(vcpu);
	else
		prepare_interrupt(vcpu);
}

void vcpu_prepare(struct vcpu *vcpu)
{
	bool has_event = vcpu->has_event;

	if (has_event) {
		vcpu->has_event = false;
		virt->inject(vcpu, &vcpu->event);
	}
	if (atomic_load(&vcpu->requests) & (VCPU_NMI | VCPU_PIC))
		prepare_requested(vcpu, has_event);
	else
		prepare_interrupt(vcpu);
}
