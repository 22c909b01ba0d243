/* SPDX-License-Identifier: MIT */
/*
 * One small thing that a test asks of a guest, "do=NAME":
 *   end      ends with the exit code "code=N"
 *   zero     looks whether its memory is zero, fills it, resets itself
 *   button   waits for the power button, then powers off
 *   ticks    what a round trip to the hypervisor takes, in TSC ticks
 *   ipis     sends itself 1,000 interrupts by x2APIC's register for that
 *   echo     repeats each line that is typed; "end" ends it
 */
#include "sdk.h"

#define VECTOR_EVENT 0x50
#define ZERO_FROM MIB(4) /* behind this image and the loader's data */
#define ROUNDS 20
#define IPIS 1000

static int do_end(void)
{
	return (int)option_number("code", 0);
}

static bool is_zero(const uint64_t *page)
{
	for (size_t i = 0; i < PAGE_SIZE / sizeof *page; i++) {
		if (page[i])
			return false;
	}
	return true;
}

static int do_zero(void)
{
	uint64_t used = 0;

	for (uint64_t at = ZERO_FROM; at < guest_info.memory_low;
	     at += PAGE_SIZE) {
		used += !is_zero((const uint64_t *)at);
		memset((void *)at, 0xa5, PAGE_SIZE);
	}
	report(used == 0, "memory is zero at start (%lu pages are not)", used);
	port_write(MULL_GUEST_RESET_PORT, MULL_GUEST_RESET_VALUE);
	spin_ns(NS_PER_SECOND);
	report(false, "a reset does not come back");
	return 1;
}

static volatile bool pressed;

static void on_event(struct interrupt_frame *frame)
{
	(void)frame;
	if (port_read(MULL_GUEST_EVENT_PORT) & MULL_GUEST_EVENT_BUTTON)
		pressed = true;
}

static int do_button(void)
{
	interrupt_handle(VECTOR_EVENT, on_event);
	io_apic_route(MULL_GUEST_EVENT_GSI, VECTOR_EVENT);
	print("waiting for the power button\n");
	while (!pressed)
		sleep_ns(10 * NS_PER_MS);
	report(true, "the power button was pressed");
	return 0;
}

static int do_ticks(void)
{
	static uint64_t ticks[ROUNDS];

	/* Printed afterwards, so that the console does not count. */
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t before = tsc_read();

		hypercall(MULL_CALL_VERSION, 0, 0);
		ticks[i] = tsc_read() - before;
	}
	for (int i = 0; i < ROUNDS; i++)
		print("ticks %d: %lu\n", i, ticks[i]);
	return 0;
}

static volatile uint32_t ipis;

static void on_ipi(struct interrupt_frame *frame)
{
	(void)frame;
	ipis += apic_read(APIC_TASK_PRIORITY) == 0x10;
}

/* What exits meanwhile is for the hypervisor's log to say. */
static int do_ipis(void)
{
	interrupt_handle(VECTOR_EVENT, on_ipi);
	if (!apic_use_x2apic(true))
		return 1;
	interrupts_on();
	for (int i = 0; i < IPIS; i++) {
		apic_write(APIC_TASK_PRIORITY, 0x10);
		apic_write(APIC_SELF_IPI, VECTOR_EVENT);
	}
	interrupts_off();
	report(ipis == IPIS, "%u of %u interrupts came", ipis, IPIS);
	return report_done();
}

static int do_echo(void)
{
	char line[64];
	size_t length = 0;

	print("say something\n");
	for (;;) {
		int byte = console_read();

		if (byte < 0) {
			sleep_ns(NS_PER_MS);
			continue;
		}
		if (byte != '\n' && byte != '\r') {
			if (length < sizeof line - 1)
				line[length++] = (char)byte;
			continue;
		}
		line[length] = 0;
		length = 0;
		if (!strcmp(line, "end"))
			return 0;
		print("you said: %s\n", line);
	}
}

static const struct task {
	const char *name;
	int (*run)(void);
} tasks[] = {
	{ "end", do_end },     { "zero", do_zero }, { "button", do_button },
	{ "ticks", do_ticks }, { "ipis", do_ipis }, { "echo", do_echo },
};

int guest_main(void)
{
	char name[16];

	if (option_text("do", name, sizeof name)) {
		for (size_t i = 0; i < ARRAY_COUNT(tasks); i++)
			if (!strcmp(name, tasks[i].name))
				return tasks[i].run();
	}
	print("probe: do=NAME is missing or unknown\n");
	return 1;
}
