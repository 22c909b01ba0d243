/* SPDX-License-Identifier: MIT */
#include "vmx.h"
#include "../registers.h"

#define LENGTH VMX_NEEDS_LENGTH
#define QUALIFICATION VMX_NEEDS_QUALIFICATION
#define ADDRESS VMX_NEEDS_ADDRESS
#define EVENT VMX_NEEDS_EVENT

/* SDM 326019, "VMX Basic Exit Reasons".  EXIT_UNKNOWN: never asked for, and
 * ends the guest with the name.  Lengths are for what is skipped. */
static const struct reason {
	const char *name;
	enum exit_kind kind;
	unsigned int needs;
} reasons[VMX_REASON_COUNT] = {
	[0] = { "exception or NMI", EXIT_UNKNOWN,
		EVENT | QUALIFICATION | LENGTH },
	[1] = { "external interrupt", EXIT_INTERRUPT, 0 },
	[2] = { "triple fault", EXIT_TRIPLE_FAULT, 0 },
	[3] = { "INIT signal", EXIT_UNKNOWN, 0 },
	[4] = { "start-up IPI", EXIT_UNKNOWN, QUALIFICATION },
	[5] = { "I/O system-management interrupt", EXIT_UNKNOWN, 0 },
	[6] = { "system-management interrupt", EXIT_UNKNOWN, 0 },
	[7] = { "interrupt window", EXIT_WINDOW, 0 },
	[8] = { "NMI window", EXIT_WINDOW, 0 },
	[9] = { "task switch", EXIT_UNKNOWN, QUALIFICATION },
	[10] = { "CPUID", EXIT_CPUID, LENGTH },
	[11] = { "GETSEC", EXIT_PRIVILEGED, 0 },
	[12] = { "HLT", EXIT_HALT, LENGTH },
	[13] = { "INVD", EXIT_CACHE, LENGTH },
	[14] = { "INVLPG", EXIT_UNKNOWN, QUALIFICATION },
	[15] = { "RDPMC", EXIT_COUNTER, 0 },
	[16] = { "RDTSC", EXIT_UNKNOWN, 0 },
	[17] = { "RSM", EXIT_PRIVILEGED, 0 },
	[18] = { "VMCALL", EXIT_HYPERCALL, LENGTH },
	[19] = { "VMCLEAR", EXIT_PRIVILEGED, 0 },
	[20] = { "VMLAUNCH", EXIT_PRIVILEGED, 0 },
	[21] = { "VMPTRLD", EXIT_PRIVILEGED, 0 },
	[22] = { "VMPTRST", EXIT_PRIVILEGED, 0 },
	[23] = { "VMREAD", EXIT_PRIVILEGED, 0 },
	[24] = { "VMRESUME", EXIT_PRIVILEGED, 0 },
	[25] = { "VMWRITE", EXIT_PRIVILEGED, 0 },
	[26] = { "VMXOFF", EXIT_PRIVILEGED, 0 },
	[27] = { "VMXON", EXIT_PRIVILEGED, 0 },
	[28] = { "control-register access", EXIT_VENDOR,
		 QUALIFICATION | LENGTH },
	[29] = { "debug-register access", EXIT_UNKNOWN, QUALIFICATION },
	[30] = { "I/O instruction", EXIT_PORT_IO, QUALIFICATION | LENGTH },
	[31] = { "RDMSR", EXIT_MSR_READ, LENGTH },
	[32] = { "WRMSR", EXIT_MSR_WRITE, LENGTH },
	[33] = { "entry failure due to invalid guest state", EXIT_UNKNOWN,
		 QUALIFICATION },
	[34] = { "entry failure due to MSR loading", EXIT_UNKNOWN,
		 QUALIFICATION },
	[36] = { "MWAIT", EXIT_PRIVILEGED, 0 },
	[37] = { "monitor trap flag", EXIT_UNKNOWN, 0 },
	[39] = { "MONITOR", EXIT_PRIVILEGED, 0 },
	[40] = { "PAUSE", EXIT_UNKNOWN, 0 },
	[41] = { "entry failure due to a machine check", EXIT_UNKNOWN, 0 },
	[43] = { "TPR below threshold", EXIT_WINDOW, 0 },
	[44] = { "APIC access", EXIT_UNKNOWN, QUALIFICATION },
	[45] = { "virtualized end of interrupt", EXIT_VENDOR, QUALIFICATION },
	[46] = { "access to GDTR or IDTR", EXIT_UNKNOWN, QUALIFICATION },
	[47] = { "access to LDTR or TR", EXIT_UNKNOWN, QUALIFICATION },
	[48] = { "EPT violation", EXIT_MEMORY, QUALIFICATION | ADDRESS },
	[49] = { "EPT misconfiguration", EXIT_UNKNOWN, ADDRESS },
	[50] = { "INVEPT", EXIT_PRIVILEGED, 0 },
	[51] = { "RDTSCP", EXIT_UNKNOWN, 0 },
	/* As the timer interrupt that it stands for: look around. */
	[52] = { "VMX-preemption timer", EXIT_INTERRUPT, 0 },
	[53] = { "INVVPID", EXIT_PRIVILEGED, 0 },
	[54] = { "WBINVD", EXIT_CACHE, LENGTH },
	[55] = { "XSETBV", EXIT_XSETBV, LENGTH },
	[56] = { "APIC write", EXIT_VENDOR, QUALIFICATION },
	[57] = { "RDRAND", EXIT_UNKNOWN, 0 },
	[58] = { "INVPCID", EXIT_UNKNOWN, 0 },
	[59] = { "VMFUNC", EXIT_PRIVILEGED, 0 },
	[60] = { "ENCLS", EXIT_PRIVILEGED, 0 },
	[61] = { "RDSEED", EXIT_UNKNOWN, 0 },
	[62] = { "page-modification log full", EXIT_UNKNOWN, QUALIFICATION },
	[63] = { "XSAVES", EXIT_PRIVILEGED, 0 },
	[64] = { "XRSTORS", EXIT_PRIVILEGED, 0 },
	[65] = { "PCONFIG", EXIT_PRIVILEGED, 0 },
	[66] = { "sub-page write permission", EXIT_UNKNOWN, QUALIFICATION },
	[67] = { "UMWAIT", EXIT_PRIVILEGED, 0 },
	[68] = { "TPAUSE", EXIT_PRIVILEGED, 0 },
	[69] = { "LOADIWKEY", EXIT_PRIVILEGED, 0 },
	[70] = { "ENCLV", EXIT_PRIVILEGED, 0 },
	[72] = { "PASID translation of ENQCMD", EXIT_UNKNOWN, 0 },
	[73] = { "PASID translation of ENQCMDS", EXIT_UNKNOWN, 0 },
	[74] = { "bus lock", EXIT_UNKNOWN, 0 },
	[75] = { "instruction time-out", EXIT_UNKNOWN, QUALIFICATION },
	[76] = { "SEAMCALL", EXIT_PRIVILEGED, 0 },
	[77] = { "TDCALL", EXIT_PRIVILEGED, 0 },
	[78] = { "RDMSRLIST", EXIT_PRIVILEGED, 0 },
	[79] = { "WRMSRLIST", EXIT_PRIVILEGED, 0 },
	[80] = { "URDMSR", EXIT_PRIVILEGED, 0 },
	[81] = { "UWRMSR", EXIT_PRIVILEGED, 0 },
};

