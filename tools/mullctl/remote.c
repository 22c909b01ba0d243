/* SPDX-License-Identifier: MIT */
#include "remote.h"

#include <inttypes.h>
#include <mullion/bits.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "texts.h"
#include "work.h"

#define LOOK_MILLISECONDS 100
#define PAUSE_SECONDS 10
#define MEMORY_MAX (UINT64_C(64) << 40)

/* What to do about it, behind the words; NULL: the words say it all. */
static const char *advice(int error)
{
	switch (error) {
	case MULL_UNREACHABLE:
		return "is the cable plugged in, the emulator running?";
	case MULL_IN_USE:
		return "end that one first, or use mullctl run --listen, "
		       "which serves several";
	case MULL_NO_ANSWER:
		return "does Mullion run there, with serial mode channel and "
		       "this rate?";
	case MULL_NO_SESSION:
		return "is the machine on the network, with a channel there, "
		       "and is this its key?";
	case MULL_OTHER_FRAMES:
		return "use the mullctl that was built with it";
	case ERR_NOT_FOUND:
		return "mullctl list and mullctl images show what there is";
	case ERR_EXISTS:
		return "give it another name, or mullctl delete that one";
	case ERR_NO_MEMORY:
		return "mullctl info shows the memory that is free";
	default:
		return NULL;
	}
}

void remote_compare(const struct mull_info *info)
{
	if (strcmp(info->version, MULL_VERSION) != 0)
		tell("the hypervisor is version %s, mullctl %s", info->version,
		     MULL_VERSION);
	if (info->interface > MULL_INTERFACE)
		tell("the hypervisor knows more commands (interface %u) than "
		     "this mullctl (%d): a newer mullctl would show all",
		     info->interface, MULL_INTERFACE);
	else if (info->interface < MULL_INTERFACE)
		tell("the hypervisor knows fewer commands (interface %u) than "
		     "this mullctl (%d): some verbs will not work; a newer "
		     "hypervisor has all",
		     info->interface, MULL_INTERFACE);
}

/* Whether what went wrong comes of different versions. */
static void blame_versions(struct mull *mull, int error)
{
	struct mull_info info;

	if ((error == ERR_UNSUPPORTED || error == ERR_VERSION ||
	     error == MULL_BAD_ANSWER) &&
	    mull_info(mull, &info) == MULL_OK)
		remote_compare(&info);
}

enum status remote_status(struct mull *mull, int error)
{
	const char *more = advice(error);

	if (error == MULL_OK)
		return STATUS_OK;
	tell("%s%s%s%s", mull_words(mull), more ? " (" : "", more ? more : "",
	     more ? ")" : "");
	blame_versions(mull, error);
	switch (error) {
	case MULL_BAD_ADDRESS:
		return STATUS_USAGE;
	case ERR_NOT_FOUND:
		return STATUS_NOT_FOUND;
	case MULL_IN_USE:
	case ERR_BUSY:
	case ERR_EXISTS:
	case ERR_WRONG_STATE:
		return STATUS_CONFLICT;
	case MULL_UNREACHABLE:
	case MULL_NO_ANSWER:
	case MULL_NO_SESSION:
	case MULL_OTHER_FRAMES:
		return STATUS_UNREACHABLE;
	default:
		return STATUS_FAILED;
	}
}

struct mull *remote_open(const struct options *options,
			 const struct mull_handlers *handlers,
			 enum status *status)
{
	char *address = config_address(options, false);
	struct mull *mull;
	int error;

	*status = STATUS_USAGE;
	if (!address)
		return NULL;
	error = mull_open(&mull, address, handlers);
	*status = remote_status(mull, error);
	free(address);
	if (*status == STATUS_OK)
		return mull;
	mull_close(mull);
	return NULL;
}

struct mull *remote_open_vm(const struct options *options,
			    const struct mull_handlers *handlers,
			    struct mull_vm_status *vm, enum status *status)
{
	struct mull *mull = remote_open(options, handlers, status);

	if (!mull)
		return NULL;
	*status = remote_status(mull, mull_find(mull, options->operand, vm));
	if (*status == STATUS_OK)
		return mull;
	mull_close(mull);
	return NULL;
}

enum status remote_show(const struct options *options, show_it *show)
{
	bool of_vm = options->operand;
	struct mull_vm_status vm;
	struct output output;
	enum status status;
	struct mull *mull;

	if (!output_begin(&output, options))
		return STATUS_USAGE;
	mull = of_vm ? remote_open_vm(options, NULL, &vm, &status) :
		       remote_open(options, NULL, &status);
	if (!mull)
		return status;
	status = show(mull, of_vm ? &vm : NULL, &output);
	output_end(&output);
	mull_close(mull);
	return status;
}

/* Events may be lost on the line, so the VM itself is looked at. */
enum status remote_wait(struct mull *mull, struct mull_vm_status *vm,
			uint32_t states, double seconds)
{
	double limit = seconds_now() + seconds;

	for (;;) {
		double pause = seconds_now() + LOOK_MILLISECONDS / 1000.0;
		int error = mull_find(mull, vm->name, vm);

		if (error)
			return remote_status(mull, error);
		if (vm->state < 32 && states >> vm->state & 1)
			return STATUS_OK;
		if (seconds_now() >= limit)
			return STATUS_TIMED_OUT;
		while (seconds_now() < pause)
			if (mull_pump(mull, LOOK_MILLISECONDS, -1))
				return remote_status(mull, MULL_UNREACHABLE);
	}
}

enum status remote_pause(struct mull *mull, struct mull_vm_status *vm)
{
	int error = mull_pause(mull, vm->number);
	enum status status;

	/* Another may have done so, or a breakpoint. */
	if (error == ERR_WRONG_STATE && !mull_find(mull, vm->name, vm) &&
	    vm->state == MULL_VM_PAUSED)
		return STATUS_OK;
	status = remote_status(mull, error);
	if (status != STATUS_OK)
		return status;
	status = remote_wait(mull, vm, 1u << MULL_VM_PAUSED, PAUSE_SECONDS);
	if (status == STATUS_TIMED_OUT)
		tell("%s is still %s after %d s", vm->name,
		     output_state_word(vm->state), PAUSE_SECONDS);
	return status;
}

bool remote_sane(const struct mull_vm_status *vm)
{
	if (vm->vcpu_count && vm->vcpu_count <= MULL_VCPU_MAX &&
	    vm->memory_size && !(vm->memory_size % PAGE_SIZE) &&
	    vm->memory_size <= MEMORY_MAX)
		return true;
	tell("%s has %u vCPUs and %" PRIu64 " bytes of memory: that cannot be",
	     vm->name, vm->vcpu_count, vm->memory_size);
	return false;
}

bool remote_timeout(const struct options *options, double otherwise,
		    double *seconds)
{
	const char *text = options->text[OPTION_TIMEOUT];
	uint64_t number;

	*seconds = otherwise;
	if (!text)
		return true;
	if (!texts_to_number(text, &number) || number > 1000000) {
		tell("--timeout is a number of seconds, not \"%s\"", text);
		return false;
	}
	*seconds = (double)number;
	return true;
}
