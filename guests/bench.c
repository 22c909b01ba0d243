/* SPDX-License-Identifier: MIT */
/*
 * Counts what exits cost, from inside the guest: the time-stamp counter
 * before and after each operation, 1,000 times, or "rounds=N" on the command
 * line.  Under QEMU with -icount shift=6 ("shift=6") and in Bochs a difference is
 * a number of instructions.  Prints "BENCH operation minimum median maximum".  Runs under
 * KVM as it is (tests/bench/kvm_launcher.c).
 */
#include "sdk.h"

#define ROUNDS_MAX 1000
#define WARM_UP 20
#define VECTOR_MINE 0x50
#define HOLE 0xd0000000 /* no memory and no device */
#define NO_CALL 1	/* a hypercall that is not offered */
#define MSR_APIC_BASE 0x1b
#define MSR_MISC_ENABLE 0x1a0
#define MSR_X2APIC_EOI 0x80b
#define UNUSED_PORT 0x80

static uint32_t shift, round_count;
static uint64_t rounds[ROUNDS_MAX];

static void sort(uint64_t *values, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		uint64_t value = values[i];
		size_t at = i;

		for (; at > 0 && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
}

static void result(const char *operation)
{
	sort(rounds, round_count);
	print("BENCH %s %lu %lu %lu\n", operation, rounds[0] >> shift,
	      rounds[round_count / 2] >> shift,
	      rounds[round_count - 1] >> shift);
}

/* The operation stands between the two readings, with no call around it. */
#define MEASURE(name, ...) \
	do { \
		for (int i = -WARM_UP; i < (int)round_count; i++) { \
			uint64_t start = tsc_read(); \
\
			__VA_ARGS__; \
			rounds[i < 0 ? 0 : i] = tsc_read() - start; \
		} \
		result(name); \
	} while (0)

#define CALL(instruction) \
	do { \
		uint64_t number = NO_CALL; \
\
		asm volatile(instruction : "+a"(number) : : "memory"); \
	} while (0)

static void bare_cpuid(void)
{
	uint32_t a = 0, c = 0;

	asm volatile("cpuid" : "+a"(a), "+c"(c) : : "ebx", "edx");
}

/* Prefixes that mean nothing here: the length must still be right. */
static void prefixed(void)
{
	uint32_t a = MSR_APIC_BASE, d;
	uint32_t leaf = 0, c = 0;
	uint64_t enable = msr_read(MSR_MISC_ENABLE) | 1;

	asm volatile(".byte 0x3e; rdmsr"
		     : "=a"(a), "=d"(d)
		     : "c"(MSR_APIC_BASE));
	report(a & BIT(11), "ds rdmsr is skipped whole");
	asm volatile(".byte 0x66, 0x3e; cpuid"
		     : "+a"(leaf), "+c"(c)
		     :
		     : "ebx", "edx");
	report(leaf >= 1, "cpuid with two prefixes is skipped whole");
	asm volatile(".byte 0x3e; wrmsr"
		     :
		     : "c"(MSR_MISC_ENABLE), "a"((uint32_t)enable),
		       "d"((uint32_t)(enable >> 32)));
	report(msr_read(MSR_MISC_ENABLE) & 1, "ds wrmsr is skipped whole");
}

static volatile uint64_t arrived;

static void on_mine(struct interrupt_frame *frame)
{
	(void)frame;
	arrived = tsc_read();
}

/* From the write of the command register, or of the one that x2APIC has for
 * nothing else, to the handler's first reading. */
static void measure_self_ipi(const char *name, uint32_t offset, uint32_t value)
{
	interrupt_handle(VECTOR_MINE, on_mine);
	interrupts_on();
	for (int i = -WARM_UP; i < (int)round_count; i++) {
		uint64_t start = tsc_read();

		arrived = 0;
		apic_write(offset, value);
		while (!arrived)
			cpu_relax();
		rounds[i < 0 ? 0 : i] = arrived - start;
	}
	interrupts_off();
	result(name);
}

/*
 * An interrupt to another vCPU, on each side for itself: the sender's command
 * register, and what the receiver, which only counts, loses by it: from the
 * last reading before to the handler's own.
 */
static volatile uint32_t wanted, taken; /* interrupts so far */
static volatile uint64_t lost;

static void receive(void *unused)
{
	uint64_t last, now = 0;

	(void)unused;
	interrupts_on();
	while (wanted <= round_count + WARM_UP) {
		arrived = 0;
		taken = wanted;
		do {
			last = now;
			now = tsc_read();
		} while (!arrived);
		lost = arrived - last;
		while (wanted == taken)
			cpu_relax();
	}
	interrupts_off();
}

/* A way to interrupt the other; with what each side of it lost. */
struct way {
	void (*send)(void);
	uint64_t sent[ROUNDS_MAX], received[ROUNDS_MAX];
};

static void send_all(void *argument)
{
	struct way *way = argument;

	for (int i = -WARM_UP; i < (int)round_count; i++) {
		uint64_t start;

		while (taken != wanted)
			cpu_relax();
		lost = 0;
		start = tsc_read();
		way->send();
		way->sent[i < 0 ? 0 : i] = tsc_read() - start;
		while (!lost)
			cpu_relax();
		way->received[i < 0 ? 0 : i] = lost;
		wanted++;
	}
}

static void result_of(const char *operation, const uint64_t *values)
{
	memcpy(rounds, values, sizeof rounds);
	result(operation);
}

static void send_ipi(void)
{
	apic_send(1, IPI_ASSERT | VECTOR_MINE);
}

static void measure_ipi(void)
{
	static struct way ipi = { .send = send_ipi };

	wanted = 1;
	report(smp_run(1, receive, NULL), "it receives");
	send_all(&ipi);
	smp_wait(1, NS_PER_SECOND);
	result_of("ipi-send", ipi.sent);
	result_of("ipi-receive", ipi.received);
}

/* A peer of its own, whose doorbells vCPU 0 hears, as the home CPU's. */
static struct shared shared;

static void send_doorbell(void)
{
	shared_ring(&shared, shared.told.self, 0);
}

static void measure_doorbell(void)
{
	static struct way doorbell = { .send = send_doorbell };

	report(shared_listen(&shared, VECTOR_MINE), "doorbells interrupt");
	wanted = 1;
	taken = 0;
	report(smp_run(1, send_all, &doorbell), "the other vCPU rings");
	receive(NULL);
	smp_wait(1, NS_PER_SECOND);
	result_of("doorbell-send", doorbell.sent);
	result_of("doorbell-receive", doorbell.received);
}

/* Rung and heard on one CPU. */
static void measure_own_doorbell(void)
{
	shared_listen(&shared, VECTOR_MINE);
	interrupt_handle(VECTOR_MINE, on_mine);
	interrupts_on();
	for (int i = -WARM_UP; i < (int)round_count; i++) {
		uint64_t start = tsc_read();

		arrived = 0;
		send_doorbell();
		while (!arrived)
			cpu_relax();
		rounds[i < 0 ? 0 : i] = arrived - start;
	}
	interrupts_off();
	result("doorbell-self");
}

/* The whole of it: sent to itself, taken, ended, and back. */
static void measure_interrupt(const char *name)
{
	interrupt_handle(VECTOR_MINE, on_mine);
	interrupts_on();
	for (int i = -WARM_UP; i < (int)round_count; i++) {
		uint64_t start = tsc_read();

		arrived = 0;
		apic_write(APIC_SELF_IPI, VECTOR_MINE);
		while (!arrived)
			cpu_relax();
		rounds[i < 0 ? 0 : i] = tsc_read() - start;
	}
	interrupts_off();
	result(name);
}

static void sleep_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		asm volatile("cli; hlt");
}

