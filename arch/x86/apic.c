/* SPDX-License-Identifier: MIT */
/*
 * The machine's own local APICs and I/O APICs.  SDM 325384, "Local APIC
 * Register Address Map"; in x2APIC mode the register at offset N is MSR
 * 0x800 + N / 16.  Every processor that has that mode is put into it: its
 * registers can be given to a guest one by one (apic_given.c).
 */
#include "acpi.h"
#include "cpu.h"
#include "registers.h"
#include <mullion/arch.h>
#include <mullion/cpu_loop.h>
#include <mullion/log.h>
#include <mullion/virt.h>

#define APIC_ID 0x20
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_SVR_ENABLE BIT(8)
#define APIC_ISR 0x100 /* 8 registers */
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_CMCI 0x2f0
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_THERMAL 0x330
#define APIC_LVT_COUNTER 0x340
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_VERSION 0x30
#define APIC_TIMER_COUNT 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0
#define APIC_DIVIDE_BY_1 0xb

#define CPUID_1_ECX_X2APIC BIT(21)
#define CPUID_1_ECX_TSC_DEADLINE BIT(24)

#define LVT_MASKED BIT(16)
#define LVT_TSC_DEADLINE BIT(18)

#define ICR_INIT (5 << 8)
#define ICR_STARTUP (6 << 8)
#define ICR_NMI (4 << 8)
#define ICR_ASSERT BIT(14)
#define ICR_PENDING BIT(12)

static volatile uint32_t *mmio;
static bool x2apic;
static bool tsc_deadline;
/* APIC timer ticks for each TSC tick, as a fraction of 2^32. */
static uint64_t ticks_a_tsc;

static uint32_t apic_read(uint32_t offset)
{
	if (x2apic)
		return read_msr(MSR_X2APIC + offset / 16);
	return mmio[offset / 4];
}

static void apic_write(uint32_t offset, uint32_t value)
{
	if (x2apic)
		write_msr(MSR_X2APIC + offset / 16, value);
	else
		mmio[offset / 4] = value;
}

static void apic_command(uint32_t destination, uint32_t command)
{
	if (x2apic) {
		x2apic_fence();
		write_msr(MSR_X2APIC + APIC_ICR_LOW / 16,
			  (uint64_t)destination << 32 | command);
		return;
	}
	mmio[APIC_ICR_HIGH / 4] = destination << 24;
	mmio[APIC_ICR_LOW / 4] = command;
	/* A few microseconds at most; a stuck APIC must not hang us. */
	for (int i = 0; i < 100000; i++) {
		if (!(mmio[APIC_ICR_LOW / 4] & ICR_PENDING))
			return;
		arch_pause();
	}
}

void apic_start(uint64_t physical_address)
{
	if (arch_map(hpa(physical_address), PAGE_SIZE, ARCH_MAP_DEVICE) !=
	    ERR_NONE)
		panic("the local APIC's address 0x%lx cannot be right",
		      physical_address);
	mmio = arch_direct(hpa(physical_address));
	x2apic = cpuid(1, 0).ecx & CPUID_1_ECX_X2APIC;
	tsc_deadline = cpuid(1, 0).ecx & CPUID_1_ECX_TSC_DEADLINE;
}

/* Everything but the timer stays masked: the firmware may have left the
 * timer running and the PIC connected at LINT0. */
void apic_enable(void)
{
	uint32_t last_lvt;

	if (x2apic)
		write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) |
						 APIC_BASE_EN | APIC_BASE_EXTD);
	last_lvt = apic_read(APIC_VERSION) >> 16 & 0xff;

	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, LVT_MASKED);
	apic_write(APIC_LVT_ERROR, LVT_MASKED | VECTOR_SPURIOUS);
	if (last_lvt >= 4)
		apic_write(APIC_LVT_COUNTER, LVT_MASKED);
	if (last_lvt >= 5)
		apic_write(APIC_LVT_THERMAL, LVT_MASKED);
	if (last_lvt >= 6)
		apic_write(APIC_LVT_CMCI, LVT_MASKED);
	apic_write(APIC_TIMER_COUNT, 0);
	apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	apic_write(APIC_LVT_TIMER, tsc_deadline ?
					   LVT_TSC_DEADLINE | VECTOR_TIMER :
					   VECTOR_TIMER);
	cpu_self()->timer_set = ARCH_NO_DEADLINE;
}

bool apic_can_be_given(void)
{
	return x2apic;
}

bool arch_apic_has_deadline(void)
{
	return tsc_deadline;
}

