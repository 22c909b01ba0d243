/* SPDX-License-Identifier: MIT */
/*
 * A guest without the SDK, of 32 bits, that can be started in three ways:
 * Multiboot 1, Multiboot 2 and PVH.  It keeps what it finds in the registers.
 */
#define MAGIC_1 0x1badb002
#define FLAGS_1 3 /* modules begin a page; tell of memory */
#define MAGIC_2 0xe85250d6
#define LENGTH_2 (header_2_end - header_2)

	.section .multiboot, "a"
	.balign 8
	.long MAGIC_1, FLAGS_1, -(MAGIC_1 + FLAGS_1)
	.balign 8
header_2:
	.long MAGIC_2, 0, LENGTH_2, -(MAGIC_2 + LENGTH_2)
request:
	.word 1, 0
	.long request_end - request
	.long 1, 3, 4, 6, 15 /* command line, modules, memory, map, RSDP */
request_end:
	.balign 8
	.word 6, 0 /* modules begin a page */
	.long 8
	.word 99, 1 /* nobody knows it, but it is optional */
	.long 9
	.byte 0
	.balign 8
	.word 0, 0
	.long 8
header_2_end:

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long entry

	.text
	.code32
	.globl entry
entry:
	movl %eax, found_eax
	movl %ebx, found_ebx
	movl %esp, found_esp
	movl $stack_top, %esp
	pushfl
	popl found_eflags
	movl %cr0, %eax
	movl %eax, found_cr0
	movl %cr4, %eax
	movl %eax, found_cr4
	movl $0xc0000080, %ecx /* EFER */
	rdmsr
	movl %eax, found_efer
	sidt found_idtr
	movl %cs, %eax
	movl %eax, found_cs
	/* The selectors can be loaded again, so the GDT is the loader's. */
	movl %ds, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %fs
	movl %eax, %gs
	movl %eax, %ss
	pushl %cs
	pushl $1f
	lretl
1:	call boot32
2:	cli
	hlt
	jmp 2b

	.bss
	.balign 16
	.skip 16384
stack_top:
	.section .note.GNU-stack, "", @progbits
