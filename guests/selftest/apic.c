/* SPDX-License-Identifier: MIT */
/* The local APIC in both modes, and interrupts that a vCPU sends itself. */
#include "selftest.h"

#define VECTOR_LOW 0x50
#define VECTOR_HIGH 0xa0
#define VECTOR_LEVEL 0x61
#define ERROR_SEND_VECTOR BIT(5)
#define UART_INTERRUPTS (MULL_GUEST_UART_PORT + 1)
#define UART_MODEM (MULL_GUEST_UART_PORT + 4)
#define UART_EMPTY 0x02		    /* interrupts while it can take a byte */
#define UART_MODEM_ON 0x0b	    /* DTR, RTS and the interrupt's gate OUT2 */
#define CPUID0_EBX_INTEL 0x756e6547 /* "Genu" */
#define VERSION_MIN 0x10	    /* of an integrated local APIC */
#define WAIT (100 * NS_PER_MS)

static volatile unsigned int low_count, high_count, nmi_count;
static volatile unsigned int order[2], order_count;

static void note(unsigned int vector)
{
	if (order_count < ARRAY_COUNT(order))
		order[order_count++] = vector;
}

static void on_low(struct interrupt_frame *frame)
{
	note((unsigned int)frame->vector);
	low_count++;
}

static void on_high(struct interrupt_frame *frame)
{
	note((unsigned int)frame->vector);
	high_count++;
}

static void on_nmi(struct interrupt_frame *frame)
{
	(void)frame;
	nmi_count++;
}

static bool wait_for(volatile unsigned int *count, unsigned int value)
{
	uint64_t start = time_ns();

	interrupts_on();
	while (*count < value && time_ns() - start < WAIT)
		cpu_relax();
	interrupts_off();
	return *count >= value;
}

static bool requested(uint8_t vector)
{
	uint32_t word = apic_read(APIC_REQUESTED + vector / 32 * 0x10);

	return word & 1u << vector % 32;
}

static void test_priority(const char *mode)
{
	low_count = high_count = order_count = 0;
	apic_send(0, IPI_SELF | IPI_ASSERT | VECTOR_LOW);
	apic_send(0, IPI_SELF | IPI_ASSERT | VECTOR_HIGH);
	report(requested(VECTOR_LOW) && requested(VECTOR_HIGH) && !low_count,
	       "%s: interrupts wait while they are off", mode);
	wait_for(&low_count, 1);
	report(order_count == 2 && order[0] == VECTOR_HIGH,
	       "%s: the higher vector comes first", mode);

	low_count = 0;
	apic_write(APIC_TASK_PRIORITY, VECTOR_LOW & 0xf0);
	apic_send(0, IPI_SELF | IPI_ASSERT | VECTOR_LOW);
	interrupts_on();
	spin_ns(NS_PER_MS);
	interrupts_off();
	report(low_count == 0, "%s: the task priority holds it back", mode);
	apic_write(APIC_TASK_PRIORITY, 0);
	report(wait_for(&low_count, 1), "%s: and lets it go", mode);

	low_count = 0;
	asm volatile("mov %0, %%cr8" ::"r"(VECTOR_LOW >> 4 & 15ul));
	apic_send(0, IPI_SELF | IPI_ASSERT | VECTOR_LOW);
	interrupts_on();
	spin_ns(NS_PER_MS);
	report(low_count == 0 &&
		       apic_read(APIC_TASK_PRIORITY) == (VECTOR_LOW & 0xf0),
	       "%s: CR8 is the task priority", mode);
	/* On SVM it comes with the next exit: docs/hardware.md. */
	asm volatile("mov %0, %%cr8; nop; nop" ::"r"(0ul) : "memory");
	if (cpuid(0, 0).ebx != CPUID0_EBX_INTEL)
		port_read(UART_MODEM);
	report(low_count == 1, "%s: it comes as soon as CR8 allows", mode);
	interrupts_off();
}

static volatile unsigned int level_count;

static void on_level(struct interrupt_frame *frame)
{
	(void)frame;
	if (++level_count == 2)
		port_write(UART_INTERRUPTS, 0); /* the line falls */
}