uint32_t apic_id(void)
{
	return x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

bool apic_in_service(uint8_t vector)
{
	return apic_read(APIC_ISR + vector / 32 * 16) & BIT(vector % 32);
}

void apic_end_of_interrupt(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_send_init(uint32_t destination)
{
	apic_command(destination, ICR_INIT | ICR_ASSERT);
}

void apic_send_startup(uint32_t destination, uint8_t page)
{
	apic_command(destination, ICR_STARTUP | ICR_ASSERT | page);
}

void apic_send_nmi(uint32_t destination)
{
	apic_command(destination, ICR_NMI | ICR_ASSERT);
}

/* How fast the timer counts, against the TSC. */
void apic_timer_measure(void)
{
	uint32_t from, counted;
	uint64_t start;

	if (tsc_deadline)
		return;
	apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	apic_write(APIC_TIMER_COUNT, 0xffffffff);
	start = read_tsc();
	from = apic_read(APIC_TIMER_CURRENT);
	clock_wait_us(10000);
	counted = from - apic_read(APIC_TIMER_CURRENT);
	ticks_a_tsc = ((uint64_t)counted << 32) / (read_tsc() - start);
	apic_write(APIC_TIMER_COUNT, 0);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	if (ticks_a_tsc == 0)
		panic("the local APIC's timer does not count");
	log_write("local APIC timer: %lu.%06lu of the TSC's rate",
		  ticks_a_tsc >> 32,
		  (ticks_a_tsc & 0xffffffff) * 1000000 >> 32);
}

static uint32_t timer_ticks(uint64_t from, uint64_t to)
{
	unsigned __int128 ticks;

	if (to <= from)
		return 1;
	ticks = (unsigned __int128)(to - from) * ticks_a_tsc >> 32;
	if (ticks > 0xffffffff)
		return 0xffffffff; /* wakes early; then the rest is set */
	return ticks ? (uint32_t)ticks : 1;
}

void arch_set_deadline(uint64_t time)
{
	struct cpu *cpu = cpu_self();

	if (time == cpu->timer_set)
		return;
	cpu->timer_set = time;
	if (cpu->apic_given) {
		if (!virt->has_timer)
			cpu_loop_watch(time);
		return;
	}
	if (tsc_deadline)
		write_msr(MSR_TSC_DEADLINE,
			  time == ARCH_NO_DEADLINE ? 0 : time);
	else
		apic_write(APIC_TIMER_COUNT,
			   time == ARCH_NO_DEADLINE ?
				   0 :
				   timer_ticks(read_tsc(), time));
}

/* The timer has fired: the next deadline must be programmed, same or not. */
void apic_timer_fired(void)
{
	cpu_self()->timer_set = 0;
}

/* I/O APIC registers: Intel 290566, "Memory Mapped Registers for Accessing
 * IOAPIC Registers". */
static uint32_t io_apic_read(volatile uint32_t *io, uint32_t reg)
{
	io[0] = reg;
	return io[4];
}

static void io_apic_write(volatile uint32_t *io, uint32_t reg, uint32_t value)
{
	io[0] = reg;
	io[4] = value;
}

#define IO_APIC_VERSION 1
#define IO_APIC_ENTRY(pin) (0x10 + 2 * (pin))
#define IO_APIC_MASKED BIT(16)
#define IO_APIC_LEVEL BIT(15)
#define IO_APIC_ACTIVE_LOW BIT(13)

static volatile uint32_t *io_apic_at(uint32_t index, uint32_t *pins)
{
	volatile uint32_t *io;

	if (arch_map(hpa(acpi.io_apics[index].address), PAGE_SIZE,
		     ARCH_MAP_DEVICE) != ERR_NONE)
		return NULL;
	io = arch_direct(hpa(acpi.io_apics[index].address));
	*pins = (io_apic_read(io, IO_APIC_VERSION) >> 16 & 0xff) + 1;
	return io;
}

void apic_mask_io(void)
{
	uint32_t pins;

	for (uint32_t i = 0; i < acpi.io_apic_count; i++) {
		volatile uint32_t *io = io_apic_at(i, &pins);

		for (uint32_t pin = 0; io && pin < pins; pin++)
			io_apic_write(io, IO_APIC_ENTRY(pin), IO_APIC_MASKED);
	}
}

enum error apic_connect_isa(uint32_t line, uint8_t vector, uint32_t destination)
{
	uint32_t gsi = acpi.isa[line].gsi;
	uint32_t pins;

	if (destination > 0xff)
		return ERR_UNSUPPORTED;
	for (uint32_t i = 0; i < acpi.io_apic_count; i++) {
		volatile uint32_t *io = io_apic_at(i, &pins);
		uint32_t pin = gsi - acpi.io_apics[i].first_gsi;

		if (!io || pin >= pins)
			continue;
		io_apic_write(io, IO_APIC_ENTRY(pin) + 1, destination << 24);
		io_apic_write(
			io, IO_APIC_ENTRY(pin),
			vector | (acpi.isa[line].level ? IO_APIC_LEVEL : 0) |
				(acpi.isa[line].active_low ?
					 IO_APIC_ACTIVE_LOW :
					 0));
		return ERR_NONE;
	}
	return ERR_NOT_FOUND;
}
