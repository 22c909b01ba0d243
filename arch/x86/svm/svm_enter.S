/* SPDX-License-Identifier: MIT */
/*
 * The way into a guest and out of it.
 *
 * enum svm_entry svm_enter(struct vcpu *vcpu, uint64_t vmcb, uint64_t host,
 *			    volatile bool *kicked)
 *
 * The global interrupt flag is clear from the look at @kicked to the last
 * exit, so a kick that comes before is seen here, and one that comes after
 * makes VMRUN exit at once.  Interrupts are on inside (they exit,
 * V_INTR_MASKING), off again before the flag is set.  Guest RAX, RSP, RIP and
 * RFLAGS are in the VMCB; svm_run.c moves them.
 *
 * svm_fast_by_view() or svm_fast_by_hardware() is called at each exit with the
 * guest's FS, GS, TR and SYSCALL registers still loaded, which the hypervisor
 * does not use.  While it answers FAST_RESUME the guest goes on at once;
 * registers that C preserves stay the guest's and are saved only on the long
 * way.
 *
 * svm_fast_call and svm_entry_guard are sites of mitigation_patch.c.
 */
#include "../guest_registers.S"
	.set	CALLED_OFF, 0		/* enum svm_entry; the others are */
	.set	FAST_RESUME, 1		/* FAST_LONG_WAY + 1, FAST_LOOK + 1 */
	.text
	.globl svm_enter
	.globl svm_vmrun, svm_after_vmrun
	.globl svm_fast_call, svm_entry_guard
	.balign 16
svm_enter:
	push_kept
	push	%rdx			/* 16(%rsp): host state for VMLOAD */
	push	%rsi			/* 8(%rsp): VMCB */
	push	%rdi			/* (%rsp): vcpu */
	clgi
	cmpb	$0, (%rcx)
	jne	9f
svm_entry_guard:
	.nops	5
	mov	%rsi, %rax
	load_kept
	load_others
	vmload	%rax
	sti
	/* QEMU 7.2 takes the shadow of this STI into the guest, where a STI
	 * that comes first would then open none: its HLT loses a wake-up. */
	nop
	jmp	svm_vmrun
	.balign 16
svm_resume:
	mov	(%rsp), %rdi
	mov	8(%rsp), %rax
	load_others
svm_vmrun:
	vmrun	%rax
svm_after_vmrun:
	mov	(%rsp), %rax
	save_others
svm_fast_call:
	call	svm_fast_by_view	/* see svm_fast_start() */
	cmp	$FAST_RESUME, %eax
	je	svm_resume

	cli
	inc	%eax
	mov	%eax, %edx
	mov	(%rsp), %rdi
	save_kept
	mov	8(%rsp), %rax
	vmsave	%rax
	mov	16(%rsp), %rax
	vmload	%rax
	mov	%edx, %eax
	jmp	8f
9:	xor	%eax, %eax		/* CALLED_OFF */
8:	stgi
	clear_others
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop_kept
	ret
	.section .note.GNU-stack, "", @progbits
