/* SPDX-License-Identifier: MIT */
/* What tests of a guest's disk need of the hypervisor around it. */
#ifndef TESTS_UNIT_BLOCK_FIXTURE_H
#define TESTS_UNIT_BLOCK_FIXTURE_H

#include "virtio_registers.h"

#include <cmocka.h>
#include <mullion/log.h>
#include <stdlib.h>

static struct vcpu first;
static uint32_t complaints; /* of the guest's doings */

bool vm_interrupt(struct vm *to, const struct apic_message *message)
{
	(void)to;
	(void)message;
	return true;
}

uint32_t vm_home(const struct vm *of)
{
	(void)of;
	return 0;
}

void log_guest(struct vcpu *vcpu, const char *format, ...)
{
	(void)format;
	assert_ptr_equal(vcpu, &first);
	complaints++;
}

_Noreturn void panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	abort();
}

#endif
