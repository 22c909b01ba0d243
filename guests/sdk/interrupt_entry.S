/* SPDX-License-Identifier: MIT */
/* Interrupt and exception entries, and calls that survive an exception. */
#include "layout.h"

/* Exceptions that push an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC,
 * #CP, #VC, #SX; SDM 325462, "Protected-Mode Exceptions and Interrupts". */
#define PUSHES_ERROR ((1 << 8) | (0x1f << 10) | (1 << 17) | (1 << 21) | \
	(1 << 29) | (1 << 30))

	.text
	.balign 16
	.globl interrupt_entries
interrupt_entries:			/* 256 of 16 bytes */
	.set vector, 0
	.rept 256
	.balign 16
	.if vector >= 32 || !((PUSHES_ERROR >> (vector & 63)) & 1)
	push $0
	.endif
	push $vector
	jmp enter
	.set vector, vector + 1
	.endr

enter:					/* builds struct interrupt_frame */
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	mov %rsp, %rbx
	and $-16, %rsp
	call interrupt_dispatch
	mov %rbx, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp			/* vector and error code */
	iretq

/*
 * int guarded_call(void (*function)(void *), void *argument)
 * The dispatcher resumes at guarded_landing, with RAX = vector and RSP =
 * guarded_stack, when an exception comes; the rest is on the stack.
 */
	.globl guarded_call, guarded_landing
guarded_call:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	pushfq
	pushq guarded_stack(%rip)	/* calls nest */
	sub $8, %rsp			/* calls are made 16-byte aligned */
	mov %rsp, guarded_stack(%rip)
	mov %rdi, %rax
	mov %rsi, %rdi
	call *%rax
	mov $-1, %eax
guarded_landing:
	add $8, %rsp
	popq guarded_stack(%rip)
	popfq
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

/*
 * void enter_ring3(void (*function)(void), uintptr_t stack): ends with an
 * exception only, so it is called under guarded_call.  IF is off there.
 */
	.globl enter_ring3
enter_ring3:
	pushq $SDK_USER_DATA
	push %rsi
	pushq $2		/* RFLAGS: only the bit that is always 1 */
	pushq $SDK_USER_CODE
	push %rdi
	iretq

	.section .note.GNU-stack, "", @progbits
