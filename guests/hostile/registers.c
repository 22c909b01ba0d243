/* SPDX-License-Identifier: MIT */
/* MSRs, CPUID and control registers, swept with wild values. */
#include "hostile.h"

#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define EFER_SVME BIT(12)
#define CR0_PE BIT(0)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR4_PAE BIT(5)
#define CR4_VMXE BIT(13)
/* Ring 0 runs on user pages here: these would end the guest by themselves. */
#define CR4_NOT_FOR_US (BIT(20) | BIT(21))

static const struct msr_range {
	uint32_t first, last;
} msr_ranges[] = {
	{ 0, 0x1fff },
	{ 0x40000000, 0x400000ff },
	{ 0x4b564d00, 0x4b564dff },
	{ 0xc0000000, 0xc0001fff },
	{ 0xc0010000, 0xc0011fff },
	{ 0xffffff00, 0xfffffffe },
};

void msr_read_sweep(void)
{
	unsigned int there = 0;
	uint64_t value;

	for (size_t i = 0; i < ARRAY_COUNT(msr_ranges); i++) {
		for (uint32_t msr = msr_ranges[i].first;
		     msr <= msr_ranges[i].last; msr++)
			there += msr_try_read(msr, &value);
	}
	report(true, "all MSRs are read, %u are there", there);
	report(there < 1000, "most MSRs are not there");
}

/* The vCPU's own APIC, which a sweep may have switched off. */
static void apic_restore(uint64_t base)
{
	msr_try_write(MSR_APIC_BASE, base);
	apic_start();
}

void msr_write_sweep(void)
{
	static const uint64_t wild[] = { ~0ull, 0x8000000000000000,
					 0x0000800000000000, 0xfffffffffffff000,
					 1 };
	uint64_t base = msr_read(MSR_APIC_BASE);
	unsigned int taken = 0;

	for (size_t i = 0; i < ARRAY_COUNT(msr_ranges); i++) {
		for (uint32_t msr = msr_ranges[i].first;
		     msr <= msr_ranges[i].last; msr++) {
			uint64_t old = 0;

			msr_try_read(msr, &old);
			for (size_t j = 0; j < ARRAY_COUNT(wild); j++)
				taken += msr_try_write(msr, wild[j]);
			msr_try_write(msr, old);
		}
	}
	apic_restore(base);
	report(true, "all MSRs are written, %u values are taken", taken);
	sleep_ns(2 * NS_PER_MS);
	report(true, "time still goes on");
}

void msr_canonical(void)
{
	static const uint32_t msrs[] = { MSR_FS_BASE, MSR_GS_BASE,
					 MSR_KERNEL_GS_BASE, MSR_LSTAR,
					 MSR_CSTAR };
	static const uint64_t values[] = { 0x0000800000000000,
					   0xffff7fffffffffff,
					   0x8000000000000000, ~0ull };

	for (size_t i = 0; i < ARRAY_COUNT(msrs); i++) {
		uint64_t old = msr_read(msrs[i]);

		for (size_t j = 0; j < ARRAY_COUNT(values); j++) {
			msr_try_write(msrs[i], values[j]);
			cpuid(0, 0); /* leave and enter with it */
		}
		msr_write(msrs[i], old);
	}
	report(true, "addresses that are not canonical are survived");
}

static void sweep_leaves(uint32_t from, uint32_t count)
{
	for (uint32_t leaf = from; leaf - from < count; leaf++) {
		for (uint32_t subleaf = 0; subleaf < 8; subleaf++)
			cpuid(leaf, subleaf);
		cpuid(leaf, ~0u);
	}
}

void cpuid_sweep(void)
{
	sweep_leaves(0, 0x40);
	sweep_leaves(0x40000000, 0x10);
	sweep_leaves(0x400000f8, 0x10);
	sweep_leaves(0x80000000, 0x30);
	sweep_leaves(0xfffffff0, 0x10);
	for (int i = 0; i < 1000; i++)
		cpuid((uint32_t)hostile_random(), (uint32_t)hostile_random());
	report(true, "CPUID is swept");
}

