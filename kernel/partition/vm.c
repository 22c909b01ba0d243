/* SPDX-License-Identifier: MIT */
/*
 * A VM's life: made, started, ended, started again, destroyed.  All of its work
 * is done in small steps by its home CPU, that of vCPU 0.
 */
#include "vm_devices.h"
#include "vm_memory.h"
#include <mullion/arch.h>
#include <mullion/attach.h>
#include <mullion/balloon.h>
#include <mullion/bits.h>
#include <mullion/cache.h>
#include <mullion/cpu_loop.h>
#include <mullion/images.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/page.h>
#include <mullion/pc.h>
#include <mullion/shared_port.h>
#include <mullion/vm.h>
#include <stdarg.h>

struct vm *vms[MULL_VM_MAX];

static _Atomic uint32_t vcpus_on[MULL_CPU_MAX];

#define STOP_WORDS "stopped by command"
#define QUICK_SECONDS 30  /* an end within that time is a quick one */
#define QUICK_ENDS_FREE 3 /* so many in a row cost no pause */
#define PAUSE_DOUBLINGS 5 /* from a second */
#define PAUSE_SECONDS_MAX 30
#define PIECES_A_STEP 16 /* of long work, with a look around after each */
#define WAIT_MS 200	 /* until memory for a restart is looked for again */

uint32_t vm_home(const struct vm *vm)
{
	return vm->description.cpus[0];
}

uint32_t vm_vcpus_on(uint32_t cpu)
{
	return atomic_load(&vcpus_on[cpu]);
}

static enum error create_vcpu(struct vm *vm, uint32_t index)
{
	struct vcpu *vcpu = page_alloc(pages_for(sizeof *vcpu));

	if (!vcpu)
		return ERR_NO_MEMORY;
	vm->vcpus[index] = vcpu;
	atomic_fetch_add(&vcpus_on[vm->description.cpus[index]], 1);
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->cpu = vm->description.cpus[index];
	vcpu->state = VCPU_PARKED;
	vcpu->apic.timer_deadline = ARCH_NO_DEADLINE;
	return virt->vcpu_create(vcpu);
}

void vm_destroy(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count && vm->vcpus[i]; i++) {
		if (vm->vcpus[i]->vendor)
			virt->vcpu_destroy(vm->vcpus[i]);
		atomic_fetch_sub(&vcpus_on[vm->vcpus[i]->cpu], 1);
		page_free(vm->vcpus[i], pages_for(sizeof *vm->vcpus[i]));
	}
	cache_give(vm);
	vm_devices_free(vm);
	if (vm->serial.output.bytes)
		page_free(vm->serial.output.bytes,
			  pages_for(vm->description.console_size));
	if (vm->frames)
		page_free(vm->frames,
			  pages_for(vm->frame_count * sizeof *vm->frames));
	vms[vm->index] = NULL;
	page_free(vm, pages_for(sizeof *vm));
}

static enum error fill(struct vm *vm)
{
	vm->vcpu_count = vm->description.vcpu_count;
	vm->gives_apics = local_apic_is_for(vm);
	vm->frame_count = vm->description.memory_size / FRAME_SIZE;
	vm->serial.output.size = vm->description.console_size;
	vm->serial.output.bytes = page_alloc(
		pages_for(vm->description.console_size));
	vm->frames = page_alloc(
		pages_for(vm->frame_count * sizeof *vm->frames));
	if (!vm->serial.output.bytes || !vm->frames)
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		if (create_vcpu(vm, i) != ERR_NONE)
			return ERR_NO_MEMORY;
	vm_memory_lay_out(vm);
	if (vm_devices_make(vm) != ERR_NONE)
		return ERR_NO_MEMORY;
	vm_devices_bind(vm);
	return cache_take(vm) ? ERR_NONE : ERR_NO_MEMORY;
}

static void refuse(struct vm *vm, const char *words)
{
	atomic_store(&vm->ending, MULL_END_BAD_IMAGE);
	format_text(vm->end_words, sizeof vm->end_words, "%s", words);
	atomic_store(&vm->state, MULL_VM_REFUSED);
}