static const struct reason *reason_of(uint32_t reason)
{
	static const struct reason nameless = {
		"a reason that this build has no name for", EXIT_UNKNOWN, 0
	};
	uint64_t basic = field_get(VMX_REASON_BASIC, reason);

	if (basic >= VMX_REASON_COUNT || !reasons[basic].name)
		return &nameless;
	return &reasons[basic];
}

unsigned int vmx_needs(uint32_t reason)
{
	/* After a failed entry only the qualification is not stale. */
	if (reason & VMX_REASON_ENTRY_FAILED)
		return VMX_NEEDS_QUALIFICATION;
	return reason_of(reason)->needs;
}

static void decode_io(struct vm_exit *exit, uint64_t qualification)
{
	exit->port.port = field_get(VMX_IO_PORT, qualification);
	exit->port.size = field_get(VMX_IO_SIZE_MINUS_ONE, qualification) + 1;
	exit->port.in = qualification & VMX_IO_IN;
	exit->port.string = qualification & VMX_IO_STRING;
	exit->port.repeat = qualification & VMX_IO_REPEAT;
}

static void decode_memory(struct vm_exit *exit, const struct vmx_raw *raw)
{
	uint64_t q = raw->qualification;

	exit->memory.address = gpa(raw->guest_physical);
	exit->memory.fetch = q & VMX_EPT_FETCH;
	exit->memory.write = q & VMX_EPT_WRITE;
	exit->memory.read = !exit->memory.fetch && !exit->memory.write;
	exit->memory.in_page_walk = q & VMX_EPT_LINEAR_VALID &&
				    !(q & VMX_EPT_TRANSLATED);
}

