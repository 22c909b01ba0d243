/* SPDX-License-Identifier: MIT */
/* The first instructions of the guest, before the SDK's: what is in the
 * registers then.  And a loop that holds a secret in each of them. */
#include "layout.h"

	.text
	.globl guest_entry
guest_entry:
	mov %rax, entered + 0 * 8(%rip)
	mov %rcx, entered + 1 * 8(%rip)
	mov %rdx, entered + 2 * 8(%rip)
	mov %rbx, entered + 3 * 8(%rip)
	mov %rsp, entered + 4 * 8(%rip)
	mov %rbp, entered + 5 * 8(%rip)
	mov %rsi, entered + 6 * 8(%rip)
	mov %rdi, entered + 7 * 8(%rip)
	mov %r8, entered + 8 * 8(%rip)
	mov %r9, entered + 9 * 8(%rip)
	mov %r10, entered + 10 * 8(%rip)
	mov %r11, entered + 11 * 8(%rip)
	mov %r12, entered + 12 * 8(%rip)
	mov %r13, entered + 13 * 8(%rip)
	mov %r14, entered + 14 * 8(%rip)
	mov %r15, entered + 15 * 8(%rip)
	pushfq
	popq entered + 16 * 8(%rip)
	mov %cr2, %rax
	mov %rax, entered + 17 * 8(%rip)
	mov %cr3, %rax
	mov %rax, entered + 18 * 8(%rip)
	mov %cr8, %rax
	mov %rax, entered + 19 * 8(%rip)
	mov $0xc0000100, %ecx		/* FS_BASE: 20; GS_BASE: 21 */
	rdmsr
	mov %eax, entered + 20 * 8(%rip)
	mov %edx, entered + 20 * 8 + 4(%rip)
	inc %ecx
	rdmsr
	mov %eax, entered + 21 * 8(%rip)
	mov %edx, entered + 21 * 8 + 4(%rip)
	sldt entered + 22 * 8(%rip)
	str entered + 23 * 8(%rip)
	sgdt entered + 24 * 8(%rip)
	sidt entered + 26 * 8(%rip)
	jmp _start			/* RDI is as it was */

/*
 * void registers_hold(uint64_t secret, uint64_t rounds, bool halting)
 * Puts secret, secret + 1, ... into all registers but RSP, goes round, with a
 * HLT each time or without, and leaves in registers_held what they are then.
 */
	.globl registers_hold
registers_hold:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsi, rounds_left(%rip)
	mov %dl, halting(%rip)
	lea 0(%rdi), %rax
	lea 1(%rdi), %rcx
	lea 2(%rdi), %rdx
	lea 3(%rdi), %rbx
	lea 5(%rdi), %rbp
	lea 6(%rdi), %rsi
	lea 8(%rdi), %r8
	lea 9(%rdi), %r9
	lea 10(%rdi), %r10
	lea 11(%rdi), %r11
	lea 12(%rdi), %r12
	lea 13(%rdi), %r13
	lea 14(%rdi), %r14
	lea 15(%rdi), %r15
	lea 7(%rdi), %rdi
1:	cmpb $0, halting(%rip)
	je 2f
	sti
	hlt
	cli
2:	decq rounds_left(%rip)
	jnz 1b
	mov %rax, registers_held + 0 * 8(%rip)
	mov %rcx, registers_held + 1 * 8(%rip)
	mov %rdx, registers_held + 2 * 8(%rip)
	mov %rbx, registers_held + 3 * 8(%rip)
	mov %rbp, registers_held + 5 * 8(%rip)
	mov %rsi, registers_held + 6 * 8(%rip)
	mov %rdi, registers_held + 7 * 8(%rip)
	mov %r8, registers_held + 8 * 8(%rip)
	mov %r9, registers_held + 9 * 8(%rip)
	mov %r10, registers_held + 10 * 8(%rip)
	mov %r11, registers_held + 11 * 8(%rip)
	mov %r12, registers_held + 12 * 8(%rip)
	mov %r13, registers_held + 13 * 8(%rip)
	mov %r14, registers_held + 14 * 8(%rip)
	mov %r15, registers_held + 15 * 8(%rip)
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.bss
	.balign 8
rounds_left:
	.quad 0
halting:
	.byte 0
	.section .note.GNU-stack, "", @progbits