/*
 * The sender's part of an interrupt to three vCPUs, and to one: they sleep
 * with interrupts off and have the vector already, so that nothing but the
 * sending itself is counted.
 */
static void measure_multicast(void)
{
	const uint32_t command = IPI_ASSERT | VECTOR_MINE;

	report(smp_start() == 4, "there are three other vCPUs");
	for (uint32_t i = 1; i < 4; i++)
		report(smp_run(i, sleep_for_ever, NULL), "vCPU %u sleeps", i);
	apic_use_x2apic(true);
	sleep_ns(50 * NS_PER_MS); /* until all do */
	MEASURE("ipi-register-1", apic_send(1, command));
	MEASURE("ipi-call-1",
		hypercall_of_four(KVM_CALL_SEND_IPI, 2, 0, 0, VECTOR_MINE));
	MEASURE("ipi-register-3", apic_send(1, command); apic_send(2, command);
		apic_send(3, command));
	MEASURE("ipi-call-3",
		hypercall_of_four(KVM_CALL_SEND_IPI, 14, 0, 0, VECTOR_MINE));
}

/* From the deadline that the guest has set to its handler's first reading. */
static void measure_timer(void)
{
	interrupt_handle(VECTOR_TIMER, on_mine);
	interrupts_on();
	for (int i = -WARM_UP; i < (int)round_count; i++) {
		/* A millisecond: what arms it must be over by then. */
		uint64_t due = tsc_read() + guest_info.tsc_khz;

		arrived = 0;
		apic_write(APIC_LVT_TIMER, APIC_LVT_DEADLINE | VECTOR_TIMER);
		msr_write(0x6e0, due);
		while (!arrived)
			cpu_relax();
		rounds[i < 0 ? 0 : i] = arrived - due;
	}
	interrupts_off();
	timer_stop();
	result("timer-interrupt");
}

