/* SPDX-License-Identifier: MIT */
/*
 * What follows an exit and what comes before an entry, where the processor
 * needs it.  Each NOP of five bytes becomes a call of one sequence, by the
 * table in mitigation_patch.c.  Sequences change RAX, RCX and RDX only.
 */
	.set	FAST_RESUME, 1		/* enum fast_exit */
	.set	MSR_SPEC_CTRL, 0x48
	.set	MSR_PRED_CMD, 0x49
	.set	MSR_FLUSH_CMD, 0x10b
	.text
	.globl guarded_fast, guarded_call, guarded_entry
	.globl exit_ibpb, exit_fence, exit_ibrs, exit_rsb, exit_bhb
	.globl entry_l1d, entry_ibrs, entry_verw
	.globl ibpb, fence, ibrs_on, ibrs_off, rsb_refill, bhb_loop
	.globl verw_buffers, l1d_flush
	.globl mitigation_spec_ctrl_host, mitigation_spec_ctrl_guest

/*
 * In place of the short path's function.  Until here nothing has returned and
 * nothing has branched indirectly.  IBPB comes first, since without it even a
 * RET is not safe where there is need for it.
 */
	.balign 16
guarded_fast:
	sub	$8, %rsp		/* for the alignment of the stack */
exit_ibpb:
	.nops	5
exit_fence:
	.nops	5
exit_ibrs:
	.nops	5
exit_rsb:
	.nops	5
exit_bhb:
	.nops	5
guarded_call:
	call	vmx_fast		/* or SVM's, see svm_fast_start() */
	cmp	$FAST_RESUME, %eax
	jne	1f
	call	before_entry
	mov	$FAST_RESUME, %eax
1:	add	$8, %rsp
	ret

/* On the long way, where other guests' data may have been touched.  What is
 * read behind it is the stack and the guest's own registers. */
guarded_entry:
	mov	%rdx, %r8
entry_l1d:
	.nops	5
	call	before_entry
	mov	%r8, %rdx
	ret

before_entry:
entry_ibrs:
	.nops	5
entry_verw:
	.nops	5
	ret

	.balign 16
ibpb:
	mov	$1, %eax
	mov	$MSR_PRED_CMD, %ecx
	jmp	write_command
l1d_flush:
	mov	$1, %eax
	mov	$MSR_FLUSH_CMD, %ecx
	jmp	write_command
ibrs_on:
	mov	mitigation_spec_ctrl_host(%rip), %eax
	mov	$MSR_SPEC_CTRL, %ecx
	jmp	write_command
ibrs_off:
	mov	mitigation_spec_ctrl_guest(%rip), %eax
	mov	$MSR_SPEC_CTRL, %ecx
write_command:
	xor	%edx, %edx
	wrmsr
	ret

/* Behind the CALL that led here, so that no RET is predicted without one. */
fence:
	lfence
	ret

/* VERW empties the buffers only when its operand is in memory. */
verw_buffers:
	verw	data_selector(%rip)
	ret
data_selector:
	.word	0x10			/* SELECTOR_DATA */

/* 32 return addresses of the hypervisor's, which lead speculation nowhere.
 * The RET at the end is mispredicted once, which costs less than the rest. */
	.balign 16
rsb_refill:
	mov	$16, %eax
1:	call	2f
	int3
2:	call	3f
	int3
3:	add	$16, %rsp
	dec	%eax
	jnz	1b
	lfence
	ret

/* Intel 336996's software sequence: 25 taken branches and more, so that the
 * branch history is the same whatever the guest has done. */
	.balign 64, 0xcc
bhb_loop:
	mov	$5, %ecx
	call	1f
	lfence
	ret
	.balign 64, 0xcc
1:	call	2f
	ret
	.balign 64, 0xcc
2:	mov	$5, %eax
3:	jmp	4f
	nop
4:	sub	$1, %eax
	jnz	3b
	sub	$1, %ecx
	jnz	1b
	ret

/*
 * The compiler calls through a register by these (-mindirect-branch): of eight
 * bytes each, so that each can become a jump to its retpoline, of 32 bytes.
 * GCC's manual, "x86 Options"; Intel 337131, "Retpoline".
 */
	.globl indirect_thunks, retpolines
	.balign 64, 0xcc
indirect_thunks:
	.irp	register, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	.balign 8, 0xcc
	.globl	__x86_indirect_thunk_\register
__x86_indirect_thunk_\register:
	jmp	*%\register
	.endr
	.balign 64, 0xcc
retpolines:
	.irp	register, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	.balign 32, 0xcc
	call	2f
1:	pause
	lfence
	jmp	1b
2:	mov	%\register, (%rsp)
	ret
	.endr

	.data
	.balign 4
mitigation_spec_ctrl_host:
	.long	0
mitigation_spec_ctrl_guest:
	.long	0
	.section .note.GNU-stack, "", @progbits
