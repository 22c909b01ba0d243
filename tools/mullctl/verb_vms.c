/* SPDX-License-Identifier: MIT */
/* Verbs about VMs: what there is, and their lives. */
#include <mullion/bits.h>
#include <mullion/description.h>
#include <string.h>

#include "beginning.h"
#include "remote.h"
#include "texts.h"
#include "work.h"

#define STOP_SECONDS 30 /* for a guest that is asked to power itself off */
#define END_SECONDS 10	/* for a VM that is ended */
#define START_SECONDS 60
#define LOOK_MILLISECONDS 100

/* ---- list and show ------------------------------------------------------ */

static void put_vm(struct output *output, const struct mull_vm_status *vm)
{
	output_number(output, "number", vm->number);
	output_text(output, "name", vm->name);
	output_state(output, "state", vm->state);
	output_number(output, "cpus", vm->vcpu_count);
	output_size(output, "memory", vm->memory_size);
	output_number(output, "restarts", vm->restarts);
	output_number(output, "exits", vm->exits);
}

static enum status show_list(struct mull *mull, const struct mull_vm_status *vm,
			     struct output *output)
{
	struct mull_vm_status list[MULL_VM_MAX];
	size_t count;
	int error = mull_list(mull, list, &count);

	(void)vm;
	if (error)
		return remote_status(mull, error);
	output_list_begin(output, "vms");
	for (size_t i = 0; i < count; i++) {
		output_row_begin(output);
		put_vm(output, &list[i]);
		output_number(output, "disks",
			      MULL_STATUS_DISKS(list[i].flags));
		output_number(output, "nics", MULL_STATUS_NICS(list[i].flags));
		/* Last, since it can be long. */
		output_text(output, "reason", list[i].words);
		output_row_end(output);
	}
	output_list_end(output);
	return STATUS_OK;
}

int verb_list(const struct options *options)
{
	return remote_show(options, show_list);
}

static const char *policy_word(uint32_t policy)
{
	return policy == MULL_END_RESTART ? "restart" : "stop";
}

/* Any of them may have been detached. */
static void put_disks(struct output *output, const struct mull_vm *vm)
{
	uint32_t first = 0;

	while (first < MULL_DISK_MAX && vm->disks[first].kind == MULL_DISK_NONE)
		first++;
	if (first == MULL_DISK_MAX)
		return;
	output_list_begin(output, "disks");
	for (uint32_t i = first; i < MULL_DISK_MAX; i++) {
		const struct mull_disk *disk = &vm->disks[i];

		if (disk->kind == MULL_DISK_NONE)
			continue;
		output_row_begin(output);
		output_number(output, "disk", i);
		remote_put_medium(output, disk);
		output_size(output, "room", disk->room);
		output_row_end(output);
	}
	output_list_end(output);
}

static void put_networks(struct output *output, const struct mull_vm *vm)
{
	struct mull_nic nic;
	bool any = false;

	for (uint32_t i = 0; i < MULL_NIC_MAX; i++)
		any |= vm->nics[i].network[0];
	if (!any)
		return;
	output_list_begin(output, "networks");
	for (uint32_t i = 0; i < MULL_NIC_MAX; i++) {
		if (!vm->nics[i].network[0])
			continue;
		nic = vm->nics[i];
		mull_nic_mac(vm, i, nic.mac);
		output_row_begin(output);
		output_number(output, "nic", i);
		remote_put_port(output, &nic);
		output_row_end(output);
	}
	output_list_end(output);
}

static void put_modules(struct output *output, const struct mull_vm *vm)
{
	if (!vm->module_count)
		return;
	output_list_begin(output, "modules");
	for (uint32_t i = 0; i < vm->module_count; i++) {
		output_row_begin(output);
		output_number(output, "image", vm->modules[i].image);
		output_text(output, "cmdline", vm->modules[i].words);
		output_row_end(output);
	}
	output_list_end(output);
}

