/* SPDX-License-Identifier: MIT */
/* VMs that come and go at run time. */
#include "request.h"
#include "service.h"
#include <mullion/arch.h>
#include <mullion/bits.h>
#include <mullion/cache.h>
#include <mullion/frame_pool.h>
#include <mullion/images.h>
#include <mullion/manage.h>
#include <string.h>

static struct mull_vm draft; /* for the next CREATE */

enum error request_describe(const struct asked *asked, struct answer *answer)
{
	(void)answer;
	if (asked->length > sizeof draft - asked->argument)
		return ERR_TOO_LARGE;
	memcpy((uint8_t *)&draft + asked->argument, asked->data, asked->length);
	return ERR_NONE;
}

/* The first complaint is the answer. */
static void on_complaint(void *answer, int vm, enum mull_field field,
			 const char *words)
{
	(void)vm;
	(void)field;
	if (!((struct answer *)answer)->has_words)
		answer_words(answer, ERR_NONE, "%s", words);
}

/* VMs that are there have been checked, and keep what they have.  A refused one
 * has its name only.  They stand where the package's were, since each VM has
 * its own by now. */
bool description_is_good(const struct mull_vm *description,
			 const struct vm *changes, struct answer *answer)
{
	struct mull_vm *all = boot_package.vms;
	bool bad[MULL_VM_MAX] = { false };
	uint32_t kinds[MULL_IMAGE_MAX] = { 0 }, images = 0, count = 0;
	struct mull_limits limits = {
		.cpu_count = arch_cpu_count(),
		.memory_free = changes ? 0 : frames_free() * FRAME_SIZE,
		.cache = changes ? NULL : cache_now(), /* it has its part */
		.bad_ones_count = true
	};

	for (uint32_t i = 0; i < MULL_VM_MAX; i++) {
		if (!vms[i] || vms[i] == changes)
			continue;
		memset(&all[count], 0, sizeof *all);
		memcpy(&all[count], &vms[i]->description,
		       vms[i]->vcpu_count ? sizeof *all : sizeof all->name);
		mull_close_up_nics(&all[count]);
		bad[count++] = true;
	}
	all[count] = *description; /* a number is free for it */
	if (changes) {
		mull_close_up_disks(&all[count]);
		mull_close_up_nics(&all[count]);
	}
	count++;
	for (uint32_t i = 0; i < MULL_IMAGE_MAX; i++) {
		kinds[i] = image_kind(i);
		if (image_find(i).record)
			images = i + 1;
	}
	return mull_check_vms(&boot_package.machine, all, count, kinds, images,
			      &limits, bad, on_complaint, answer) == 0;
}

enum error request_create(const struct asked *asked, struct answer *answer)
{
	uint32_t number = 0;
	struct vm *vm;

	(void)asked;
	while (number < MULL_VM_MAX && vms[number])
		number++;
	if (number == MULL_VM_MAX)
		return answer_words(answer, ERR_NO_MEMORY,
				    "there are %u VMs, and no more can be",
				    MULL_VM_MAX);
	if (!description_is_good(&draft, NULL, answer))
		return ERR_BAD_REQUEST;
	vm = vm_create(&draft, number, NULL);
	if (!vm)
		return ERR_NO_MEMORY;
	vm->created = true;
	manage_add_vm(vm);
	manage_event(vm);
	answer->reply.value = number;
	return ERR_NONE;
}

/* Its home CPU lets go of it when it rests, then each CPU of its vCPUs. */
enum error request_destroy(const struct asked *asked, struct answer *answer)
{
	struct vm *vm = asked->vm;

	if (!vm->vcpu_count) /* no CPU has it */
		vm->state = MULL_VM_DESTROYED;
	if (vm->state == MULL_VM_DESTROYED && vm->left == vm->vcpu_count) {
		console_remove(vm);
		manage_event(vm);
		vm_destroy(vm);
		return ERR_NONE;
	}
	if (vm->state != MULL_VM_DESTROYED && !vm_state_rests(vm->state))
		return answer_wrong_state(answer, vm);
	vm_command(vm, MULL_COMMAND_DESTROY);
	answer->pending = true;
	return ERR_NONE;
}