struct vm *vm_create(const struct mull_vm *description, uint32_t index,
		     const char *refusal)
{
	struct vm *vm = page_alloc(pages_for(sizeof *vm));

	if (!vm)
		return NULL;
	vm->index = index;
	vm->description = *description;
	vm->state = MULL_VM_STOPPED;
	vm->deadline = ARCH_NO_DEADLINE;
	if (refusal) {
		refuse(vm, refusal);
	} else if (fill(vm) != ERR_NONE) {
		vm_destroy(vm);
		return NULL;
	}
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		cpu_loop_move(vm->vcpus[i]);
	vms[index] = vm;
	return vm;
}

static void set_state(struct vm *vm, enum mull_vm_state state)
{
	atomic_store(&vm->state, state);
	manage_event(vm);
}

static void begin_phase(struct vm *vm, enum vm_phase phase)
{
	vm->phase = phase;
	atomic_store(&vm->deadline, ARCH_NO_DEADLINE);
	vm->phase_frame = 0;
	vm->phase_offset = 0;
}

/* Nothing of it is under way any more. */
static void begin_erase(struct vm *vm)
{
	if (vm->balloon)
		vm_balloon_settle(vm);
	begin_phase(vm, PHASE_ERASE);
}

/* Every exit of its vCPUs by reason, in one line of the log. */
static void log_exits(const struct vm *vm)
{
	char line[LOG_LINE_MAX] = "";
	size_t length = 0;

	for (int kind = 0; kind < EXIT_KIND_COUNT; kind++) {
		uint64_t count = 0;

		for (uint32_t i = 0; i < vm->vcpu_count; i++)
			count += vm->vcpus[i]->exits[kind];
		if (count && length < sizeof line)
			length += format_text(line + length,
					      sizeof line - length, " %s %lu",
					      exit_kind_name(kind), count);
	}
	log_write("%s: exits:%s", vm->description.name, line);
}

/* Gives the memory back; @state and the reason stay to be asked for. */
static void come_to_rest(struct vm *vm, enum mull_vm_state state)
{
	vm_memory_give(vm);
	shared_ports_release(vm);
	begin_phase(vm, PHASE_IDLE);
	log_exits(vm);
	set_state(vm, state);
}

void vm_start(struct vm *vm)
{
	uint64_t size = vm->description.memory_size;
	const char *words;
	enum error error = vm_memory_take(vm, &words);

	if (!error) {
		error = vm_devices_start(vm, &words);
		if (error)
			vm_memory_give(vm);
	}
	if (error) {
		refuse(vm, words);
		manage_event(vm);
		return;
	}
	atomic_store(&vm->ending, MULL_END_NONE);
	vm->quick_ends = 0;
	log_write("%s: %lu MiB, %u vCPUs", vm->description.name, size / MIB(1),
		  vm->vcpu_count);
	begin_phase(vm, PHASE_CLEAR);
	set_state(vm, MULL_VM_STARTING);
}

static void begin_load(struct vm *vm)
{
	struct load_request request = {
		.memory = &vm->memory,
		.vm = &vm->description,
		.kernel = image_find(vm->description.kernel),
		.initrd = image_find(vm->description.initrd),
		.memory_low = vm->memory_low,
		.memory_high = vm->memory_high,
		.tsc_khz = arch_time_khz(),
	};

	for (uint32_t i = 0; i < MULL_DISK_MAX; i++)
		if (vm->disks[i] &&
		    vm->description.disks[i].kind == MULL_DISK_MEMORY)
			request.disks[i] = image_find(
				vm->description.disks[i].image);
	for (uint32_t i = 0; i < vm->description.module_count; i++)
		request.modules[i] = image_find(
			vm->description.modules[i].image);
	load_begin(&vm->load, &request);
	begin_phase(vm, PHASE_LOAD);
}

/* What its disks have kept, before its images are loaded.  Returns whether there
 * is more to do at once. */
