/* SPDX-License-Identifier: MIT */
/* The rest of the hypervisor, for fuzz targets that drive a device of @vm: what
 * it asks for is checked and dropped. */
#ifndef FUZZ_DEVICE_H
#define FUZZ_DEVICE_H

#include <arch/fake/fake.h>
#include <mullion/io_apic.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/vm.h>
#include <stdlib.h>

static struct vm vm;
static struct vcpu first; /* its only one */

static void require(bool holds)
{
	if (!holds)
		abort();
}

bool vm_interrupt(struct vm *to, const struct apic_message *message)
{
	require(to == &vm);
	require(message->delivery == APIC_FIXED ||
		message->delivery == APIC_LOWEST ||
		message->delivery == APIC_NMI);
	return true;
}

uint32_t vm_home(const struct vm *of)
{
	require(of == &vm);
	return 0;
}

void io_apic_set_line(struct vm *to, uint32_t pin, bool high)
{
	(void)pin;
	(void)high;
	require(to == &vm);
}

void log_guest(struct vcpu *vcpu, const char *format, ...)
{
	require(vcpu == &first && format);
}

void manage_notify(void)
{
}

_Noreturn void panic(const char *format, ...)
{
	(void)format;
	abort();
}

#endif
