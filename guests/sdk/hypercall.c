/* SPDX-License-Identifier: MIT */
/* Hypercalls; the instruction is the processor vendor's. */
#include "sdk.h"

#define VENDOR_AMD_EBX 0x68747541   /* "Auth"enticAMD */
#define VENDOR_HYGON_EBX 0x6f677948 /* "Hygo"nGenuine */

int64_t hypercall_of_four(uint64_t number, uint64_t rbx, uint64_t rcx,
			  uint64_t rdx, uint64_t rsi)
{
	static uint32_t vendor; /* CPUID exits: it is asked once */
	int64_t result;

	if (!vendor)
		vendor = cpuid(0, 0).ebx;
	if (vendor == VENDOR_AMD_EBX || vendor == VENDOR_HYGON_EBX)
		asm volatile("vmmcall"
			     : "=a"(result)
			     : "a"(number), "b"(rbx), "c"(rcx), "d"(rdx),
			       "S"(rsi)
			     : "memory");
	else
		asm volatile("vmcall"
			     : "=a"(result)
			     : "a"(number), "b"(rbx), "c"(rcx), "d"(rdx),
			       "S"(rsi)
			     : "memory");
	return result;
}

int64_t hypercall(uint64_t number, uint64_t rbx, uint64_t rcx)
{
	return hypercall_of_four(number, rbx, rcx, 0, 0);
}