static bool open_piece(struct vm *vm)
{
	const char *words;
	uint32_t index;
	bool done;

	if (vm_devices_fly(vm))
		return false;
	words = vm_devices_open(vm, &index, &done);
	if (words) {
		atomic_store(&vm->ending, MULL_END_BAD_IMAGE);
		format_text(vm->end_words, sizeof vm->end_words, "disk %u: %s",
			    index, words);
		begin_erase(vm);
	} else if (done) {
		begin_load(vm);
	}
	return words || done || !vm_devices_fly(vm);
}

static void request_all(struct vm *vm, enum vcpu_request request)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vcpu_request(vm->vcpus[i], request);
}

static void begin_running(struct vm *vm)
{
	atomic_store(&vm->ending, MULL_END_NONE);
	atomic_store(&vm->parked, 0);
	atomic_store(&vm->paused, 0);
	vm->pausing = false;
	atomic_store(&vm->stopped_by, 0);
	vm->end_words[0] = 0;
	vm->started_at = arch_time();
	begin_phase(vm, PHASE_IDLE);
	lock_take(&vm->device_lock);
	io_apic_reset(vm);
	serial_reset(vm);
	platform_reset(vm);
	watchdog_reset(vm);
	guest_pci_reset(vm);
	shared_ports_forget(vm);
	if (vm->pc)
		pc_reset(vm);
	lock_give(&vm->device_lock);
	paravirtual_choose(vm);
	set_state(vm, MULL_VM_RUNNING);
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		/* All wait at first; nothing may look finished meanwhile.
		 * What the last guest still asked for goes with it. */
		atomic_store(&vm->vcpus[i]->stuck, false);
		atomic_store(&vm->vcpus[i]->requests, 0);
	}
	request_all(vm, VCPU_BEGIN);
}

static void load_piece(struct vm *vm)
{
	bool done = false;

	if (load_step(&vm->load, &done) != ERR_NONE) {
		/* What of the images is in its memory already goes first. */
		atomic_store(&vm->ending, MULL_END_BAD_IMAGE);
		format_text(vm->end_words, sizeof vm->end_words, "%s",
			    vm->load.words);
		begin_erase(vm);
	} else if (done) {
		begin_running(vm);
	}
}

void vm_end(struct vm *vm, enum mull_end_reason reason, uint32_t code,
	    const char *format, ...)
{
	uint32_t none = MULL_END_NONE;
	va_list arguments;

	if (!atomic_compare_exchange_strong(&vm->ending, &none, reason))
		return;
	va_start(arguments, format);
	format_text_list(vm->end_words, sizeof vm->end_words, format,
			 arguments);
	va_end(arguments);
	vm->end_code = code;
	atomic_store(&vm->state, MULL_VM_STOPPING);
	request_all(vm, VCPU_PARK);
}

static enum mull_end_policy policy_of(const struct vm *vm)
{
	switch ((enum mull_end_reason)vm->ending) {
	case MULL_END_POWEROFF:
	case MULL_END_EXIT_CODE:
		return vm->description.on_poweroff;
	case MULL_END_RESET:
		return vm->description.on_reset;
	case MULL_END_TRIPLE_FAULT:
	case MULL_END_BAD_EXIT:
	case MULL_END_ALL_HALTED:
	case MULL_END_WATCHDOG:
		return vm->description.on_crash;
	case MULL_END_BREAKPOINT:
	case MULL_END_NONE:
	case MULL_END_COMMAND:
	case MULL_END_BAD_IMAGE:
		break;
	}
	return MULL_END_STOP;
}

static enum mull_vm_state rest_state(const struct vm *vm)
{
	switch ((enum mull_end_reason)vm->ending) {
	case MULL_END_TRIPLE_FAULT:
	case MULL_END_BAD_EXIT:
	case MULL_END_ALL_HALTED:
	case MULL_END_WATCHDOG:
		return MULL_VM_CRASHED;
	case MULL_END_BAD_IMAGE:
		return MULL_VM_REFUSED;
	default:
		return MULL_VM_STOPPED;
	}
}