/* NMIs are kicks; the few exceptions that exit are vmx.c's own matter. */
static void decode_event(struct vm_exit *exit, uint32_t event)
{
	if (!(event & VMX_EVENT_VALID))
		return;
	if (field_get(VMX_EVENT_TYPE, event) == VMX_TYPE_NMI) {
		exit->kind = EXIT_NMI;
		return;
	}
	switch (field_get(VMX_EVENT_VECTOR, event)) {
	case VECTOR_BP:
		exit->kind = EXIT_BREAKPOINT;
		break;
	case VECTOR_DB:
	case VECTOR_AC:
	case VECTOR_MC:
		exit->kind = EXIT_VENDOR;
		break;
	}
}

void vmx_decode(const struct vmx_raw *raw, struct vm_exit *exit)
{
	const struct reason *reason = reason_of(raw->reason);

	exit->raw[0] = raw->reason;
	exit->raw[1] = raw->qualification;
	exit->raw[2] = raw->guest_physical;
	exit->length = 0;
	exit->words = reason->name;
	/* No exit happened: the other fields are those of the last one. */
	if (raw->reason & VMX_REASON_ENTRY_FAILED) {
		exit->kind = EXIT_ENTRY_FAILED;
		return;
	}
	exit->kind = reason->kind;
	if (reason->needs & LENGTH)
		exit->length = raw->length;
	switch (field_get(VMX_REASON_BASIC, raw->reason)) {
	case VMX_REASON_EXCEPTION:
		decode_event(exit, raw->event);
		break;
	case VMX_REASON_IO:
		decode_io(exit, raw->qualification);
		break;
	case VMX_REASON_EPT_VIOLATION:
		decode_memory(exit, raw);
		break;
	}
}

uint32_t vmx_interrupted_event(uint32_t vectoring)
{
	if (!(vectoring & VMX_EVENT_VALID))
		return 0;
	switch (field_get(VMX_EVENT_TYPE, vectoring)) {
	case VMX_TYPE_INTERRUPT:
	case VMX_TYPE_NMI:
	case VMX_TYPE_EXCEPTION:
		return vectoring & (VMX_EVENT_VALID | VMX_EVENT_HAS_CODE |
				    VMX_EVENT_TYPE | VMX_EVENT_VECTOR);
	default:
		/* INT n, INT1, INT3, INTO: RIP is still at the instruction,
		 * which runs again. */
		return 0;
	}
}

const char *vmx_instruction_error(uint32_t number)
{
	/* SDM 326019, "VM-Instruction Error Numbers" */
	static const char *const errors[] = {
		[1] = "VMCALL in VMX root operation",
		[2] = "VMCLEAR with an invalid physical address",
		[3] = "VMCLEAR with the VMXON pointer",
		[4] = "VMLAUNCH with a VMCS that is not clear",
		[5] = "VMRESUME with a VMCS that is not launched",
		[6] = "VMRESUME after VMXOFF",
		[7] = "entry with invalid control fields",
		[8] = "entry with invalid host-state fields",
		[9] = "VMPTRLD with an invalid physical address",
		[10] = "VMPTRLD with the VMXON pointer",
		[11] = "VMPTRLD with a wrong revision identifier",
		[12] = "VMREAD or VMWRITE of a field that is not supported",
		[13] = "VMWRITE of a read-only field",
		[15] = "VMXON in VMX root operation",
		[16] = "entry with an invalid executive-VMCS pointer",
		[17] = "entry with an executive VMCS that is not launched",
		[18] = "entry with an executive-VMCS pointer that is not the "
		       "VMXON pointer",
		[19] = "VMCALL with a VMCS that is not clear",
		[20] = "VMCALL with invalid VM-exit control fields",
		[22] = "VMCALL with an incorrect MSEG revision identifier",
		[23] = "VMXOFF under dual-monitor treatment",
		[24] = "VMCALL with invalid SMM-monitor features",
		[25] = "entry with invalid execution controls in the executive "
		       "VMCS",
		[26] = "entry with events blocked by MOV SS",
		[28] = "invalid operand to INVEPT or INVVPID",
	};

	if (number < ARRAY_COUNT(errors) && errors[number])
		return errors[number];
	return "an entry that failed without a reason";
}