/* The end of an interrupt must reach the I/O APIC. */
static void test_level(const char *mode)
{
	uint32_t entry = IO_APIC_PIN + 2 * MULL_GUEST_UART_GSI;

	level_count = 0;
	io_apic_write(entry + 1, apic_id() << 24);
	io_apic_write(entry, (uint32_t)IO_APIC_LEVEL | VECTOR_LEVEL);
	port_write(UART_MODEM, UART_MODEM_ON);
	port_write(UART_INTERRUPTS, UART_EMPTY);
	wait_for(&level_count, 2);
	interrupts_on();
	spin_ns(NS_PER_MS);
	interrupts_off();
	port_write(UART_INTERRUPTS, 0);
	io_apic_mask(MULL_GUEST_UART_GSI);
	report(level_count == 2,
	       "%s: a level interrupts until its line falls (%u)", mode,
	       level_count);
}

static void test_mode(const char *mode)
{
	report(apic_id() == 0, "%s: the ID of vCPU 0 is 0", mode);
	report((apic_read(APIC_VERSION) & 0xff) >= VERSION_MIN,
	       "%s: the version is that of a local APIC", mode);
	low_count = high_count = 0;
	apic_send(apic_id(), IPI_FIXED | IPI_ASSERT | VECTOR_LOW);
	report(wait_for(&low_count, 1), "%s: an IPI to itself by ID", mode);
	test_priority(mode);
	test_level(mode);
	nmi_count = 0;
	apic_send(apic_id(), IPI_NMI | IPI_ASSERT);
	report(wait_for(&nmi_count, 1), "%s: an NMI to itself", mode);
}

static void test_x2apic(void)
{
	bool was_on = apic_is_x2apic();

	if (!apic_use_x2apic(true)) {
		report(!(cpuid(1, 0).ecx & CPUID1_ECX_X2APIC),
		       "x2APIC is not offered");
		return;
	}
	test_mode("x2APIC");
	low_count = 0;
	apic_write(APIC_SELF_IPI, VECTOR_LOW);
	report(wait_for(&low_count, 1), "x2APIC: the self-IPI register");
	apic_write(APIC_SELF_IPI, 5);
	apic_write(APIC_ERROR, 0);
	report(apic_read(APIC_ERROR) == ERROR_SEND_VECTOR,
	       "x2APIC: a vector below 16 is an error");
	report(!msr_try_write(0x800 + APIC_SELF_IPI / 16, 0x100) &&
		       !msr_try_write(0x800 + APIC_END / 16, 1) &&
		       !msr_try_write(0x800 + APIC_TASK_PRIORITY / 16, 0x100),
	       "x2APIC: reserved bits are refused");
	report(!msr_try_write(0x800 + APIC_ID / 16, 1),
	       "x2APIC: the ID cannot be written");
	if (!was_on)
		report(apic_use_x2apic(false), "x2APIC can be left");
}

static void test_xapic(void)
{
	bool was_x2apic = apic_is_x2apic();

	if (!apic_use_x2apic(false)) {
		report(false, "xAPIC can be used");
		return;
	}
	test_mode("xAPIC");
	if (was_x2apic)
		report(apic_use_x2apic(true), "x2APIC can be used again");
}

static volatile unsigned int nmi_depth, nmi_deepest;

/* Sends itself another one, and gives it time to come too early. */
static void on_nested_nmi(struct interrupt_frame *frame)
{
	(void)frame;
	nmi_depth++;
	if (nmi_depth > nmi_deepest)
		nmi_deepest = nmi_depth;
	if (nmi_count++ == 0) {
		apic_send(apic_id(), IPI_NMI | IPI_ASSERT);
		for (int i = 0; i < 100; i++)
			cpuid(0, 0);
	}
	nmi_depth--;
}

/* "Handling Multiple NMIs": none is delivered until the handler's IRET. */
static void test_nmi_blocking(void)
{
	nmi_count = 0;
	interrupt_handle(VECTOR_NMI, on_nested_nmi);
	interrupts_on();
	apic_send(apic_id(), IPI_NMI | IPI_ASSERT);
	report(wait_for(&nmi_count, 2), "an NMI in an NMI is not lost");
	interrupts_off();
	report(nmi_deepest == 1, "it waits for the end of the first");
}

void test_apic(void)
{
	interrupt_handle(VECTOR_LOW, on_low);
	interrupt_handle(VECTOR_HIGH, on_high);
	interrupt_handle(VECTOR_LEVEL, on_level);
	interrupt_handle(VECTOR_NMI, on_nmi);
	test_xapic();
	test_x2apic();
	test_nmi_blocking();
	interrupt_handle(VECTOR_NMI, NULL);
}