/* All its vCPUs have left the guest: its memory goes, whatever comes next. */
static void after_park(struct vm *vm)
{
	vm->restart = policy_of(vm) == MULL_END_RESTART ||
		      (vm->ending == MULL_END_COMMAND && vm->restart);
	vm_devices_close(vm);
	begin_erase(vm);
}

static bool has_command(const struct vm *vm, enum mull_command command)
{
	return atomic_load(&vm->commands) & 1u << command;
}

/* Seconds: a guest that ends soon after each start must not have its images
 * loaded without pause, at the cost of the others. */
static uint32_t pause_before_restart(struct vm *vm)
{
	uint64_t ran = arch_time() - vm->started_at;
	uint32_t doublings;

	vm->quick_ends++;
	if (vm->ending == MULL_END_COMMAND ||
	    ran / 1000 >= QUICK_SECONDS * arch_time_khz())
		vm->quick_ends = 0;
	if (vm->quick_ends <= QUICK_ENDS_FREE)
		return 0;
	doublings = vm->quick_ends - QUICK_ENDS_FREE - 1;
	return doublings < PAUSE_DOUBLINGS ? 1u << doublings :
					     PAUSE_SECONDS_MAX;
}

static void wait_before_restart(struct vm *vm)
{
	uint32_t seconds = pause_before_restart(vm);
	char why[sizeof vm->end_words];

	vm->start_at = arch_time() + seconds * arch_time_khz() * 1000;
	begin_phase(vm, PHASE_WAIT);
	atomic_store(&vm->deadline, vm->start_at);
	if (!seconds)
		return;
	format_text(why, sizeof why, "%s", vm->end_words);
	format_text(vm->end_words, sizeof vm->end_words,
		    "%u quick ends, starts again in %u s: %s", vm->quick_ends,
		    seconds, why);
	log_write("%s: %s", vm->description.name, vm->end_words);
}

/* A restart leaves what is on the disks. */
static void erase_piece(struct vm *vm)
{
	bool starts = vm->restart && !has_command(vm, MULL_COMMAND_STOP);

	if (!vm_memory_clear_piece(vm, !starts))
		return;
	if (!starts) {
		come_to_rest(vm, rest_state(vm));
		return;
	}
	vm->restart = false;
	vm->restarts++;
	wait_before_restart(vm);
	set_state(vm, MULL_VM_STARTING);
}

static bool take_command(struct vm *vm, enum mull_command command)
{
	return atomic_fetch_and(&vm->commands, ~(1u << command)) &
	       1u << command;
}

/* Before it runs there is nobody to wait for. */
static void abandon_start(struct vm *vm)
{
	atomic_store(&vm->ending, MULL_END_COMMAND);
	vm->end_code = 0;
	format_text(vm->end_words, sizeof vm->end_words, STOP_WORDS);
	vm->restart = false;
	begin_erase(vm);
	set_state(vm, MULL_VM_STOPPING);
}

/* The command stands until the VM rests: an end of the guest's own that comes
 * first must not start it again. */
static void obey_stop(struct vm *vm)
{
	switch ((enum mull_vm_state)atomic_load(&vm->state)) {
	case MULL_VM_RUNNING:
	case MULL_VM_PAUSED:
		vm->restart = false;
		vm_end(vm, MULL_END_COMMAND, 0, STOP_WORDS);
		break;
	case MULL_VM_STARTING:
		if (!vm_devices_fly(vm)) /* else it comes back, and kicks */
			abandon_start(vm);
		break;
	case MULL_VM_STOPPING:
		break;
	case MULL_VM_DESTROYED:
	case MULL_VM_STOPPED:
	case MULL_VM_CRASHED:
	case MULL_VM_REFUSED:
		take_command(vm, MULL_COMMAND_STOP);
		manage_notify(); /* who waits for that hears of no event */
		break;
	}
}

