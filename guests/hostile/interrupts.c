/* SPDX-License-Identifier: MIT */
/* The interrupt controllers' registers, read and written as nobody should. */
#include "hostile.h"

#define APIC_PAGE ((volatile uint8_t *)MULL_GUEST_LOCAL_APIC)
#define IO_APIC_PAGE ((volatile uint8_t *)MULL_GUEST_IO_APIC)
#define SWEEP 0x1000
#define VECTOR_LEVEL 0x61
#define LEVEL_ROUNDS 2000
#define UART_INTERRUPTS (MULL_GUEST_UART_PORT + 1)
#define UART_MODEM (MULL_GUEST_UART_PORT + 4)

/* Switched off and on, it forgets what waits in it. */
static void apic_restore(bool x2apic)
{
	uint64_t base = msr_read(MSR_APIC_BASE);

	base &= ~(APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	msr_try_write(MSR_APIC_BASE, base);
	msr_try_write(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	apic_use_x2apic(x2apic);
}

static void sweep_mmio(void)
{
	static const uint32_t values[] = { 0, ~0u, 0x10, 0x000400ff };

	for (uint32_t at = 0; at < SWEEP; at++) {
		(void)*(volatile uint8_t *)(APIC_PAGE + at);
		(void)*(volatile uint32_t *)(APIC_PAGE + at);
		if (at + 8 <= SWEEP)
			(void)*(volatile uint64_t *)(APIC_PAGE + at);
		*(volatile uint8_t *)(APIC_PAGE + at) = 0xff;
		*(volatile uint16_t *)(APIC_PAGE + at) = 0xffff;
	}
	for (uint32_t at = 0; at < SWEEP; at += 4) {
		if (at == APIC_COMMAND) /* apic_commands() tries it */
			continue;
		for (size_t i = 0; i < ARRAY_COUNT(values); i++)
			*(volatile uint32_t *)(APIC_PAGE + at) = values[i];
	}
}

void apic_sweep(void)
{
	bool was_x2apic = apic_is_x2apic();

	if (apic_use_x2apic(false)) {
		sweep_mmio();
		apic_restore(was_x2apic);
	}
	report(true, "the local APIC's page is swept");
	report(apic_id() == 0, "the local APIC still works");
	sleep_ns(NS_PER_MS);
	report(true, "and its timer");
}

/* Every delivery mode with wild vectors and destinations; INIT and NMI
 * are cases of their own. */
void apic_commands(void)
{
	static const uint32_t vectors[] = { 0, 1, 15, 0x80, 0xff };
	static const uint32_t targets[] = { 0, 200, 254, 255 };
	bool was_x2apic = apic_is_x2apic();

	for (uint32_t mode = 0; mode < 8; mode++) {
		if (mode << 8 == IPI_INIT || mode << 8 == IPI_NMI)
			continue;
		for (size_t v = 0; v < ARRAY_COUNT(vectors); v++) {
			for (size_t t = 0; t < ARRAY_COUNT(targets); t++) {
				uint32_t command = mode << 8 | vectors[v];

				apic_send(targets[t], command);
				apic_send(targets[t], command | IPI_ASSERT);
				apic_send(targets[t], command | 0x800);
				apic_send(targets[t], command | 0x8000);
			}
		}
		apic_send(0, mode << 8 | IPI_OTHERS | IPI_ASSERT);
	}
	apic_restore(was_x2apic);
	report(true, "wild commands of the local APIC are survived");
}

static void io_apic_restore(void)
{
	for (uint32_t pin = 0; pin < MULL_GUEST_IO_APIC_PINS; pin++) {
		io_apic_mask(pin);
		io_apic_write(IO_APIC_PIN + 2 * pin + 1, 0);
	}
}

void io_apic_sweep(void)
{
	for (uint32_t reg = 0; reg < 256; reg++) {
		io_apic_read(reg);
		io_apic_write(reg, ~0u);
		io_apic_read(reg);
		io_apic_write(reg, 0);
		io_apic_write(reg, (uint32_t)hostile_random());
	}
	for (uint32_t at = 0; at < SWEEP; at += 2) {
		(void)*(volatile uint8_t *)(IO_APIC_PAGE + at);
		(void)*(volatile uint16_t *)(IO_APIC_PAGE + at);
		*(volatile uint8_t *)(IO_APIC_PAGE + at) = 0xff;
		*(volatile uint32_t *)(IO_APIC_PAGE +
				       at) = (uint32_t)hostile_random();
		if (at + 8 <= SWEEP)
			*(volatile uint64_t *)(IO_APIC_PAGE + at) = ~0ull;
	}
	io_apic_restore();
	apic_restore(apic_is_x2apic());
	report((io_apic_read(1) >> 16 & 0xff) == MULL_GUEST_IO_APIC_PINS - 1,
	       "the I/O APIC still has its pins");
}

static volatile unsigned int level_count;

/* Never serves the device: the line stays as it is. */
static void on_level(struct interrupt_frame *frame)
{
	(void)frame;
	if (++level_count == LEVEL_ROUNDS)
		io_apic_mask(MULL_GUEST_UART_GSI);
}

/* A level interrupt that nobody serves comes again after each end. */
void io_apic_level(void)
{
	uint32_t entry = IO_APIC_PIN + 2 * MULL_GUEST_UART_GSI;

	level_count = 0;
	interrupt_handle(VECTOR_LEVEL, on_level);
	io_apic_write(entry + 1, apic_id() << 24);
	io_apic_write(entry, (uint32_t)IO_APIC_LEVEL | VECTOR_LEVEL);
	port_write(UART_MODEM, 0x0b);
	port_write(UART_INTERRUPTS, 0x02);
	interrupts_on();
	spin_ns(200 * NS_PER_MS);
	interrupts_off();
	port_write(UART_INTERRUPTS, 0);
	io_apic_restore();
	report(level_count <= LEVEL_ROUNDS, "a level interrupt storm (%u)",
	       level_count);

	/* To vectors that are none. */
	for (uint32_t vector = 0; vector < 16; vector++) {
		io_apic_write(entry, (uint32_t)IO_APIC_LEVEL | vector);
		port_write(UART_INTERRUPTS, 0x02);
		port_write(UART_INTERRUPTS, 0);
	}
	io_apic_restore();
	apic_restore(apic_is_x2apic());
	report(true, "illegal vectors at the I/O APIC are survived");
}
