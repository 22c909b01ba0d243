/* SPDX-License-Identifier: MIT */
/* Requests that look into a paused VM, and change what is there. */
#include "request.h"
#include "service.h"
#include <mullion/manage.h>
#include <string.h>

#define ZEROS_MAX (16 << 20) /* bytes that one request goes through */
#define ZEROS_STEP (32 << 10)
#define ZEROS_MIN MULL_REPLY_DATA_MAX /* fewer are sent as they are */

/* It stays so for as long as requests are served one by one: only they, or a
 * command that stands already, end the pause. */
static bool is_paused(const struct vm *vm)
{
	return vm->state == MULL_VM_PAUSED && vm->commands == 0;
}

static struct vcpu *vcpu_of(const struct asked *asked, struct answer *answer,
			    enum error *error)
{
	if (asked->argument < asked->vm->vcpu_count)
		return asked->vm->vcpus[asked->argument];
	*error = answer_words(answer, ERR_NOT_FOUND, "%.31s has no vCPU %lu",
			      asked->vm->description.name, asked->argument);
	return NULL;
}

/* Reads them, or writes what came as data. */
enum error request_registers(const struct asked *asked, struct answer *answer)
{
	static const struct vcpu *looked_at; /* NULL: not asked for yet */
	enum error error = ERR_NONE;
	struct vcpu *vcpu = vcpu_of(asked, answer, &error);

	if (!vcpu)
		return error;
	if (!is_paused(asked->vm)) {
		looked_at = NULL;
		return answer_wrong_state(answer, asked->vm);
	}
	if (!looked_at) {
		looked_at = vcpu;
		vcpu_look.write = asked->length;
		memcpy(&vcpu_look.registers, asked->data, asked->length);
		atomic_store(&vcpu_look.done, false);
		vcpu_request(vcpu, VCPU_LOOK);
	}
	answer->pending = !atomic_load(&vcpu_look.done);
	if (answer->pending)
		return ERR_NONE;
	looked_at = NULL;
	if (!vcpu_look.write)
		memcpy(answer_add(answer, sizeof vcpu_look.registers),
		       &vcpu_look.registers, sizeof vcpu_look.registers);
	return vcpu_look.error;
}

/* What the guest has given away by its balloon is zeros. */
static enum error read(const struct guest_memory *memory, uint64_t at,
		       uint8_t *to, size_t length)
{
	while (length) {
		size_t piece = FRAME_SIZE - at % FRAME_SIZE;
		enum error error = ERR_NONE;

		if (piece > length)
			piece = length;
		if (!guest_is_hole(memory, gpa(at)))
			error = guest_read(memory, gpa(at), to, piece);
		if (error)
			return error;
		at += piece;
		to += piece;
		length -= piece;
	}
	return ERR_NONE;
}

/* The value counts the zeros that were found so far. */
enum error request_memory(const struct asked *asked, struct answer *answer)
{
	const struct guest_memory *memory = &asked->vm->memory;
	uint64_t *zeros = &answer->reply.value;
	uint32_t wanted;
	size_t most, found;

	if (!is_paused(asked->vm))
		return answer_wrong_state(answer, asked->vm);
	memcpy(&wanted, asked->data, sizeof wanted);
	most = (wanted < ZEROS_MAX ? wanted : ZEROS_MAX) - *zeros;
	if (most > ZEROS_STEP)
		most = ZEROS_STEP;
	found = guest_zeros(memory, gpa(asked->argument + *zeros), most);
	*zeros += found;
	answer->pending = found;
	if (answer->pending)
		manage_notify();
	if (answer->pending || *zeros >= ZEROS_MIN)
		return ERR_NONE;
	*zeros = 0;
	if (wanted > sizeof answer->data)
		wanted = sizeof answer->data;
	return read(memory, asked->argument, answer_add(answer, wanted),
		    wanted);
}

enum error request_set_memory(const struct asked *asked, struct answer *answer)
{
	if (!is_paused(asked->vm))
		return answer_wrong_state(answer, asked->vm);
	return guest_write(&asked->vm->memory, gpa(asked->argument),
			   asked->data, asked->length);
}

enum error request_inject(const struct asked *asked, struct answer *answer)
{
	enum error error = ERR_NONE;
	struct vcpu *vcpu = vcpu_of(asked, answer, &error);

	if (!vcpu)
		return error;
	if (asked->vm->state != MULL_VM_RUNNING && !is_paused(asked->vm))
		return answer_wrong_state(answer, asked->vm);
	vcpu_request(vcpu, VCPU_NMI);
	return ERR_NONE;
}

enum error request_step(const struct asked *asked, struct answer *answer)
{
	enum error error = ERR_NONE;
	struct vcpu *vcpu = vcpu_of(asked, answer, &error);

	if (!vcpu)
		return error;
	if (!is_paused(asked->vm))
		return answer_wrong_state(answer, asked->vm);
	if (vcpu->paused_in != VCPU_RUNNABLE)
		return answer_words(answer, ERR_WRONG_STATE,
				    "vCPU %u waits: it has no instruction to "
				    "do",
				    vcpu->index);
	vm_step(vcpu);
	return ERR_NONE;
}

enum error request_debug(const struct asked *asked, struct answer *answer)
{
	struct vm *vm = asked->vm;

	if (vm->state != MULL_VM_RUNNING && !is_paused(vm))
		return answer_wrong_state(answer, vm);
	vm->debugged = asked->argument;
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		vcpu_request(vm->vcpus[i], VCPU_DEBUG);
	return ERR_NONE;
}