static bool lives(const struct vm *vm)
{
	uint32_t state = atomic_load(&vm->state);

	return state == MULL_VM_RUNNING || state == MULL_VM_PAUSED;
}

/* But those that a step has left where they were. */
static void pause_all(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		if (atomic_load(&vcpu->requests) & (VCPU_RESUME | VCPU_STEP) ||
		    vcpu->state != VCPU_PAUSED)
			vcpu_request(vcpu, VCPU_PAUSE);
	}
}

static void resume_watchdog(struct vm *vm)
{
	lock_take(&vm->device_lock);
	watchdog_resume(vm);
	lock_give(&vm->device_lock);
}

/* The home CPU looks at these only while it runs. */
void vm_step(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	vm->pausing = false;
	atomic_store(&vm->stopped_by, 0);
	atomic_fetch_sub(&vm->paused, 1);
	resume_watchdog(vm);
	set_state(vm, MULL_VM_RUNNING);
	vcpu_request(vcpu, VCPU_STEP);
}

static void obey_pause(struct vm *vm)
{
	if (take_command(vm, MULL_COMMAND_PAUSE) && !vm->pausing &&
	    atomic_load(&vm->state) == MULL_VM_RUNNING) {
		vm->pausing = true;
		pause_all(vm);
	}
	if (take_command(vm, MULL_COMMAND_RESUME) &&
	    atomic_load(&vm->state) == MULL_VM_PAUSED) {
		vm->pausing = false;
		atomic_store(&vm->paused, 0);
		atomic_store(&vm->stopped_by, 0);
		resume_watchdog(vm);
		set_state(vm, MULL_VM_RUNNING);
		request_all(vm, VCPU_RESUME);
	}
}

/* One that waits for its restart has it now: who resets it has mended it. */
static void obey_reset(struct vm *vm)
{
	if (lives(vm)) {
		vm->restart = true;
		vm_end(vm, MULL_END_COMMAND, 0, "reset by command");
	} else if (vm->state == MULL_VM_STARTING && vm->phase == PHASE_WAIT) {
		vm->quick_ends = 0;
		vm->start_at = arch_time();
		atomic_store(&vm->deadline, vm->start_at);
	}
}

static void obey_commands(struct vm *vm)
{
	if (atomic_load(&vm->commands) == 0)
		return;
	if (has_command(vm, MULL_COMMAND_STOP))
		obey_stop(vm);
	if (take_command(vm, MULL_COMMAND_RESET))
		obey_reset(vm);
	if (take_command(vm, MULL_COMMAND_START) && vm_state_rests(vm->state))
		vm_start(vm);
	/* What is under way with a device comes to its end first. */
	if (has_command(vm, MULL_COMMAND_DESTROY) &&
	    atomic_load(&vm->attachment.step) == ATTACH_IDLE &&
	    take_command(vm, MULL_COMMAND_DESTROY) &&
	    vm_state_rests(vm->state)) {
		atomic_store(&vm->state, MULL_VM_DESTROYED);
		for (uint32_t i = 0; i < vm->vcpu_count; i++)
			cpu_loop_move(vm->vcpus[i]);
	}
	obey_pause(vm);
}

void vm_command(struct vm *vm, enum mull_command command)
{
	ASSERT(vm->vcpu_count); /* else it has no home, and nobody obeys */
	atomic_fetch_or(&vm->commands, 1u << command);
	arch_kick(vm_home(vm));
}

uint64_t vm_deadline(const struct vm *vm)
{
	uint64_t limit = atomic_load(&vm->deadline);

	if (vm->phase != PHASE_IDLE ||
	    atomic_load(&vm->state) != MULL_VM_RUNNING)
		return limit;
	if (vm->description.watchdog && watchdog_deadline(vm) < limit)
		limit = watchdog_deadline(vm);
	if (vm->balloon && vm_balloon_deadline(vm) < limit)
		limit = vm_balloon_deadline(vm);
	return vm->pci.due < limit ? vm->pci.due : limit;
}

