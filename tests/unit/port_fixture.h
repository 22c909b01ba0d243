/* SPDX-License-Identifier: MIT */
/* A vCPU in a VM with two frames of RAM, a UART and the platform's ports. */
#ifndef PORT_FIXTURE_H
#define PORT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <kernel/exits/port.h>
#include <mullion/cpuid.h>
#include <mullion/exits.h>
#include <mullion/guest_walk.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/vm.h>
#include <stdlib.h>
#include <string.h>

#define CODE 0x10000
#define UART 0x3f8
#define FLAT_CODE 0xc9b /* present, code, readable, 32 bits */
#define LONG_CODE 0xa9b
#define FLAT_DATA 0xc93

static const uint32_t frames[] = { 5, 9 };
static struct vm vm;
static struct vcpu vcpu;
static uint8_t ring_bytes[4096];
static int skips, ends, complaints;
static struct guest_event fault;

void vcpu_skip(struct vcpu *of, const struct vm_exit *exit)
{
	assert_ptr_equal(of, &vcpu);
	of->rip += exit->length;
	skips++;
}

void vcpu_page_fault(struct vcpu *of, uint32_t code, uint64_t address)
{
	assert_ptr_equal(of, &vcpu);
	fault = (struct guest_event){ .vector = 14,
				      .error_code = code,
				      .cr2 = address };
}

void vcpu_exception_code(struct vcpu *of, uint8_t vector, uint32_t code)
{
	assert_ptr_equal(of, &vcpu);
	fault = (struct guest_event){ .vector = vector, .error_code = code };
}

void vcpu_kick(struct vcpu *of)
{
	(void)of;
}

void vcpu_request(struct vcpu *of, enum vcpu_request request)
{
	(void)of;
	(void)request;
}

void vm_end(struct vm *of, enum mull_end_reason why, uint32_t code,
	    const char *format, ...)
{
	(void)of;
	(void)code;
	(void)format;
	assert_int_equal(why, MULL_END_RESET);
	assert_true(atomic_flag_test_and_set(&vm.device_lock.held));
	ends++;
}

_Noreturn void panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	abort();
}

uint32_t vm_home(const struct vm *of)
{
	(void)of;
	return 0;
}

void manage_notify(void)
{
}

void log_write(const char *format, ...)
{
	(void)format;
}

void log_guest(struct vcpu *of, const char *format, ...)
{
	(void)of;
	(void)format;
	complaints++;
}

uint32_t guest_physical_bits(void)
{
	return 40;
}

static inline void put(uint64_t at, const void *bytes, size_t length)
{
	assert_int_equal(guest_write(&vm.memory, gpa(at), bytes, length),
			 ERR_NONE);
}

static inline const char *printed(void)
{
	static char text[sizeof ring_bytes + 1];

	text[console_take(&vm.serial.output, text, sizeof ring_bytes)] = 0;
	return text;
}

/* 32 bits, no paging, flat segments, two frames of RAM. */
static inline int fresh(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof vm);
	memset(&vcpu, 0, sizeof vcpu);
	memset(&fake_virt, 0, sizeof fake_virt);
	fake_memory_clear();
	vm.memory.region_count = 1;
	vm.memory.regions[0] = (struct guest_region){ .size = MIB(4),
						      .frames = frames };
	vm.serial.output.bytes = ring_bytes;
	vm.serial.output.size = sizeof ring_bytes;
	vm.serial.fcr = 1;
	io_apic_reset(&vm);
	vcpu.vm = &vm;
	vcpu.rip = CODE;
	for (int i = 0; i < SEGMENT_COUNT; i++)
		fake_virt.system.segments[i] = (struct guest_segment){
			.limit = 0xffffffff, .attributes = FLAT_DATA
		};
	fake_virt.system.segments[SEGMENT_CS].attributes = FLAT_CODE;
	fault = (struct guest_event){ 0 };
	skips = ends = complaints = 0;
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

#endif
