/* SPDX-License-Identifier: MIT */
/*
 * The way into a guest and out of it.
 *
 * enum vmx_entry vmx_enter(struct vcpu *vcpu, bool launched,
 *			    volatile bool *kicked, uint64_t *host_rsp)
 *
 * VT-x has no flag that holds an NMI back.  One that lands from the look at
 * @kicked to the entry would be lost, so its handler moves RIP from
 * [vmx_enter_look, vmx_enter_failed) to vmx_enter_abort; RSP is the same on
 * all of that way.  One that comes later makes the guest exit at once.
 * The same holds for [vmx_fast_look, vmx_fast_failed) and vmx_fast_abort.
 * Guest RSP, RIP and RFLAGS are in the VMCS; vmx_run.c moves them.
 *
 * vmx_fast() is called at each exit.  While it answers FAST_RESUME the guest
 * goes on at once; registers that C preserves stay the guest's and are saved
 * only on the long way.
 *
 * vmx_fast_call, vmx_entry_guard, vmx_enter_undo and vmx_fast_undo are sites of
 * mitigation_patch.c.  None is where an NMI moves RIP: RSP is another inside.
 */
#include "../guest_registers.S"
	.set	HOST_RSP, 0x6c14
	.set	ABORTED, 0	/* enum vmx_entry */
	.set	EXITED, 1
	.set	REFUSED, 2
	.set	HANDLED, 3
	.set	FAST_RESUME, 1		/* enum fast_exit */
	.text
	.globl vmx_enter, vmx_exit
	.globl vmx_enter_look, vmx_enter_failed, vmx_enter_abort
	.globl vmx_fast_look, vmx_fast_failed, vmx_fast_abort
	.globl vmx_fast_call, vmx_entry_guard, vmx_enter_undo, vmx_fast_undo
	.balign 16
vmx_enter:
	push_kept
	push	%rcx			/* for the alignment of the stack */
	push	%rdx			/* 8(%rsp): kicked */
	push	%rdi			/* (%rsp): vcpu */
	cmp	%rsp, (%rcx)		/* the same as at the last entry? */
	je	vmx_entry_guard
	mov	%rsp, (%rcx)
	mov	$HOST_RSP, %eax
	vmwrite	%rsp, %rax
vmx_entry_guard:
	.nops	5
vmx_enter_look:
	cmpb	$0, (%rdx)
	jne	vmx_enter_abort
	test	%sil, %sil
	mov	GPR + 0 * 8(%rdi), %rax
	load_kept
	load_others
	jz	1f
	vmresume
	jmp	vmx_enter_failed
1:	vmlaunch
vmx_enter_failed:
	mov	$REFUSED, %r8d
	jmp	vmx_enter_undo
vmx_enter_abort:
	mov	$ABORTED, %r8d
vmx_enter_undo:
	.nops	5
	mov	%r8d, %eax
	jmp	8f
	.balign 16
vmx_exit:
	push	%rax
	mov	8(%rsp), %rax
	save_others
	pop	%rax
	mov	%rax, GPR + 0 * 8(%rdi)
vmx_fast_call:
	call	vmx_fast
	cmp	$FAST_RESUME, %eax
	jne	7f
vmx_fast_look:
	mov	8(%rsp), %rax
	cmpb	$0, (%rax)
	jne	vmx_fast_abort
	mov	(%rsp), %rdi
	mov	GPR + 0 * 8(%rdi), %rax
	load_others
	vmresume
vmx_fast_failed:
	mov	$REFUSED, %r8d
	jmp	vmx_fast_undo
vmx_fast_abort:
	mov	$HANDLED, %r8d
vmx_fast_undo:
	.nops	5
	mov	%r8d, %eax
	jmp	6f
7:	inc	%eax			/* EXITED or HANDLED */
6:	mov	(%rsp), %rdi
	save_kept
8:	clear_others
	pop	%rdi
	pop	%rdx
	pop	%rcx
	pop_kept
	ret
	.section .note.GNU-stack, "", @progbits
