/* SPDX-License-Identifier: MIT */
/*
 * The home CPU looks at the deadline, which any vCPU may move on.  Later is
 * found out when the former one has come; sooner needs a kick.
 */
#include <mullion/arch.h>
#include <mullion/guest.h>
#include <mullion/vm.h>
#include <mullion/watchdog.h>

static bool runs(const struct watchdog *watchdog)
{
	return atomic_load(&watchdog->deadline) != ARCH_NO_DEADLINE;
}

static uint64_t ticks(uint32_t seconds)
{
	return seconds * arch_time_khz() * 1000;
}

static void feed(struct watchdog *watchdog)
{
	atomic_store(&watchdog->deadline,
		     arch_time() + ticks(watchdog->seconds));
}

static uint8_t seconds_left(const struct watchdog *watchdog)
{
	uint64_t deadline = atomic_load(&watchdog->deadline), now = arch_time();

	if (!runs(watchdog))
		return watchdog->seconds;
	return deadline <= now ? 0 : (uint8_t)((deadline - now) / ticks(1));
}

static void obey(struct vm *vm, uint8_t command)
{
	struct watchdog *watchdog = &vm->watchdog;

	switch (command) {
	case MULL_GUEST_WATCHDOG_RUN:
		feed(watchdog);
		arch_kick(vm_home(vm));
		break;
	case MULL_GUEST_WATCHDOG_STOP:
		atomic_store(&watchdog->deadline, ARCH_NO_DEADLINE);
		break;
	case MULL_GUEST_WATCHDOG_FEED:
		if (runs(watchdog))
			feed(watchdog);
		break;
	}
}

/* What is asked for, from 1 to what the manifest allows. */
static void set_seconds(struct vm *vm, uint8_t seconds)
{
	struct watchdog *watchdog = &vm->watchdog;

	if (!seconds)
		seconds = 1;
	if (seconds > vm->description.watchdog)
		seconds = (uint8_t)vm->description.watchdog;
	watchdog->seconds = seconds;
	if (runs(watchdog)) {
		feed(watchdog);
		arch_kick(vm_home(vm));
	}
}

uint8_t watchdog_read(struct vm *vm, uint16_t port)
{
	if (!vm->description.watchdog)
		return 0xff;
	switch (port) {
	case MULL_GUEST_WATCHDOG_COMMAND:
		return runs(&vm->watchdog);
	case MULL_GUEST_WATCHDOG_SECONDS:
		return seconds_left(&vm->watchdog);
	default:
		return vm->watchdog.bitten;
	}
}

void watchdog_write(struct vm *vm, uint16_t port, uint8_t value)
{
	if (!vm->description.watchdog)
		return;
	switch (port) {
	case MULL_GUEST_WATCHDOG_COMMAND:
		obey(vm, value);
		break;
	case MULL_GUEST_WATCHDOG_SECONDS:
		set_seconds(vm, value);
		break;
	default:
		vm->watchdog.bitten = false;
		break;
	}
}

void watchdog_reset(struct vm *vm)
{
	vm->watchdog.seconds = (uint8_t)vm->description.watchdog;
	atomic_store(&vm->watchdog.deadline, ARCH_NO_DEADLINE);
}

void watchdog_resume(struct vm *vm)
{
	if (runs(&vm->watchdog))
		feed(&vm->watchdog);
}

uint64_t watchdog_deadline(const struct vm *vm)
{
	return vm->description.watchdog ? atomic_load(&vm->watchdog.deadline) :
					  ARCH_NO_DEADLINE;
}

void watchdog_look(struct vm *vm)
{
	if (arch_time() < watchdog_deadline(vm))
		return;
	lock_take(&vm->device_lock);
	/* It may have been fed meanwhile. */
	if (arch_time() >= watchdog_deadline(vm)) {
		atomic_store(&vm->watchdog.deadline, ARCH_NO_DEADLINE);
		vm->watchdog.bitten = true;
		vm_end(vm, MULL_END_WATCHDOG, vm->watchdog.seconds,
		       "watchdog: not fed for %u s", vm->watchdog.seconds);
	}
	lock_give(&vm->device_lock);
}