struct control {
	unsigned int number; /* 0, 3, 4, 8 */
	uint64_t value;
};

static void write_control(void *argument)
{
	struct control *c = argument;

	switch (c->number) {
	case 0:
		cr0_write(c->value);
		break;
	case 3:
		cr3_write(c->value);
		break;
	case 4:
		cr4_write(c->value);
		break;
	case 8:
		asm volatile("mov %0, %%cr8" ::"r"(c->value));
		break;
	}
}

static int try_control(unsigned int number, uint64_t value)
{
	struct control c = { number, value };

	return guarded_call(write_control, &c);
}

static void expect_refused(unsigned int number, uint64_t value)
{
	int vector = try_control(number, value);

	report(vector == VECTOR_PROTECTION, "CR%u refuses %lx (%d)", number,
	       value, vector);
}

/* Every bit of CR4 by itself; those from 32 up are reserved. */
static void sweep_cr4(void)
{
	uint64_t old = cr4_read();
	uint64_t taken = 0;

	for (unsigned int bit = 0; bit < 64; bit++) {
		if (BIT(bit) & (CR4_NOT_FOR_US | old))
			continue;
		if (try_control(4, old | BIT(bit)) < 0)
			taken |= BIT(bit);
		cr4_write(old);
	}
	report(cr4_read() == old && !(taken >> 32),
	       "CR4's bits can be tried (%lx)", taken);
	expect_refused(4, old | BIT(63));
	expect_refused(4, old | BIT(32));
	expect_refused(4, old | CR4_VMXE);
}

/* These are #GP on a processor.  QEMU's takes them; then the guest has no page
 * tables, or cannot be entered again. */
void leave_pae(void)
{
	print("CR4 without PAE: %d\n", try_control(4, cr4_read() & ~CR4_PAE));
}

void cr0_high(void)
{
	print("CR0, bit 32: %d\n", try_control(0, cr0_read() | BIT(32)));
}

void cr0_cache(void)
{
	print("CR0, NW without CD: %d\n",
	      try_control(0, (cr0_read() & ~CR0_CD) | CR0_NW));
}

void cr0_protection(void)
{
	print("CR0 without PE: %d\n", try_control(0, cr0_read() & ~CR0_PE));
}

static void sweep_cr0(void)
{
	uint64_t old = cr0_read();

	report(try_control(0, old | CR0_CD) < 0, "caches can be disabled");
	try_control(0, old | CR0_CD | CR0_NW);
	cr0_write(old);
	for (unsigned int bit = 1; bit < 31; bit++) {
		if (BIT(bit) == CR0_NW) /* not without CD */
			continue;
		try_control(0, old ^ BIT(bit));
		cr0_write(old);
	}
	report(cr0_read() == old, "CR0's bits can be tried");
}

static void sweep_efer(void)
{
	uint64_t old = msr_read(MSR_EFER);
	uint64_t now;

	msr_try_write(MSR_EFER, old | EFER_SVME);
	now = msr_read(MSR_EFER);
	report(!(now & EFER_SVME), "EFER does not take SVME");
	for (unsigned int bit = 0; bit < 64; bit++) {
		msr_try_write(MSR_EFER, old ^ BIT(bit));
		msr_try_write(MSR_EFER, old);
	}
	now = msr_read(MSR_EFER);
	report(now == old, "EFER's bits can be tried (%lx)", now);
}

void control_registers(void)
{
	sweep_cr4();
	sweep_cr0();
	expect_refused(3, paging_root() | BIT(62));
	try_control(8, 16); /* QEMU takes it */
	report(try_control(8, 15) < 0 && try_control(8, 0) < 0,
	       "CR8 takes a priority");
	sweep_efer();
}
