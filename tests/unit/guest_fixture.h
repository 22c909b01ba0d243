/* SPDX-License-Identifier: MIT */
/* A VM of two vCPUs with two frames of RAM, which runs 32-bit code at CODE
 * without paging.  What it does to itself and to others is recorded. */
#ifndef GUEST_FIXTURE_H
#define GUEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arch/fake/fake.h>
#include <cmocka.h>
#include <mullion/balloon.h>
#include <mullion/cpuid.h>
#include <mullion/exits.h>
#include <mullion/guest_walk.h>
#include <mullion/log.h>
#include <mullion/manage.h>
#include <mullion/vm.h>
#include <stdlib.h>
#include <string.h>

#define CODE 0x10000
#define RAM_BYTES MIB(4)
#define FLAT_CODE 0xc9b /* present, code, readable, 32 bits */
#define LONG_CODE 0xa9b
#define FLAT_DATA 0xc93
#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)

static const uint32_t frames[] = { 5, 9 };
static struct vm vm;
static struct vcpu vcpu, other;
static uint8_t ring_bytes[16384];
static uint32_t ends, complaints, notices;
static enum mull_end_reason end_reason;
static uint32_t end_code;
static char end_words[160];

void vm_end(struct vm *of, enum mull_end_reason reason, uint32_t code,
	    const char *format, ...)
{
	va_list arguments;

	assert_ptr_equal(of, &vm);
	va_start(arguments, format);
	format_text_list(end_words, sizeof end_words, format, arguments);
	va_end(arguments);
	end_reason = reason;
	end_code = code;
	ends++;
}

/* Nobody's memory is elastic. */
bool vm_balloon_touch(struct vm *of, gpa_t at)
{
	(void)of;
	(void)at;
	return false;
}

void vm_balloon_seen(struct vm *of)
{
	(void)of;
	fail_msg("nobody's memory is elastic");
}

void vm_command(struct vm *of, enum mull_command command)
{
	(void)of;
	(void)command;
}

uint32_t vm_home(const struct vm *of)
{
	(void)of;
	return 0;
}

void manage_notify(void)
{
	notices++;
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

_Noreturn void panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	abort();
}

static inline void put(uint64_t at, const void *bytes, size_t length)
{
	assert_int_equal(guest_write(&vm.memory, gpa(at), bytes, length),
			 ERR_NONE);
}

/* The instruction that the guest is at. */
#define put_code(bytes) put(vcpu.rip, bytes, sizeof bytes - 1)

static inline const char *printed(void)
{
	static char text[sizeof ring_bytes + 1];

	text[console_take(&vm.serial.output, text, sizeof ring_bytes)] = 0;
	return text;
}

static inline void set_code_64(void)
{
	fake_virt.system.segments[SEGMENT_CS].attributes = LONG_CODE;
	fake_virt.system.efer = 0x500;
}

static inline void make_vcpu(struct vcpu *of, uint32_t index)
{
	memset(of, 0, sizeof *of);
	of->vm = &vm;
	of->index = index;
	of->cpu = index;
	of->rip = CODE;
	of->rflags = BIT(1);
	of->state = VCPU_RUNNABLE;
	local_apic_reset(of);
	vm.vcpus[index] = of;
	vm.vcpu_count = index + 1;
}

static int fresh(void **state)
{
	(void)state;
	memset(&vm, 0, sizeof vm);
	memset(&fake_virt, 0, sizeof fake_virt);
	fake_memory_clear();
	fake_cpu_count = 2;
	fake_time = MIB(1);
	fake_cpuid = NULL;
	fake_interrupts = NULL;
	make_vcpu(&vcpu, 0);
	make_vcpu(&other, 1);
	vm.memory.region_count = 1;
	vm.memory.regions[0] = (struct guest_region){ .size = RAM_BYTES,
						      .frames = frames };
	vm.serial.output.bytes = ring_bytes;
	vm.serial.output.size = sizeof ring_bytes;
	io_apic_reset(&vm);
	for (int i = 0; i < SEGMENT_COUNT; i++)
		fake_virt.system.segments[i] = (struct guest_segment){
			.limit = 0xffffffff, .attributes = FLAT_DATA
		};
	fake_virt.system.segments[SEGMENT_CS].attributes = FLAT_CODE;
	fake_virt.system.cr0 = 1;
	ends = complaints = notices = 0;
	end_words[0] = 0;
	return 0;
}

/* The exception that the vCPU has earned; 0xff: none. */
static inline uint8_t exception(void)
{
	return vcpu.has_event ? vcpu.event.vector : 0xff;
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

#endif
