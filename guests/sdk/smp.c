/* SPDX-License-Identifier: MIT */
/* The other vCPUs: started by INIT and SIPI, then idle until given work. */
#include "sdk.h"

#define START_TRIES 20
#define START_PATIENCE (100 * NS_PER_MS) /* a try */
#define INIT_PAUSE (10 * NS_PER_MS)

/* In trampoline.S, to be reached in its copy at SDK_TRAMPOLINE. */
extern char trampoline_begin[], trampoline_end[];
extern uint64_t trampoline_cr3, trampoline_stack, trampoline_entry,
	trampoline_index;
#define IN_TRAMPOLINE(variable) \
	(*(volatile uint64_t *)(SDK_TRAMPOLINE + \
				((char *)&(variable)-trampoline_begin)))

struct work {
	void (*function)(void *);
	void *argument;
};

static struct work works[SDK_VCPU_MAX]; /* .function is NULL when idle */
static bool online[SDK_VCPU_MAX];

__attribute__((noreturn)) static void smp_entered(uint32_t index)
{
	struct work *work = &works[index];
	void (*function)(void *);

	cr3_write(paging_root());
	descriptors_start(index);
	apic_start();
	__atomic_store_n(&online[index], true, __ATOMIC_RELEASE);
	for (;;) {
		interrupts_off();
		function = __atomic_load_n(&work->function, __ATOMIC_ACQUIRE);
		if (!function) {
			halt_until_interrupt();
			continue;
		}
		function(work->argument);
		__atomic_store_n(&work->function, NULL, __ATOMIC_RELEASE);
	}
}

static bool came_online(uint32_t index, uint64_t ns)
{
	uint64_t start = time_ns();

	while (!__atomic_load_n(&online[index], __ATOMIC_ACQUIRE)) {
		if (time_ns() - start > ns)
			return false;
		cpu_relax();
	}
	return true;
}

static bool start_one(uint32_t index)
{
	memcpy((void *)SDK_TRAMPOLINE, trampoline_begin,
	       (size_t)(trampoline_end - trampoline_begin));
	IN_TRAMPOLINE(trampoline_cr3) = paging_root();
	IN_TRAMPOLINE(trampoline_stack) = (uintptr_t)sdk_stacks[index] +
					  SDK_STACK_SIZE;
	IN_TRAMPOLINE(trampoline_entry) = (uintptr_t)smp_entered;
	IN_TRAMPOLINE(trampoline_index) = index;

	apic_send(index, IPI_INIT | IPI_ASSERT);
	spin_ns(INIT_PAUSE);
	for (int i = 0; i < START_TRIES; i++) {
		/* One that comes too early is lost, one too late ignored. */
		apic_send(index,
			  IPI_STARTUP | IPI_ASSERT | SDK_TRAMPOLINE >> 12);
		if (came_online(index, START_PATIENCE))
			return true;
	}
	return false;
}

uint32_t smp_start(void)
{
	uint32_t running = 1;

	for (uint32_t i = 1; i < guest_info.vcpu_count && i < SDK_VCPU_MAX;
	     i++) {
		if (online[i] || start_one(i))
			running++;
	}
	return running;
}

bool smp_restart(uint32_t index)
{
	online[index] = false;
	works[index].function = NULL;
	return start_one(index);
}

bool smp_run(uint32_t index, void (*function)(void *), void *argument)
{
	if (!online[index] ||
	    __atomic_load_n(&works[index].function, __ATOMIC_ACQUIRE))
		return false;
	works[index].argument = argument;
	__atomic_store_n(&works[index].function, function, __ATOMIC_RELEASE);
	apic_send(index, IPI_FIXED | IPI_ASSERT | VECTOR_WAKE);
	return true;
}

bool smp_wait(uint32_t index, uint64_t ns)
{
	uint64_t start = time_ns();

	while (__atomic_load_n(&works[index].function, __ATOMIC_ACQUIRE)) {
		if (time_ns() - start > ns)
			return false;
		cpu_relax();
	}
	return true;
}
