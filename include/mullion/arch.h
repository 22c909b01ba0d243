/* SPDX-License-Identifier: MIT */
/*
 * What the kernel asks of the processor, apart from virtualization
 * (virt.h).  arch/x86/ does it, arch/fake/ plays it for host tests.
 */
#ifndef MULLION_ARCH_H
#define MULLION_ARCH_H

#include <mullion/address.h>
#include <mullion/boot_info.h>
#include <mullion/control.h>
#include <mullion/error.h>
#include <mullion/package.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The running CPU, 0 = boot CPU; and how many have been started. */
uint32_t arch_cpu_index(void);
uint32_t arch_cpu_count(void);

/* Time-stamp counter, and its rate. */
uint64_t arch_time(void);
uint64_t arch_time_khz(void);

/* Of it, so many milliseconds. */
static inline uint64_t arch_time_ms(uint64_t milliseconds)
{
	return milliseconds * arch_time_khz();
}

/* Whether arch_time() has come to @time. */
static inline bool arch_time_is_over(uint64_t time)
{
	return (int64_t)(arch_time() - time) >= 0;
}

/* Nanoseconds, exact enough for a century; 0 before the rate is known. */
static inline uint64_t arch_time_ns(uint64_t ticks)
{
	uint64_t khz = arch_time_khz();

	return !khz ? 0 : ticks / khz * 1000000 + ticks % khz * 1000000 / khz;
}

#define ARCH_NO_DEADLINE (~0ull)

/* Interrupt this CPU when arch_time() reaches @time. */
void arch_set_deadline(uint64_t time);

/*
 * arch_apic_give - leave this CPU's local APIC to the guest that runs here
 *
 * It is as after a reset, in x2APIC mode and enabled by software.  From then on
 * arch_set_deadline() only keeps the deadline, for the vendor's timer or, without
 * virt->has_timer, for cpu_loop_watch(); arch_take_interrupts() takes nothing, and
 * arch_idle() ends by a kick or that deadline.  Only where virt->gives_apic() says
 * so.
 *
 * arch_apic_take - have it back, empty; nothing where it was not given
 */
void arch_apic_give(void);
void arch_apic_take(void);
/* Whether the machine's own local APICs have the TSC deadline. */
bool arch_apic_has_deadline(void);
/* The rest is for one that is given.  @vector, 32 at least, for @cpu's guest
 * by an interprocessor interrupt, or by one to itself, where 16 is enough. */
void arch_apic_send(uint32_t cpu, uint8_t vector);
uint32_t arch_apic_id(uint32_t cpu); /* of its own local APIC */
/* The vector of spurious interrupts, as the guest wants it. */
void arch_apic_set_spurious(uint8_t vector);
/* No timer of the guest's fires any more. */
void arch_apic_mask_timer(void);
/* Hold all interrupts until the release, unless the guest lets them in; the
 * answer is what the release must be told. */
uint8_t arch_apic_hold(void);
void arch_apic_release(uint8_t before);

/* Make @cpu leave its guest or its idle wait and look around.  Lossless:
 * a kick that comes before the entry calls the entry off. */
void arch_kick(uint32_t cpu);

/* Forget kicks up to now; what they were about must be looked at after. */
void arch_kick_forget(void);

/* Wait until an interrupt or a kick since arch_kick_forget(). */
void arch_idle(void);

/* Take the physical interrupts that are pending; their handlers run here. */
void arch_take_interrupts(void);

/* Takes them, too, and tells whether one came, or a kick since
 * arch_kick_forget(): then long work leaves off, and this CPU looks around. */
bool arch_is_wanted(void);

/*
 * arch_window - see one 2 MiB frame that the hypervisor does not keep mapped
 * @frame: physical, 2 MiB-aligned
 *
 * Returns its mapping, valid on this CPU until the next call on this CPU.
 */
void *arch_window(hpa_t frame);
/* The same to read only, beside the other: each holds its frame while the
 * other one is opened. */
