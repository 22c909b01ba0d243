/* SPDX-License-Identifier: MIT */
/*
 * A guest's registers on their way between the processor and struct vcpu, for
 * both vendors' enter.S, which include this.  RAX and RSP are their matter.
 * KEPT are those that C preserves, which stay the guest's on the short path;
 * but RBX, which that function uses.
 */
	.set	GPR, 0			/* offset in struct vcpu */

/* From the vcpu at RDI. */
	.macro	load_kept
	mov	GPR + 5 * 8(%rdi), %rbp
	.irp	number, 12, 13, 14, 15
	mov	GPR + \number * 8(%rdi), %r\number
	.endr
	.endm

/* The same, and RDI last. */
	.macro	load_others
	mov	GPR + 1 * 8(%rdi), %rcx
	mov	GPR + 2 * 8(%rdi), %rdx
	mov	GPR + 3 * 8(%rdi), %rbx
	mov	GPR + 6 * 8(%rdi), %rsi
	.irp	number, 8, 9, 10, 11
	mov	GPR + \number * 8(%rdi), %r\number
	.endr
	mov	GPR + 7 * 8(%rdi), %rdi
	.endm

/* Into the vcpu at RAX, which is at RDI then, too. */
	.macro	save_others
	mov	%rcx, GPR + 1 * 8(%rax)
	mov	%rdx, GPR + 2 * 8(%rax)
	mov	%rbx, GPR + 3 * 8(%rax)
	mov	%rsi, GPR + 6 * 8(%rax)
	mov	%rdi, GPR + 7 * 8(%rax)
	.irp	number, 8, 9, 10, 11
	mov	%r\number, GPR + \number * 8(%rax)
	.endr
	mov	%rax, %rdi
	.endm

/* Into the vcpu at RDI. */
	.macro	save_kept
	mov	%rbp, GPR + 5 * 8(%rdi)
	.irp	number, 12, 13, 14, 15
	mov	%r\number, GPR + \number * 8(%rdi)
	.endr
	.endm

/* Nothing of the guest's stays for speculation to use. */
	.macro	clear_others
	.irp	register, ecx, edx, esi, r8d, r9d, r10d, r11d
	xor	%\register, %\register
	.endr
	.endm

/* The hypervisor's own, as C wants them back. */
	.macro	push_kept
	.irp	register, rbx, rbp, r12, r13, r14, r15
	push	%\register
	.endr
	.endm
	.macro	pop_kept
	.irp	register, r15, r14, r13, r12, rbp, rbx
	pop	%\register
	.endr
	.endm
	.section .note.GNU-stack, "", @progbits
