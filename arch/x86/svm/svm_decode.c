/* SPDX-License-Identifier: MIT */
#include "svm.h"
#include "../registers.h"

static void decode_io(struct vm_exit *exit, const struct svm_raw *raw)
{
	exit->kind = EXIT_PORT_IO;
	exit->port.port = field_get(SVM_IO_PORT, raw->info_1);
	exit->port.size = field_get(SVM_IO_SIZE, raw->info_1);
	exit->port.in = raw->info_1 & SVM_IO_IN;
	exit->port.string = raw->info_1 & SVM_IO_STRING;
	exit->port.repeat = raw->info_1 & SVM_IO_REPEAT;
	/* EXITINFO2 is the next RIP, on every processor. */
	exit->length = raw->info_2 - raw->rip;
}

static void decode_memory(struct vm_exit *exit, const struct svm_raw *raw)
{
	exit->kind = EXIT_MEMORY;
	exit->length = 0; /* the access may be any instruction's */
	exit->memory.address = gpa(raw->info_2);
	exit->memory.fetch = raw->info_1 & SVM_NPF_FETCH;
	exit->memory.write = raw->info_1 & SVM_NPF_WRITE;
	exit->memory.read = !exit->memory.fetch && !exit->memory.write;
	exit->memory.in_page_walk = raw->info_1 & SVM_NPF_IN_WALK;
}

static enum exit_kind plain_kind(uint64_t code)
{
	switch (code) {
	case SVM_EXIT_INTR:
	case SVM_EXIT_SMI:
		return EXIT_INTERRUPT;
	case SVM_EXIT_NMI:
		return EXIT_NMI;
	case SVM_EXIT_VINTR:
		return EXIT_WINDOW;
	case SVM_EXIT_CPUID:
		return EXIT_CPUID;
	case SVM_EXIT_IRET:
	case SVM_EXIT_CR8_WRITE:
		return EXIT_VENDOR;
	case SVM_EXIT_SOFTWARE:
		return EXIT_SOFTWARE_INTERRUPT;
	case SVM_EXIT_EXCEPTION + VECTOR_BP:
		return EXIT_BREAKPOINT;
	case SVM_EXIT_HLT:
		return EXIT_HALT;
	case SVM_EXIT_VMMCALL:
		return EXIT_HYPERCALL;
	case SVM_EXIT_XSETBV:
		return EXIT_XSETBV;
	case SVM_EXIT_INVD:
	case SVM_EXIT_WBINVD:
		return EXIT_CACHE;
	case SVM_EXIT_RDPMC:
		return EXIT_COUNTER;
	case SVM_EXIT_SHUTDOWN:
		return EXIT_TRIPLE_FAULT;
	case SVM_EXIT_VMRUN:
	case SVM_EXIT_VMLOAD:
	case SVM_EXIT_VMSAVE:
	case SVM_EXIT_STGI:
	case SVM_EXIT_CLGI:
	case SVM_EXIT_SKINIT:
	case SVM_EXIT_RDTSCP:
	case SVM_EXIT_RDPRU:
	case SVM_EXIT_INVLPGA:
	case SVM_EXIT_MONITOR:
	case SVM_EXIT_MWAIT:
	case SVM_EXIT_MWAIT_ARMED:
		return EXIT_PRIVILEGED;
	default:
		return EXIT_UNKNOWN;
	}
}

void svm_decode(const struct svm_raw *raw, struct vm_exit *exit)
{
	exit->raw[0] = raw->code;
	exit->raw[1] = raw->info_1;
	exit->raw[2] = raw->info_2;
	exit->words = NULL;
	exit->length = raw->next_rip ? raw->next_rip - raw->rip : 0;
	/* The processor writes 64 bits of ones, QEMU 7.2 only 32. */
	if ((uint32_t)raw->code == SVM_EXIT_INVALID) {
		exit->kind = EXIT_ENTRY_FAILED;
		return;
	}
	if (raw->code - SVM_EXIT_EXCEPTION < 32 &&
	    raw->code != SVM_EXIT_EXCEPTION + VECTOR_BP) {
		exit->kind = EXIT_VENDOR;
		return;
	}
	switch (raw->code) {
	case SVM_EXIT_IO:
		decode_io(exit, raw);
		break;
	case SVM_EXIT_MSR:
		exit->kind = raw->info_1 & 1 ? EXIT_MSR_WRITE : EXIT_MSR_READ;
		break;
	case SVM_EXIT_NESTED_PAGE_FAULT:
		decode_memory(exit, raw);
		break;
	default:
		exit->kind = plain_kind(raw->code);
		break;
	}
}

uint64_t svm_interrupted_event(uint64_t exit_int_info)
{
	uint64_t vector = field_get(SVM_EVENT_VECTOR, exit_int_info);
	uint64_t type = field_get(SVM_EVENT_TYPE, exit_int_info);

	if (!(exit_int_info & SVM_EVENT_VALID))
		return 0;
	/* INT n: RIP is still at the instruction, which runs again. */
	if (type == SVM_TYPE_SOFTWARE)
		return 0;
	/* QEMU 7.2 reports an interrupt whose delivery faulted as an
	 * exception with the interrupt's vector. */
	if (type == SVM_TYPE_EXCEPTION && vector >= 32)
		return SVM_EVENT_VALID | vector;
	if (type == SVM_TYPE_EXCEPTION && vector == 2)
		return SVM_EVENT_VALID | vector |
		       field_make(SVM_EVENT_TYPE, SVM_TYPE_NMI);
	/* INT3 and INTO are software exceptions: run again, too. */
	if (type == SVM_TYPE_EXCEPTION && (vector == 3 || vector == 4))
		return 0;
	return exit_int_info;
}