const void *arch_view(hpa_t frame);

/* Memory of the hypervisor itself: always mapped, read and write. */
void *arch_direct(hpa_t address);
hpa_t arch_physical(const void *direct);

/* Map @size bytes at @address into the hypervisor: RAM that it owns, RAM that
 * it only reads, or device registers (uncached), or a framebuffer
 * (write-combining).  At start only. */
enum arch_map_kind {
	ARCH_MAP_RAM,
	ARCH_MAP_READ_ONLY,
	ARCH_MAP_DEVICE,
	ARCH_MAP_FRAMEBUFFER
};
enum error arch_map(hpa_t address, uint64_t size, enum arch_map_kind kind);

/* What the hypervisor's own tables have for @address (48 bits), but nothing
 * of what its windows show. */
void arch_look(uint64_t address, struct mapping *mapping);

uint8_t arch_port_in8(uint16_t port);
void arch_port_out8(uint16_t port, uint8_t value);
uint32_t arch_port_in32(uint16_t port);
void arch_port_out32(uint16_t port, uint32_t value);

/* A register of 1, 2, 4 or 8 bytes, naturally aligned, in memory that was
 * mapped as ARCH_MAP_DEVICE.  All that was written to memory before is seen by
 * the device that then sees the register change. */
uint64_t arch_mmio_read(hpa_t at, uint32_t size);
void arch_mmio_write(hpa_t at, uint32_t size, uint64_t value);

/* The processor's own CPUID; registers in the order EAX, EBX, ECX, EDX. */
void arch_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]);

/* A random number of the processor's; false: it has none, or none now. */
bool arch_random(uint64_t *value);

/* Route an ISA interrupt of the machine to the service CPU, as @handler. */
enum error arch_connect_interrupt(uint32_t isa_line, void (*handler)(void));

/* What a device writes where, to interrupt. */
struct arch_message {
	uint64_t address;
	uint32_t data;
};

/*
 * arch_connect_message - find a vector of @cpu's that calls @handler(@context)
 *
 * At start only.  Returns ERR_NO_MEMORY when all are in use, or
 * ERR_UNSUPPORTED when no message can be sent to that CPU.
 */
enum error arch_connect_message(uint32_t cpu, void (*handler)(void *context),
				void *context, struct arch_message *message);

/* The FPU must not be used outside such a pair: it holds a guest's state. */
void arch_fpu_begin(void);
void arch_fpu_end(void);

/* XSETBV of a guest whose vCPU runs here; an error means #GP(0). */
struct vcpu;
enum error arch_set_guest_xcr0(struct vcpu *vcpu, uint64_t value);

/* Close what leaks by speculation: once on the boot CPU, then on each CPU,
 * before a guest runs there. */
void arch_mitigate(enum mull_mitigations mode);
void arch_mitigate_cpu(void);
/* Another VM's vCPU comes next on this CPU: branches that the last VM has
 * trained are forgotten. */
void arch_leave_vm(void);

/* What of the caches and of memory bandwidth this machine can give away. */
struct cache_means;
void arch_cache_find(struct cache_means *means);
/* Have every class be as @plan says, in the registers that this CPU shares with
 * some others.  One CPU at a time. */
struct cache_plan;
void arch_cache_set(const struct cache_plan *plan);
/* What this CPU does from here on is of that class. */
void arch_cache_use(uint32_t class);

/* Make every other CPU stop for ever: a panic. */
void arch_stop_others(void);

/* Stop this CPU for ever. */
_Noreturn void arch_halt(void);

/* Return addresses of the callers, innermost first; how many were found. */
size_t arch_backtrace(uint64_t *addresses, size_t count);

/* Switch the machine off, or restart it: on the boot CPU, when nothing is left
 * to be done.  Comes back only when it cannot be switched off. */
void arch_end_machine(enum mull_machine_end end);

static inline void arch_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

#endif
