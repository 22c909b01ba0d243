/* SPDX-License-Identifier: MIT */
/* kvm-clock: the paravirtual clock that stock kernels have.  Linux,
 * Documentation/virt/kvm/x86/msr.rst, "MSR_KVM_SYSTEM_TIME_NEW" and
 * "MSR_KVM_WALL_CLOCK_NEW". */
#ifndef MULLION_GUEST_CLOCK_H
#define MULLION_GUEST_CLOCK_H

#include <mullion/error.h>
#include <stdbool.h>
#include <stdint.h>

struct vcpu;

#define MSR_KVM_WALL_CLOCK 0x11
#define MSR_KVM_SYSTEM_TIME 0x12
#define MSR_KVM_WALL_CLOCK_NEW 0x4b564d00
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01

/* The date at the hypervisor's start, seconds since 1970 (UTC). */
void guest_clock_start(uint64_t wall_clock_seconds);

/* Nanoseconds since 1970 at @time, an arch_time(); since the start if the date
 * was not known. */
uint64_t guest_clock_wall(uint64_t time);

/* The guest writes the address of its clock (bit 0: on) or of its wall clock;
 * an error means #GP(0).  @stopped: it was written before; tell the guest that
 * it stood still since. */
enum error guest_clock_write(struct vcpu *vcpu, uint64_t value, bool stopped);
enum error guest_clock_write_wall(struct vcpu *vcpu, uint64_t value);

#endif
