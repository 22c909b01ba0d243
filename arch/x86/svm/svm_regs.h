/* SPDX-License-Identifier: MIT */
/* AMD-V: the VMCB and its codes.  AMD 24593, "VMCB Layout, Control Area",
 * "VMCB Layout, State Save Area" and "SVM Intercept Codes". */
#ifndef SVM_REGS_H
#define SVM_REGS_H

#include <assert.h>
#include <mullion/bits.h>
#include <stddef.h>
#include <stdint.h>

#define MSR_VM_CR 0xc0010114
#define VM_CR_SVMDIS BIT(4)
#define MSR_VM_HSAVE_PA 0xc0010117

/* "CPUID Fn8000_000A_EDX SVM Feature Identification" */
#define SVM_FEATURE_NESTED_PAGING BIT(0)
#define SVM_FEATURE_NRIP_SAVE BIT(3)

struct svm_segment {
	uint16_t selector;
	uint16_t attributes; /* bits 55:52 and 47:40 of the descriptor */
	uint32_t limit;
	uint64_t base;
};

struct vmcb {
	/* control area */
	uint16_t intercept_cr_read, intercept_cr_write;
	uint16_t intercept_dr_read, intercept_dr_write;
	uint32_t intercept_exceptions;
	uint32_t intercept_1, intercept_2, intercept_3;
	uint8_t reserved_018[0x3c - 0x18];
	uint16_t pause_threshold, pause_count;
	uint64_t iopm_base, msrpm_base;
	uint64_t tsc_offset;
	uint32_t asid;
	uint8_t tlb_control;
	uint8_t reserved_05d[3];
	uint32_t v_intr; /* V_TPR, V_IRQ, V_INTR_PRIO, V_IGN_TPR, masking */
	uint32_t v_intr_vector;
	uint64_t interrupt_shadow; /* bit 0; bit 1: guest interrupt mask */
	uint64_t exit_code, exit_info_1, exit_info_2, exit_int_info;
	uint64_t nested_control; /* bit 0: nested paging */
	uint64_t avic_bar, ghcb;
	uint64_t event_injection;
	uint64_t nested_cr3;
	uint64_t lbr_control;
	uint32_t clean;
	uint32_t reserved_0c4;
	uint64_t next_rip;
	uint8_t fetched_count;
	uint8_t fetched[15];
	uint8_t reserved_0e0[0x400 - 0xe0];
	/* state save area */
	struct svm_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t reserved_4a0[0x4cb - 0x4a0];
	uint8_t cpl;
	uint32_t reserved_4cc;
	uint64_t efer;
	uint8_t reserved_4d8[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t reserved_580[0x5d8 - 0x580];
	uint64_t rsp;
	uint8_t reserved_5e0[0x5f8 - 0x5e0];
	uint64_t rax;
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t cr2;
	uint8_t reserved_648[0x668 - 0x648];
	uint64_t pat;
	uint8_t reserved_670[0x1000 - 0x670];
} __attribute__((aligned(4096)));
static_assert(offsetof(struct vmcb, iopm_base) == 0x40, "VMCB");
static_assert(offsetof(struct vmcb, v_intr) == 0x60, "VMCB");
static_assert(offsetof(struct vmcb, exit_code) == 0x70, "VMCB");
static_assert(offsetof(struct vmcb, nested_control) == 0x90, "VMCB");
static_assert(offsetof(struct vmcb, event_injection) == 0xa8, "VMCB");
static_assert(offsetof(struct vmcb, nested_cr3) == 0xb0, "VMCB");
static_assert(offsetof(struct vmcb, next_rip) == 0xc8, "VMCB");
static_assert(offsetof(struct vmcb, es) == 0x400, "VMCB");
static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "VMCB");
static_assert(offsetof(struct vmcb, efer) == 0x4d0, "VMCB");
static_assert(offsetof(struct vmcb, cr4) == 0x548, "VMCB");
static_assert(offsetof(struct vmcb, rip) == 0x578, "VMCB");
static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "VMCB");
static_assert(offsetof(struct vmcb, rax) == 0x5f8, "VMCB");
static_assert(offsetof(struct vmcb, cr2) == 0x640, "VMCB");
static_assert(offsetof(struct vmcb, pat) == 0x668, "VMCB");
static_assert(sizeof(struct vmcb) == 4096, "VMCB");

/* svm_segment.attributes */
#define SVM_SEGMENT_LONG BIT(9)

/* intercept_cr_write: a bit a register */
#define SVM_CR_8 BIT(8)

/* intercept_exceptions: a bit a vector */
#define SVM_EXCEPTION_DB BIT(1)
#define SVM_EXCEPTION_BP BIT(3)
#define SVM_EXCEPTION_AC BIT(17)
#define SVM_EXCEPTION_MC BIT(18)

