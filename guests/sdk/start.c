/* SPDX-License-Identifier: MIT */
/* From the entry point to guest_main, and the guest's end. */
#include "sdk.h"

#define COMMAND_LINE_MAX 2048

struct mull_guest_info guest_info;
uint8_t sdk_stacks[SDK_VCPU_MAX][SDK_STACK_SIZE]
	__attribute__((aligned(SDK_STACK_SIZE)));

static char command_line[COMMAND_LINE_MAX];

__attribute__((noreturn)) void guest_start(const struct mull_guest_info *info);

uint32_t cpu_index(void)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);

	return (uint32_t)((frame - (uintptr_t)sdk_stacks) / SDK_STACK_SIZE);
}

bool mullion_present(void)
{
	struct cpuid_result r;

	if (!(cpuid(1, 0).ecx & CPUID1_ECX_HYPERVISOR))
		return false;
	r = cpuid(MULL_CPUID_MULLION, 0);
	return !memcmp(&r.ebx, "MullionMull", 11);
}

/* Finds "@name=" at the start of a word; returns what follows, or NULL. */
static const char *option_find(const char *name)
{
	const char *at = command_line;
	size_t length = strlen(name);

	while (*at) {
		if (!memcmp(at, name, length) && at[length] == '=')
			return at + length + 1;
		while (*at && *at != ' ')
			at++;
		while (*at == ' ')
			at++;
	}
	return NULL;
}

bool option_text(const char *name, char *value, size_t size)
{
	const char *at = option_find(name);
	size_t length = 0;

	if (!at)
		return false;
	while (at[length] && at[length] != ' ')
		length++;
	if (length >= size)
		return false;
	memcpy(value, at, length);
	value[length] = 0;
	return true;
}

uint64_t option_number(const char *name, uint64_t otherwise)
{
	const char *at = option_find(name);
	uint64_t number = 0;

	if (!at || *at < '0' || *at > '9')
		return otherwise;
	for (; *at >= '0' && *at <= '9'; at++)
		number = number * 10 + (uint64_t)(*at - '0');
	return number;
}

void guest_end(uint32_t code)
{
	if (mullion_present())
		hypercall(MULL_CALL_END, code, 0);
	/* Not Mullion: the ACPI sleep control register, SLP_TYP and SLP_EN. */
	port_write(MULL_GUEST_SLEEP_CONTROL, MULL_GUEST_S5_TYPE << 2 | 0x20);
	for (;;)
		asm volatile("cli; hlt");
}

/* The loader's memory is free after this: what is needed is copied. */
void guest_start(const struct mull_guest_info *info)
{
	const char *line;

	guest_info = *info;
	line = (const char *)guest_info.command_line;
	for (size_t i = 0; line && i < COMMAND_LINE_MAX - 1 && line[i]; i++)
		command_line[i] = line[i];

	paging_start();
	descriptors_start(0);
	if (guest_info.magic != MULL_GUEST_INFO_MAGIC ||
	    guest_info.abi != MULL_GUEST_ABI) {
		print("this guest needs ABI %d, not %u\n", MULL_GUEST_ABI,
		      guest_info.abi);
		guest_end(1);
	}
	apic_start();
	timer_calibrate();
	guest_end((uint32_t)guest_main());
}
