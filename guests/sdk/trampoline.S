/* SPDX-License-Identifier: MIT */
/*
 * Where a vCPU lands after SIPI: real mode, CS base = SDK_TRAMPOLINE.  The
 * code is copied there; it goes to long mode in one step.
 */
#include "layout.h"

#define CR4_PAE 0x20
#define CR0_START 0x80000033		/* PG, NE, ET, MP, PE */
#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

	.section .rodata
	.globl trampoline_begin, trampoline_end
	.code16
trampoline_begin:
	cli
	cld
	mov %cs, %ax
	mov %ax, %ds
	lgdtl gdt_pointer - trampoline_begin
	mov $CR4_PAE, %eax
	mov %eax, %cr4
	mov trampoline_cr3 - trampoline_begin, %eax
	mov %eax, %cr3
	mov $MSR_EFER, %ecx
	rdmsr
	or $EFER_LME, %eax
	wrmsr
	mov $CR0_START, %eax
	mov %eax, %cr0
	ljmpl $SDK_CODE, $(SDK_TRAMPOLINE + long_mode - trampoline_begin)

	.code64
long_mode:
	mov $SDK_DATA, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov trampoline_index(%rip), %edi
	mov trampoline_stack(%rip), %rsp
	xor %ebp, %ebp
	call *trampoline_entry(%rip)

	.balign 8
gdt:	.quad 0
	.quad 0x00209b0000000000	/* SDK_CODE: 64-bit code */
	.quad 0x0000930000000000	/* SDK_DATA */
gdt_pointer:
	.word . - gdt - 1
	.long SDK_TRAMPOLINE + gdt - trampoline_begin

	.balign 8
	.globl trampoline_cr3, trampoline_index, trampoline_stack
	.globl trampoline_entry
trampoline_cr3:	.quad 0
trampoline_stack: .quad 0
trampoline_entry: .quad 0
trampoline_index: .quad 0
trampoline_end:

	.section .note.GNU-stack, "", @progbits
