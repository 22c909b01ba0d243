/* SPDX-License-Identifier: MIT */
/* What CPUID says of the processor and of the hypervisor. */
#include "selftest.h"

#define CPUID1_ECX_VMX BIT(5)
#define CPUID_EXTENDED 0x80000000
#define CPUID80000001_ECX_SVM BIT(2)
#define CPUID80000001_EDX_LONG_MODE BIT(29)
#define KVM_FEATURE_CLOCKSOURCE2 BIT(3)

static bool signature_is(uint32_t leaf, const char *words)
{
	struct cpuid_result r = cpuid(leaf, 0);
	uint32_t text[3] = { r.ebx, r.ecx, r.edx };

	return !memcmp(text, words, sizeof text);
}

void test_identity(void)
{
	struct cpuid_result one = cpuid(1, 0);
	struct cpuid_result extended = cpuid(CPUID_EXTENDED + 1, 0);

	report(one.ecx & CPUID1_ECX_HYPERVISOR,
	       "CPUID says that there is a hypervisor");
	report(signature_is(MULL_CPUID_KVM, "KVMKVMKVM\0\0\0"),
	       "KVM's signature is at its leaf");
	report(cpuid(MULL_CPUID_KVM, 0).eax >= MULL_CPUID_KVM + 1 &&
		       cpuid(MULL_CPUID_KVM + 1, 0).eax &
			       KVM_FEATURE_CLOCKSOURCE2,
	       "KVM's features name the clock");
	report(signature_is(MULL_CPUID_MULLION, "MullionMull"),
	       "Mullion's signature is at its leaf");
	report(cpuid(MULL_CPUID_MULLION, 0).eax >= MULL_CPUID_VERSION &&
		       cpuid(MULL_CPUID_VERSION, 0).eax == MULL_GUEST_ABI,
	       "Mullion's leaf tells the ABI's version");
	report(!(one.ecx & CPUID1_ECX_VMX) &&
		       !(extended.ecx & CPUID80000001_ECX_SVM),
	       "virtualization is hidden");
	report(extended.edx & CPUID80000001_EDX_LONG_MODE,
	       "long mode is there");
	report(one.ebx >> 24 == 0, "CPUID's APIC ID of vCPU 0 is 0");
	report(guest_info.vcpu_count >= 1 &&
		       guest_info.vcpu_count <= SDK_VCPU_MAX,
	       "there are %u vCPUs", guest_info.vcpu_count);
	report(guest_info.tsc_khz > 10000, "the TSC's rate is known: %lu kHz",
	       guest_info.tsc_khz);
}