/* What its balloon gave away must be there first. */
static bool begin_again(struct vm *vm)
{
	bool waits = false;

	if (!vm->balloon || vm_balloon_restore(vm, &waits)) {
		begin_load(vm);
		return true;
	}
	if (!waits)
		return true;
	format_text(vm->end_words, sizeof vm->end_words,
		    "starts again when %lu MiB that its balloon gave are free",
		    (vm->description.memory_size - vm_memory_now(vm)) / MIB(1));
	vm->start_at = arch_time() + arch_time_ms(WAIT_MS);
	atomic_store(&vm->deadline, vm->start_at);
	return false;
}

/* While nothing long is under way; true: there is more, or that begins. */
static bool idle_work(struct vm *vm)
{
	bool more;

	/* None of its vCPUs can end it any more, when all have paused. */
	if (vm->pausing && atomic_load(&vm->paused) == vm->vcpu_count &&
	    atomic_load(&vm->state) == MULL_VM_RUNNING)
		set_state(vm, MULL_VM_PAUSED);
	if (vm->description.watchdog &&
	    atomic_load(&vm->state) == MULL_VM_RUNNING)
		watchdog_look(vm);
	if (atomic_load(&vm->state) == MULL_VM_STOPPING) {
		begin_phase(vm, PHASE_PARK);
		manage_event(vm);
	}
	if (atomic_load(&vm->state) != MULL_VM_RUNNING)
		return vm->phase != PHASE_IDLE;
	if (vm->pc)
		pc_work(vm);
	if (vm->shared && shared_ports_ring(vm->shared))
		shared_ports_hear(vm);
	more = vm->balloon && vm_balloon_work(vm);
	return (!guest_pci_is_quiet(&vm->pci) && guest_pci_work(vm)) || more;
}

/* Another piece of it.  Returns whether there is more to do at once. */
static bool phase_work(struct vm *vm)
{
	switch (vm->phase) {
	case PHASE_IDLE:
		return false;
	case PHASE_CLEAR:
		if (vm_memory_clear_piece(vm, true) && shared_ports_hold(vm))
			begin_phase(vm, PHASE_OPEN);
		return true;
	case PHASE_OPEN:
		return open_piece(vm);
	case PHASE_LOAD:
		load_piece(vm);
		return true;
	case PHASE_PARK:
		if (atomic_load(&vm->parked) == vm->vcpu_count &&
		    !vm_devices_fly(vm) && vm_devices_settle(vm))
			after_park(vm);
		return vm->phase == PHASE_ERASE;
	case PHASE_ERASE:
		erase_piece(vm);
		return true;
	case PHASE_WAIT:
		return arch_time() >= vm->start_at && begin_again(vm);
	}
	return false;
}

/* Others' timers could not be served meanwhile. */
static bool has_home_alone(const struct vm *vm)
{
	uint32_t here = 0;

	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		here += vm->description.cpus[i] == vm_home(vm);
	return vm_vcpus_on(vm_home(vm)) == here;
}

/* A round of the loop costs as much as a piece of a large memory. */
static bool long_work(struct vm *vm)
{
	uint32_t left;
	bool more;

	vm->home_alone = has_home_alone(vm);
	left = vm->home_alone ? PIECES_A_STEP : 1;
	do
		more = phase_work(vm);
	while (more && --left && vm->phase != PHASE_IDLE && !arch_is_wanted());
	return more;
}

static __attribute__((noinline)) bool rare_work(struct vm *vm)
{
	bool more;

	obey_commands(vm);
	more = atomic_load(&vm->attachment.step) != ATTACH_IDLE &&
	       vm_attach_work(vm);
	if (vm->phase == PHASE_IDLE)
		more |= idle_work(vm);
	if (vm->phase != PHASE_IDLE)
		more |= long_work(vm);
	return more;
}

bool vm_work(struct vm *vm)
{
	bool rare = atomic_load(&vm->commands) || vm->phase != PHASE_IDLE ||
		    atomic_load(&vm->attachment.step) != ATTACH_IDLE;

	return rare ? rare_work(vm) : idle_work(vm);
}
