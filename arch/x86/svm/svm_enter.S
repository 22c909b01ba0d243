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
	.set	GPR, 0
	.set	CALLED_OFF, 0		/* enum svm_entry; the others are */
	.set	FAST_RESUME, 1		/* FAST_LONG_WAY + 1, FAST_LOOK + 1 */
	.text
	.globl svm_enter
	.globl svm_vmrun, svm_after_vmrun
	.globl svm_fast_call, svm_entry_guard
	.balign 16
svm_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdx			/* 16(%rsp): host state for VMLOAD */
	push	%rsi			/* 8(%rsp): VMCB */
	push	%rdi			/* (%rsp): vcpu */
	clgi
	cmpb	$0, (%rcx)
	jne	9f
svm_entry_guard:
	.nops	5
	mov	%rsi, %rax
	mov	GPR + 1 * 8(%rdi), %rcx
	mov	GPR + 2 * 8(%rdi), %rdx
	mov	GPR + 3 * 8(%rdi), %rbx
	mov	GPR + 5 * 8(%rdi), %rbp
	mov	GPR + 6 * 8(%rdi), %rsi
	mov	GPR + 8 * 8(%rdi), %r8
	mov	GPR + 9 * 8(%rdi), %r9
	mov	GPR + 10 * 8(%rdi), %r10
	mov	GPR + 11 * 8(%rdi), %r11
	mov	GPR + 12 * 8(%rdi), %r12
	mov	GPR + 13 * 8(%rdi), %r13
	mov	GPR + 14 * 8(%rdi), %r14
	mov	GPR + 15 * 8(%rdi), %r15
	mov	GPR + 7 * 8(%rdi), %rdi
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
	mov	GPR + 1 * 8(%rdi), %rcx
	mov	GPR + 2 * 8(%rdi), %rdx
	mov	GPR + 3 * 8(%rdi), %rbx
	mov	GPR + 6 * 8(%rdi), %rsi
	mov	GPR + 8 * 8(%rdi), %r8
	mov	GPR + 9 * 8(%rdi), %r9
	mov	GPR + 10 * 8(%rdi), %r10
	mov	GPR + 11 * 8(%rdi), %r11
	mov	GPR + 7 * 8(%rdi), %rdi
svm_vmrun:
	vmrun	%rax
svm_after_vmrun:
	mov	(%rsp), %rax
	mov	%rcx, GPR + 1 * 8(%rax)
	mov	%rdx, GPR + 2 * 8(%rax)
	mov	%rbx, GPR + 3 * 8(%rax)
	mov	%rsi, GPR + 6 * 8(%rax)
	mov	%rdi, GPR + 7 * 8(%rax)
	mov	%r8, GPR + 8 * 8(%rax)
	mov	%r9, GPR + 9 * 8(%rax)
	mov	%r10, GPR + 10 * 8(%rax)
	mov	%r11, GPR + 11 * 8(%rax)
	mov	%rax, %rdi
svm_fast_call:
	call	svm_fast_by_view	/* see svm_fast_start() */
	cmp	$FAST_RESUME, %eax
	je	svm_resume

	cli
	inc	%eax
	mov	%eax, %edx
	mov	(%rsp), %rdi
	mov	%rbp, GPR + 5 * 8(%rdi)
	mov	%r12, GPR + 12 * 8(%rdi)
	mov	%r13, GPR + 13 * 8(%rdi)
	mov	%r14, GPR + 14 * 8(%rdi)
	mov	%r15, GPR + 15 * 8(%rdi)
	mov	8(%rsp), %rax
	vmsave	%rax
	mov	16(%rsp), %rax
	vmload	%rax
	mov	%edx, %eax
	jmp	8f
9:	xor	%eax, %eax		/* CALLED_OFF */
8:	stgi
	/* Nothing of the guest's stays for speculation to use. */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.section .note.GNU-stack, "", @progbits
