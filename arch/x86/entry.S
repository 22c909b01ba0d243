/* SPDX-License-Identifier: MIT */
/* Where boot/ jumps to (include/mullion/boot_info.h), and where another CPU
 * arrives after its start in real mode. */
	.section .text.entry, "ax"
	.globl _start
_start:
	cli
	cld
	lea	boot_stack_end(%rip), %rsp
	xor	%ebp, %ebp
	push	%rbp			/* end of the chain of frames */
	push	%rbp
	call	x86_start
1:	hlt
	jmp	1b

/* Continue at @rdi with the stack pointer @rsi; never returns. */
	.globl switch_stack
switch_stack:
	mov	%rsi, %rsp
	xor	%ebp, %ebp
	push	%rbp
	push	%rbp
	call	*%rdi
1:	hlt
	jmp	1b

/*
 * Another processor starts here in real mode, at a page below 1 MiB that
 * this code is copied to.  processors.c fills in the words at the end.  The
 * page is mapped 1:1 while processors start.
 */
	.globl trampoline, trampoline_end
	.globl trampoline_cr3, trampoline_stack, trampoline_page
	.globl trampoline_pat
	.balign 16
	.code16
trampoline:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	trampoline_gdtr - trampoline
	mov	trampoline_cr3 - trampoline, %eax
	mov	%eax, %cr3
	mov	$0x6a0, %eax		/* PAE, PGE, OSFXSR, OSXMMEXCPT */
	mov	%eax, %cr4
	mov	$0xc0000080, %ecx	/* EFER */
	rdmsr
	or	$0x900, %eax		/* LME, NXE */
	wrmsr
	mov	$0x80010033, %eax	/* PG, WP, NE, ET, MP, PE */
	mov	%eax, %cr0
	ljmpl	*(trampoline_far - trampoline)
	.code64
trampoline_long:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	trampoline_stack(%rip), %rsp
	xor	%ebp, %ebp
	push	%rbp
	push	%rbp
	mov	$processor_main, %rax
	call	*%rax
	.balign 8
trampoline_gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* 64-bit code */
	.quad	0x00cf93000000ffff	/* data */
trampoline_gdtr:
	.word	23
trampoline_page:
	.long	trampoline_gdt - trampoline	/* + page */
	.balign 4
	.globl trampoline_far
trampoline_far:
	.long	trampoline_long - trampoline	/* + page */
	.word	0x08
	.balign 8
trampoline_cr3:
	.quad	0
trampoline_stack:
	.quad	0
trampoline_end:

	.bss
	.balign 4096
	.skip	16384
boot_stack_end:
	.section .note.GNU-stack, "", @progbits
