/* SPDX-License-Identifier: MIT */
/*
 * The way into a guest and out of it.
 *
 * void svm_enter(struct vcpu *vcpu, uint64_t vmcb, uint64_t host, volatile
 *		  bool *kicked)
 *
 * The global interrupt flag is clear from the look at @kicked to the entry,
 * so a kick that comes before is seen here, and one that comes after makes
 * VMRUN exit at once.  Interrupts are on inside (they exit, V_INTR_MASKING),
 * off again before the flag is set.  Guest RAX, RSP, RIP and RFLAGS are in
 * the VMCB; svm.c moves them.
 */
	.set	GPR, 0
	.text
	.globl svm_enter
	.globl svm_vmrun, svm_after_vmrun
	.balign 16
svm_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdx			/* host state for VMLOAD */
	push	%rdi			/* vcpu */
	clgi
	cmpb	$0, (%rcx)
	jne	9f
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
svm_vmrun:
	vmrun	%rax
svm_after_vmrun:
	cli
	vmsave	%rax
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rcx, GPR + 1 * 8(%rdi)
	mov	%rdx, GPR + 2 * 8(%rdi)
	mov	%rbx, GPR + 3 * 8(%rdi)
	mov	%rbp, GPR + 5 * 8(%rdi)
	mov	%rsi, GPR + 6 * 8(%rdi)
	mov	%r8, GPR + 8 * 8(%rdi)
	mov	%r9, GPR + 9 * 8(%rdi)
	mov	%r10, GPR + 10 * 8(%rdi)
	mov	%r11, GPR + 11 * 8(%rdi)
	mov	%r12, GPR + 12 * 8(%rdi)
	mov	%r13, GPR + 13 * 8(%rdi)
	mov	%r14, GPR + 14 * 8(%rdi)
	mov	%r15, GPR + 15 * 8(%rdi)
	pop	%rax
	mov	%rax, GPR + 7 * 8(%rdi)
	mov	8(%rsp), %rax
	vmload	%rax
	mov	$1, %eax
	jmp	8f
9:	xor	%eax, %eax
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
	pop	%rdx
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.section .note.GNU-stack, "", @progbits