static void measure_exits(bool intel)
{
	uint64_t enable = msr_read(MSR_MISC_ENABLE);

	MEASURE("nothing", (void)0);
	MEASURE("cpuid", bare_cpuid());
	if (intel)
		MEASURE("hypercall", CALL("vmcall"));
	else
		MEASURE("hypercall", CALL("vmmcall"));
	MEASURE("rdmsr", msr_read(MSR_APIC_BASE));
	MEASURE("wrmsr", msr_write(MSR_MISC_ENABLE, enable));
	MEASURE("port-in", port_read(UNUSED_PORT));
	MEASURE("port-out", port_write(UNUSED_PORT, 0));
	MEASURE("mmio-read", mmio_read(HOLE));
	MEASURE("mmio-write", mmio_write(HOLE, 0));
	MEASURE("xapic-read", apic_read(APIC_TASK_PRIORITY));
}

int guest_main(void)
{
	bool intel = cpuid(0, 0).ebx == 0x756e6547; /* "Genu" */
	bool shares;

	shift = option_number("shift", 0);
	round_count = option_number("rounds", ROUNDS_MAX);
	if (round_count == 0 || round_count > ROUNDS_MAX)
		round_count = ROUNDS_MAX;
	if (guest_info.vcpu_count > 2) {
		measure_multicast();
		return report_done();
	}
	/* Elsewhere there is none, and so no doorbell. */
	shares = shared_find("bench", &shared);
	report(shares || !mullion_present(), "there is shared memory");
	if (guest_info.vcpu_count > 1) {
		apic_use_x2apic(true);
		report(smp_start() >= 2, "there is a second vCPU");
		interrupt_handle(VECTOR_MINE, on_mine);
		measure_ipi();
		/* QEMU with -icount may never again run the vCPU that is to
		 * ring, and counts the instructions of both. */
		if (shares && !shift)
			measure_doorbell();
		return report_done();
	}
	prefixed();
	measure_exits(intel);
	apic_use_x2apic(true);
	MEASURE("x2apic-eoi", msr_write(MSR_X2APIC_EOI, 0));
	measure_self_ipi("self-ipi", APIC_COMMAND,
			 IPI_SELF | IPI_ASSERT | VECTOR_MINE);
	if (apic_is_x2apic())
		measure_self_ipi("self-ipi-register", APIC_SELF_IPI,
				 VECTOR_MINE);
	if (shares)
		measure_own_doorbell();
	if (apic_is_x2apic())
		measure_interrupt("interrupt");
	if (apic_is_x2apic() && eoi_use_memory(true)) {
		measure_interrupt("interrupt-pv-eoi");
		eoi_use_memory(false);
	}
	measure_timer();
	return report_done();
}
