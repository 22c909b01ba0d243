/* SPDX-License-Identifier: MIT */
/* Entry points of exceptions and interrupts: one of 16 bytes a vector, all
 * leading to interrupt_handle(struct interrupt_frame *). */
	.text
	.balign 16
	.globl interrupt_entries
interrupt_entries:
	.set	vector, 0
	.rept	256
	.balign 16
	.if	(vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
	.else
	push	$0		/* where others have an error code */
	.endif
	push	$vector
	jmp	interrupt_common
	.set	vector, vector + 1
	.endr

	.balign 16
interrupt_common:
	.irp	register, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	push	%\register
	.endr
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbx
	and	$-16, %rsp
	call	interrupt_handle
	mov	%rbx, %rsp
	.irp	register, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
	pop	%\register
	.endr
	add	$16, %rsp
	iretq

/*
 * void idle_wait(volatile bool *kicked): HLT unless a kick has come.
 *
 * Interrupts are on only from the HLT itself, in whose shadow of STI none is
 * taken: one that came earlier would be over before the HLT, which would then
 * sleep over what it was for.  An NMI comes at any time, so its handler moves
 * RIP from [idle_look, idle_end) to idle_end.
 */
	.balign 16
	.globl idle_wait, idle_look, idle_end
idle_wait:
idle_look:
	cmpb	$0, (%rdi)
	jne	idle_end
	sti
	hlt
idle_end:
	cli
	ret
/*
 * void idle_wait_kick(volatile bool *kicked): the same where the local APIC is a
 * guest's: interrupts stay off, so that only an NMI ends the HLT.
 */
	.balign 16
	.globl idle_wait_kick, idle_kick_look, idle_kick_end
idle_wait_kick:
idle_kick_look:
	cmpb	$0, (%rdi)
	jne	idle_kick_end
	hlt
idle_kick_end:
	ret

/* An interrupt that is for nobody any more: see interrupts_discard(). */
	.globl interrupt_discarded
interrupt_discarded:
	push	%rax
	push	%rcx
	push	%rdx
	mov	$0x80b, %ecx		/* EOI in x2APIC mode */
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
	pop	%rdx
	pop	%rcx
	pop	%rax
	iretq
	.section .note.GNU-stack, "", @progbits
