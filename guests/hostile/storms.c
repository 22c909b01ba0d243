/* SPDX-License-Identifier: MIT */
/* Timers and interrupts, as many and as fast as they come. */
#include "hostile.h"

#define STORM 20000
#define NMI_STORM 3000
#define TIMER_MAX 2000
#define INIT_STORM 200
#define STORM_VECTOR 0x55
/* Real-mode code at a page of its own for vCPUs that start in a storm. */
#define HALT_PAGE 0x9000

static volatile unsigned int fired;

static void on_fire(struct interrupt_frame *frame)
{
	(void)frame;
	fired++;
}

/* A timer may be faster than its handler: then nothing else would run. */
static void on_timer(struct interrupt_frame *frame)
{
	(void)frame;
	if (++fired == TIMER_MAX)
		timer_stop();
}

static void let_fire(const char *what)
{
	fired = 0;
	interrupts_on();
	spin_ns(50 * NS_PER_MS);
	interrupts_off();
	timer_stop();
	report(true, "%s: %u interrupts", what, fired);
}

void timer_extremes(void)
{
	static const uint32_t divides[] = { 0xb, 0, 0xa };
	static const uint32_t counts[] = { 1, 2, 16, 0, 0xffffffff };

	interrupt_handle(VECTOR_TIMER, on_timer);
	for (size_t d = 0; d < ARRAY_COUNT(divides); d++) {
		for (size_t c = 0; c < ARRAY_COUNT(counts); c++) {
			apic_write(APIC_TIMER_DIVIDE, divides[d]);
			apic_write(APIC_LVT_TIMER,
				   APIC_LVT_PERIODIC | VECTOR_TIMER);
			apic_write(APIC_TIMER_INITIAL, counts[c]);
			let_fire("a timer of extreme period");
		}
	}
	/* An illegal vector, and modes that exclude each other. */
	apic_write(APIC_LVT_TIMER, APIC_LVT_PERIODIC | 3);
	apic_write(APIC_TIMER_INITIAL, 1000);
	let_fire("a timer of illegal vector");
	if (cpuid(1, 0).ecx & CPUID1_ECX_TSC_DEADLINE) {
		apic_write(APIC_LVT_TIMER, APIC_LVT_DEADLINE | VECTOR_TIMER);
		for (int i = 0; i < STORM; i++)
			msr_write(MSR_TSC_DEADLINE, i % 2 ? 1 : ~0ull);
		let_fire("deadlines long ago and far ahead");
	}
	interrupt_handle(VECTOR_TIMER, NULL);
	sleep_ns(5 * NS_PER_MS);
	report(true, "the timer still works");
}

static void storm(uint32_t command, int count)
{
	for (int i = 0; i < count; i++)
		apic_send(0, command | IPI_ASSERT);
}

void ipi_storm(void)
{
	fired = 0;
	interrupt_handle(STORM_VECTOR, on_fire);
	interrupt_handle(VECTOR_NMI, on_fire);
	smp_start();
	storm(IPI_SELF | STORM_VECTOR, STORM);
	interrupts_on();
	storm(IPI_SELF | STORM_VECTOR, STORM);
	storm(IPI_OTHERS | STORM_VECTOR, STORM);
	storm(IPI_ALL | STORM_VECTOR, STORM / 2);
	interrupts_off();
	report(fired > 0, "a storm of interrupts (%u)", fired);
	fired = 0;
	storm(IPI_OTHERS | IPI_NMI, NMI_STORM);
	for (int i = 0; i < NMI_STORM; i++)
		apic_send(apic_id(), IPI_NMI | IPI_ASSERT);
	spin_ns(NS_PER_MS);
	report(fired > 0, "a storm of NMIs (%u)", fired);
	interrupt_handle(VECTOR_NMI, NULL);
}

/* INIT and SIPI without a pause between, to the last vCPU. */
void init_storm(void)
{
	/* cli; 1: hlt; jmp 1b; and an iret for the NMI, with its real-mode
	 * vector. */
	static const uint8_t code[] = { 0xfa, 0xf4, 0xeb, 0xfd, 0xcf };
	static const uint16_t vector[] = { sizeof code - 1, HALT_PAGE >> 4 };
	uint32_t last = guest_info.vcpu_count - 1;

	if (!last) {
		report(true, "a storm of INITs needs a second vCPU");
		return;
	}
	memcpy((void *)HALT_PAGE, code, sizeof code);
	memcpy((void *)(sizeof vector * VECTOR_NMI), vector, sizeof vector);
	for (int i = 0; i < INIT_STORM; i++) {
		apic_send(last, IPI_INIT | IPI_ASSERT);
		apic_send(last, IPI_STARTUP | IPI_ASSERT | HALT_PAGE >> 12);
		apic_send(last, IPI_STARTUP | IPI_ASSERT | HALT_PAGE >> 12);
		apic_send(last, IPI_NMI | IPI_ASSERT);
	}
	/* SIPI to vCPUs that there are not, and to one that runs. */
	apic_send(last + 1, IPI_INIT | IPI_ASSERT);
	apic_send(last + 1, IPI_STARTUP | IPI_ASSERT | HALT_PAGE >> 12);
	apic_send(0, IPI_STARTUP | IPI_ASSERT | HALT_PAGE >> 12);
	apic_send(last, IPI_INIT | IPI_ASSERT);
	report(smp_restart(last), "after a storm of INITs the vCPU starts");
}

void init_itself(void)
{
	apic_send(apic_id(), IPI_INIT | IPI_ASSERT);
	spin_ns(10 * NS_PER_MS);
}