static void put_cache(struct output *output, const struct mull_vm *vm)
{
	if (vm->cache_ways)
		output_number(output, "cache_ways", vm->cache_ways);
	if (vm->cache_code_ways)
		output_number(output, "cache_code_ways", vm->cache_code_ways);
	if (vm->bandwidth_percent)
		output_number(output, "bandwidth_percent",
			      vm->bandwidth_percent);
	if (vm->bandwidth_rate)
		output_number(output, "bandwidth_mb_per_s", vm->bandwidth_rate);
}

static void put_description(struct output *output, const struct mull_vm *vm)
{
	output_yes(output, "autostart", vm->flags & MULL_VM_AUTOSTART);
	output_text(output, "on_poweroff", policy_word(vm->on_poweroff));
	output_text(output, "on_reset", policy_word(vm->on_reset));
	output_text(output, "on_crash", policy_word(vm->on_crash));
	output_size(output, "console_buffer", vm->console_size);
	if (vm->watchdog)
		output_number(output, "watchdog", vm->watchdog);
	if (vm->vsock)
		output_number(output, "vsock", vm->vsock);
	if (vm->vsock_group[0])
		output_text(output, "vsock_group", vm->vsock_group);
	put_cache(output, vm);
	output_number(output, "kernel_image", vm->kernel);
	if (vm->initrd != MULL_NO_IMAGE)
		output_number(output, "initrd_image", vm->initrd);
	output_text(output, "cmdline", vm->command_line);
	put_modules(output, vm);
	output_list_begin(output, "vcpus");
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		output_row_begin(output);
		output_number(output, "vcpu", i);
		output_number(output, "processor", vm->cpus[i]);
		output_row_end(output);
	}
	output_list_end(output);
	put_disks(output, vm);
	put_networks(output, vm);
}

static enum status show_vm(struct mull *mull, const struct mull_vm_status *vm,
			   struct output *output)
{
	struct mull_vm description;
	int error = mull_show(mull, vm->number, &description);

	if (error)
		return remote_status(mull, error);
	put_vm(output, vm);
	output_text(output, "reason", vm->words);
	if (description.flags & MULL_VM_ELASTIC) {
		output_size(output, "least_memory",
			    description.memory_least * FRAME_SIZE);
		output_size(output, "most_memory", description.memory_size);
	}
	output_time(output, "started", vm->started_ns);
	output_time(output, "in_guest", vm->guest_ns);
	output_size(output, "printed", vm->console_position);
	output_number(output, "complaints", vm->complaints);
	output_yes(output, "attached", vm->flags & MULL_STATUS_ATTACHED);
	output_yes(output, "created_at_run_time",
		   vm->flags & MULL_STATUS_CREATED);
	put_description(output, &description);
	return STATUS_OK;
}

int verb_show(const struct options *options)
{
	return remote_show(options, show_vm);
}

/* ---- lives -------------------------------------------------------------- */

static int act(const struct options *options,
	       int (*act_on)(struct mull *mull, uint32_t vm))
{
	struct mull_vm_status vm;
	enum status status;
	struct mull *mull = remote_open_vm(options, NULL, &vm, &status);

	if (!mull)
		return status;
	status = remote_status(mull, act_on(mull, vm.number));
	mull_close(mull);
	return status;
}

/* The VM may have done its work before it is looked at: its events tell. */
static enum status wait_for_start(struct mull *mull, struct mull_vm_status *vm,
				  struct beginning *beginning, double seconds)
{
	double limit = seconds_now() + seconds;

	while (!beginning->runs && !beginning->ended) {
		int error = mull_pump(mull, LOOK_MILLISECONDS, -1);

		/* An event may be lost on the line. */
		if (!error)
			error = mull_find(mull, vm->name, vm);
		if (error)
			return remote_status(mull, error);
		beginning->runs |= vm->state == MULL_VM_RUNNING;
		if (seconds_now() < limit || beginning->runs)
			continue;
		tell("%s is still %s after %.0f s", vm->name,
		     output_state_word(vm->state), seconds);
		return STATUS_TIMED_OUT;
	}
	if (beginning->runs)
		return STATUS_OK;
	tell("%s did not start: %s", vm->name, beginning->words);
	return STATUS_FAILED;
}

