/* SPDX-License-Identifier: MIT */
/* Network devices of a VM, which come and go. */
#include "request.h"
#include <mullion/attach.h>
#include <mullion/description.h>
#include <mullion/log.h>
#include <mullion/packet.h>
#include <mullion/switch.h>
#include <string.h>

/* The VM as it will be. */
static enum error draft(const struct vm *vm, const struct mull_nic *nic,
			struct mull_vm *to, uint32_t *number)
{
	*number = 0;
	while (*number < MULL_NIC_MAX &&
	       vm->description.nics[*number].network[0])
		++*number;
	if (*number == MULL_NIC_MAX)
		return ERR_NO_MEMORY;
	*to = vm->description;
	to->nics[*number] = *nic;
	mull_nic_mac(to, *number, to->nics[*number].mac);
	return ERR_NONE;
}

/* One that nobody has named is a mistake in writing, or of no use. */
static enum error refuse_switch(struct answer *answer, const char *name)
{
	char known[128] = "";
	size_t length = 0;

	for (uint32_t i = 0; switch_name_at(i) && length < sizeof known; i++)
		if (switch_name_at(i)[0])
			length += format_text(
				known + length, sizeof known - length, "%s %s",
				length ? "," : "", switch_name_at(i));
	if (!length)
		return answer_words(answer, ERR_NOT_FOUND,
				    "there is no switch \"%s\", nor any other",
				    name);
	return answer_words(answer, ERR_NOT_FOUND,
			    "there is no switch \"%s\"; there is:%s", name,
			    known);
}

enum error request_plug_nic(const struct asked *asked, struct answer *answer)
{
	static struct mull_vm changed;
	struct vm *vm = asked->vm;
	struct mull_nic nic;
	const char *words;
	uint32_t number;
	enum error error = devices_may_change(vm, answer);

	if (error)
		return error;
	memcpy(&nic, asked->data, sizeof nic);
	if (draft(vm, &nic, &changed, &number))
		return answer_words(answer, ERR_NO_MEMORY,
				    "it has %u nics, and no more can be",
				    MULL_NIC_MAX);
	nic = changed.nics[number];
	if (!nic.network[0] || !description_is_good(&changed, vm, answer))
		return ERR_BAD_REQUEST;
	if (!switch_is_known(nic.network))
		return refuse_switch(answer, nic.network);
	error = vm_attach_nic(vm, number, &nic, &words);
	if (error)
		return answer_words(answer, error, "%s", words);
	answer->reply.value = number;
	return ERR_NONE;
}

static void fill(const struct vm *vm, uint32_t number,
		 struct mull_vm_nic_status *status)
{
	const char *words = device_failure(vm, true, number);

	status->number = number;
	status->nic = vm->description.nics[number];
	status->state = MULL_DISK_FAILED;
	if (status->nic.network[0]) {
		status->state = device_state(vm, true, number);
		mull_nic_mac(&vm->description, number, status->nic.mac);
	} else {
		format_text(status->words, sizeof status->words, "%s", words);
	}
}

enum error request_vm_nics(const struct asked *asked, struct answer *answer)
{
	const struct vm *vm = asked->vm;

	if (!vm->vcpu_count) /* its description may be anything */
		return ERR_NONE;
	for (uint32_t i = (uint32_t)asked->argument; i < MULL_NIC_MAX; i++) {
		struct mull_vm_nic_status *status;

		if (!vm->description.nics[i].network[0] &&
		    !device_failure(vm, true, i))
			continue;
		status = answer_add(answer, sizeof *status);
		if (!status) {
			answer->reply.value = i;
			break;
		}
		fill(vm, i, status);
	}
	return ERR_NONE;
}
