/* SPDX-License-Identifier: MIT */
/* What happens when an interrupt or exception comes. */
#include "sdk.h"

#define EXCEPTION_COUNT 32

/* In interrupt_entry.S. */
extern uint64_t guarded_stack;
extern char guarded_landing[];
void enter_ring3(void (*function)(void), uintptr_t stack);
void interrupt_dispatch(struct interrupt_frame *frame);

uint64_t guarded_stack; /* of the innermost guarded call; 0: none */
struct fault last_fault;

static interrupt_handler *handlers[256];
static uint8_t ring3_stack[4096] __attribute__((aligned(16)));

void interrupt_handle(uint8_t vector, interrupt_handler *handler)
{
	handlers[vector] = handler;
}

__attribute__((noreturn)) static void die(const struct interrupt_frame *frame)
{
	print("EXCEPTION %lu error %lx on vCPU %u at %lx cr2 %lx\n",
	      frame->vector, frame->error, cpu_index(), frame->rip,
	      last_fault.cr2);
	print("rsp %lx rax %lx rcx %lx rdx %lx rbx %lx\n", frame->rsp,
	      frame->rax, frame->rcx, frame->rdx, frame->rbx);
	guest_end(GUEST_END_FAULT + (uint32_t)frame->vector);
}

/* Makes the return from the exception land behind the guarded call. */
static void unwind(struct interrupt_frame *frame)
{
	frame->rax = frame->vector;
	frame->rip = (uintptr_t)guarded_landing;
	frame->rsp = guarded_stack;
	frame->cs = SDK_CODE;
	frame->ss = SDK_DATA;
	frame->rflags = 2;
}

void interrupt_dispatch(struct interrupt_frame *frame)
{
	interrupt_handler *handler = handlers[frame->vector & 0xff];

	if (handler)
		handler(frame);
	if (frame->vector >= EXCEPTION_COUNT) {
		if (frame->vector != VECTOR_SPURIOUS)
			eoi_signal();
		return;
	}
	if (handler)
		return;

	last_fault = (struct fault){ frame->vector, frame->error, frame->rip,
				     cr2_read() };
	if (cpu_index() != 0 || !guarded_stack)
		die(frame);
	unwind(frame);
}

static void to_ring3(void *function)
{
	enter_ring3((void (*)(void))function,
		    (uintptr_t)ring3_stack + sizeof ring3_stack - 8);
}

int guarded_call_ring3(void (*function)(void))
{
	int vector = guarded_call(to_ring3, (void *)function);

	/* The processor leaves null selectors when it returns outwards. */
	asm volatile("mov %0, %%ds; mov %0, %%es" ::"r"(SDK_DATA));
	return vector;
}

struct msr_access {
	uint32_t msr;
	uint64_t value;
};

static void access_read(void *argument)
{
	struct msr_access *access = argument;

	access->value = msr_read(access->msr);
}

static void access_write(void *argument)
{
	struct msr_access *access = argument;

	msr_write(access->msr, access->value);
}

bool msr_try_read(uint32_t msr, uint64_t *value)
{
	struct msr_access access = { .msr = msr };
	bool done = guarded_call(access_read, &access) < 0;

	*value = done ? access.value : 0;
	return done;
}

bool msr_try_write(uint32_t msr, uint64_t value)
{
	struct msr_access access = { .msr = msr, .value = value };

	return guarded_call(access_write, &access) < 0;
}