/* intercept_1 */
#define SVM_INTERCEPT_INTR BIT(0)
#define SVM_INTERCEPT_NMI BIT(1)
#define SVM_INTERCEPT_SMI BIT(2)
#define SVM_INTERCEPT_INIT BIT(3)
#define SVM_INTERCEPT_VINTR BIT(4)
#define SVM_INTERCEPT_RDPMC BIT(15)
#define SVM_INTERCEPT_CPUID BIT(18)
#define SVM_INTERCEPT_IRET BIT(20)
#define SVM_INTERCEPT_SOFTWARE BIT(21) /* INT n */
#define SVM_INTERCEPT_INVD BIT(22)
#define SVM_INTERCEPT_HLT BIT(24)
#define SVM_INTERCEPT_INVLPGA BIT(26)
#define SVM_INTERCEPT_IO BIT(27)
#define SVM_INTERCEPT_MSR BIT(28)
#define SVM_INTERCEPT_SHUTDOWN BIT(31)
/* intercept_2 */
#define SVM_INTERCEPT_VMRUN BIT(0)
#define SVM_INTERCEPT_VMMCALL BIT(1)
#define SVM_INTERCEPT_VMLOAD BIT(2)
#define SVM_INTERCEPT_VMSAVE BIT(3)
#define SVM_INTERCEPT_STGI BIT(4)
#define SVM_INTERCEPT_CLGI BIT(5)
#define SVM_INTERCEPT_SKINIT BIT(6)
#define SVM_INTERCEPT_RDTSCP BIT(7)
#define SVM_INTERCEPT_WBINVD BIT(9)
#define SVM_INTERCEPT_MONITOR BIT(10)
#define SVM_INTERCEPT_MWAIT BIT(11)
#define SVM_INTERCEPT_MWAIT_ARMED BIT(12)
#define SVM_INTERCEPT_XSETBV BIT(13)
#define SVM_INTERCEPT_RDPRU BIT(14)

/* v_intr */
#define SVM_V_TPR BITS(7, 0)
#define SVM_V_IRQ BIT(8)
#define SVM_V_INTR_PRIORITY BITS(19, 16)
#define SVM_V_IGNORE_TPR BIT(20)
#define SVM_V_INTR_MASKING BIT(24)
/* A virtual interrupt that waits for nothing but RFLAGS.IF. */
#define SVM_V_REQUEST (SVM_V_IRQ | SVM_V_IGNORE_TPR | SVM_V_INTR_PRIORITY)

#define SVM_TLB_FLUSH_ALL 1

/* event_injection, exit_int_info: "EVENTINJ" */
#define SVM_EVENT_VECTOR BITS(7, 0)
#define SVM_EVENT_TYPE BITS(10, 8)
#define SVM_EVENT_HAS_CODE BIT(11)
#define SVM_EVENT_VALID BIT(31)
#define SVM_EVENT_CODE BITS(63, 32)
#define SVM_TYPE_INTERRUPT 0
#define SVM_TYPE_NMI 2
#define SVM_TYPE_EXCEPTION 3
#define SVM_TYPE_SOFTWARE 4

/* exit codes */
#define SVM_EXIT_CR8_WRITE 0x18
#define SVM_EXIT_EXCEPTION 0x40 /* + vector, 0..31 */
#define SVM_EXIT_INTR 0x60
#define SVM_EXIT_NMI 0x61
#define SVM_EXIT_SMI 0x62
#define SVM_EXIT_VINTR 0x64
#define SVM_EXIT_RDPMC 0x6f
#define SVM_EXIT_CPUID 0x72
#define SVM_EXIT_IRET 0x74
#define SVM_EXIT_SOFTWARE 0x75
#define SVM_EXIT_INVD 0x76
#define SVM_EXIT_HLT 0x78
#define SVM_EXIT_INVLPGA 0x7a
#define SVM_EXIT_IO 0x7b
#define SVM_EXIT_MSR 0x7c
#define SVM_EXIT_SHUTDOWN 0x7f
#define SVM_EXIT_VMRUN 0x80
#define SVM_EXIT_VMMCALL 0x81
#define SVM_EXIT_VMLOAD 0x82
#define SVM_EXIT_VMSAVE 0x83
#define SVM_EXIT_STGI 0x84
#define SVM_EXIT_CLGI 0x85
#define SVM_EXIT_SKINIT 0x86
#define SVM_EXIT_RDTSCP 0x87
#define SVM_EXIT_WBINVD 0x89
#define SVM_EXIT_MONITOR 0x8a
#define SVM_EXIT_MWAIT 0x8b
#define SVM_EXIT_MWAIT_ARMED 0x8c
#define SVM_EXIT_XSETBV 0x8d
#define SVM_EXIT_RDPRU 0x8e
#define SVM_EXIT_NESTED_PAGE_FAULT 0x400
#define SVM_EXIT_INVALID 0xffffffffu /* in the low 32 bits */

/* "EXITINFO1 for IOIO Intercept" */
#define SVM_IO_IN BIT(0)
#define SVM_IO_STRING BIT(2)
#define SVM_IO_REPEAT BIT(3)
#define SVM_IO_SIZE BITS(6, 4)
#define SVM_IO_PORT BITS(31, 16)

/* "EXITINFO1 for Nested Page Fault" */
#define SVM_NPF_WRITE BIT(1)
#define SVM_NPF_FETCH BIT(4)
#define SVM_NPF_IN_WALK BIT(33)

#endif