int verb_start(const struct options *options)
{
	struct beginning beginning = { .vm = UINT32_MAX };
	struct mull_handlers handlers = { .context = &beginning,
					  .event = beginning_hear };
	struct mull_vm_status vm;
	struct mull_info info;
	enum status status;
	struct mull *mull;
	double seconds;

	if (!remote_timeout(options, START_SECONDS, &seconds))
		return STATUS_USAGE;
	mull = remote_open_vm(options, &handlers, &vm, &status);
	if (!mull)
		return status;
	status = remote_status(mull, mull_info(mull, &info));
	if (status == STATUS_OK) {
		beginning.vm = vm.number;
		beginning.since_ns = info.time_ns;
		status = remote_status(mull, mull_start(mull, vm.number));
	}
	if (status == STATUS_OK && options->text[OPTION_WAIT])
		status = wait_for_start(mull, &vm, &beginning, seconds);
	mull_close(mull);
	return status;
}

int verb_reset(const struct options *options)
{
	return act(options, mull_reset);
}

int verb_pause(const struct options *options)
{
	return act(options, mull_pause);
}

int verb_resume(const struct options *options)
{
	return act(options, mull_resume);
}

int verb_destroy(const struct options *options)
{
	return act(options, mull_destroy);
}

/* Its power button first; what does not listen to that is ended. */
static enum status stop(struct mull *mull, struct mull_vm_status *vm,
			bool force, double seconds)
{
	enum status status;
	int error = ERR_WRONG_STATE;

	if (!force && vm->state == MULL_VM_RUNNING)
		error = mull_power_button(mull, vm->number);
	if (error == MULL_OK) {
		status = remote_wait(mull, vm, ENDED, seconds);
		if (status != STATUS_TIMED_OUT)
			return status;
		tell("%s did not power itself off in %.0f s and is ended",
		     vm->name, seconds);
	}
	status = remote_status(mull, mull_stop(mull, vm->number));
	if (status != STATUS_OK)
		return status;
	status = remote_wait(mull, vm, ENDED, END_SECONDS);
	if (status == STATUS_TIMED_OUT)
		tell("%s is still %s after %d s", vm->name,
		     output_state_word(vm->state), END_SECONDS);
	return status;
}

int verb_stop(const struct options *options)
{
	struct mull_vm_status vm;
	enum status status;
	struct mull *mull;
	double seconds;

	if (!remote_timeout(options, STOP_SECONDS, &seconds))
		return STATUS_USAGE;
	mull = remote_open_vm(options, NULL, &vm, &status);
	if (!mull)
		return status;
	if (IN(vm.state) & ENDED)
		tell("%s is %s already", vm.name, output_state_word(vm.state));
	else
		status = stop(mull, &vm, options->text[OPTION_FORCE], seconds);
	mull_close(mull);
	return status;
}

int verb_inject(const struct options *options)
{
	const char *text = options->text[OPTION_VCPU];
	struct mull_vm_status vm;
	enum status status;
	struct mull *mull;
	uint64_t vcpu = 0;

	if (strcmp(options->second, "nmi") != 0) {
		tell("only nmi can be injected, not \"%s\"", options->second);
		return STATUS_USAGE;
	}
	if (text && (!texts_to_number(text, &vcpu) || vcpu >= MULL_VCPU_MAX)) {
		tell("--vcpu is a number below %d, not \"%s\"", MULL_VCPU_MAX,
		     text);
		return STATUS_USAGE;
	}
	mull = remote_open_vm(options, NULL, &vm, &status);
	if (!mull)
		return status;
	status = remote_status(mull,
			       mull_inject(mull, vm.number, (uint32_t)vcpu));
	mull_close(mull);
	return status;
}
