/* SPDX-License-Identifier: MIT */
/* The instructions of VT-x.  A field that the processor refuses is a bug of
 * ours, so that reads and writes never fail. */
#ifndef VMCS_H
#define VMCS_H

#include "vmx_regs.h"
#include <stdbool.h>
#include <stdint.h>

_Noreturn void vmcs_refused(const char *what, uint64_t operand);

static inline uint64_t vmcs_read(uint64_t field)
{
	uint64_t value;

	__asm__ goto("vmread %1, %0\n\t"
		     "jbe %l[refused]"
		     : "=r"(value)
		     : "r"(field)
		     : "cc"
		     : refused);
	return value;
refused:
	vmcs_refused("VMREAD", field);
}

static inline void vmcs_write(uint64_t field, uint64_t value)
{
	__asm__ goto("vmwrite %1, %0\n\t"
		     "jbe %l[refused]"
		     :
		     : "r"(field), "r"(value)
		     : "cc", "memory"
		     : refused);
	return;
refused:
	vmcs_refused("VMWRITE", field);
}

/* VMXON, VMCLEAR, VMPTRLD: one operand in memory, a physical address. */
#define VMX_INSTRUCTION(name) \
	static inline bool vmx_##name(uint64_t physical) \
	{ \
		bool failed; \
		__asm__ volatile(#name " %1" \
				 : "=@ccbe"(failed) \
				 : "m"(physical) \
				 : "memory"); \
		return !failed; \
	}
VMX_INSTRUCTION(vmxon)
VMX_INSTRUCTION(vmclear)
VMX_INSTRUCTION(vmptrld)

/* INVEPT and INVVPID: "INVEPT Descriptor", "INVVPID Descriptor" */
#define VMX_INVALIDATE_SINGLE 1
#define VMX_INVALIDATE_ALL 2

static inline bool vmx_invept(uint64_t type, uint64_t ept_pointer)
{
	uint64_t descriptor[2] = { ept_pointer, 0 };
	bool failed;

	__asm__ volatile("invept %1, %2"
			 : "=@ccbe"(failed)
			 : "m"(descriptor), "r"(type)
			 : "memory");
	return !failed;
}

static inline bool vmx_invvpid(uint64_t type, uint16_t vpid)
{
	uint64_t descriptor[2] = { vpid, 0 };
	bool failed;

	__asm__ volatile("invvpid %1, %2"
			 : "=@ccbe"(failed)
			 : "m"(descriptor), "r"(type)
			 : "memory");
	return !failed;
}

#endif
