/* SPDX-License-Identifier: MIT */
/*
 * What a guest sees of Mullion: the platform's addresses and ports, and the
 * hypercalls.  Read by the hypervisor, by the ACPI tables' source (through
 * the C preprocessor, so that numbers stand here only) and by the SDK.
 */
#ifndef MULLION_GUEST_H
#define MULLION_GUEST_H

/* Guest-physical layout.  RAM is 0..MMIO_START and from 4 GiB up. */
#define MULL_GUEST_MMIO_START 0xc0000000
#define MULL_GUEST_SHARED 0xc0000000 /* memory shared with other VMs */
#define MULL_GUEST_SHARED_LAST 0xcfffffff
#define MULL_GUEST_SHARED_SIZE 0x10000000
#define MULL_GUEST_PCI_MEMORY 0xd0000000 /* BARs of PCI functions */
#define MULL_GUEST_PCI_MEMORY_SIZE 0x10000000
#define MULL_GUEST_PCI_MEMORY_LAST 0xdfffffff
#define MULL_GUEST_ECAM 0xe0000000 /* configuration space of PCI bus 0 */
#define MULL_GUEST_ECAM_SIZE 0x100000
#define MULL_GUEST_IO_APIC 0xfec00000
#define MULL_GUEST_LOCAL_APIC 0xfee00000
#define MULL_GUEST_IO_APIC_PINS 24
/* RSDP first, tables behind; at the end, code that resets; to 1 MiB. */
#define MULL_GUEST_ACPI_AREA 0xe0000
#define MULL_GUEST_ACPI_SIZE 0x10000
#define MULL_GUEST_RSDP_SIZE 36
/* Firmware puts configuration space there; its guests' RAM below 4 GiB, with
 * the tables in its last MULL_GUEST_ACPI_SIZE bytes, ends before. */
#define MULL_GUEST_PC_ECAM 0xb0000000
#define MULL_GUEST_PC_ECAM_SIZE 0x10000000

/* Ports and global system interrupts. */
#define MULL_GUEST_UART_PORT 0x3f8     /* 8 ports, a 16550A */
#define MULL_GUEST_UART_GSI 4	       /* edge */
#define MULL_GUEST_PCI_ADDRESS 0xcf8   /* 4 bytes; which register */
#define MULL_GUEST_PCI_DATA 0xcfc      /* 4 ports: that register */
#define MULL_GUEST_SLEEP_CONTROL 0x600 /* ACPI sleep control register */
#define MULL_GUEST_SLEEP_STATUS 0x601  /* ACPI sleep status register */
#define MULL_GUEST_RESET_PORT 0x602    /* ACPI reset register */
#define MULL_GUEST_RESET_VALUE 0x01
#define MULL_GUEST_EVENT_PORT 0x603 /* read: pending events, cleared by it */
#define MULL_GUEST_EVENT_GSI 9	    /* edge; the generic event device */
#define MULL_GUEST_EVENT_BUTTON 0x01
#define MULL_GUEST_EVENT_PCI 0x02 /* the next two ports have something */
/* Read: a PCI slot whose device has come, or is to go, each once; 0xff: no
 * other.  Write to the third: the slot whose device may go. */
#define MULL_GUEST_PCI_COMES 0x604
#define MULL_GUEST_PCI_GOES 0x605
#define MULL_GUEST_PCI_EJECT 0x606
#define MULL_GUEST_WATCHDOG_COMMAND 0x610 /* read: 1: it runs */
#define MULL_GUEST_WATCHDOG_RUN 1
#define MULL_GUEST_WATCHDOG_STOP 2
#define MULL_GUEST_WATCHDOG_FEED 3
#define MULL_GUEST_WATCHDOG_SECONDS 0x611 /* read: left; write: how many */
#define MULL_GUEST_WATCHDOG_STATUS 0x612  /* 1: it bit; a write clears it */
#define MULL_GUEST_S5_TYPE 5		  /* SLP_TYP that means power-off */

/* Of a guest with `platform: pc`, instead of the four from SLEEP_CONTROL on:
 * ACPI's fixed registers; their interrupt is EVENT_GSI, as a level. */
#define MULL_GUEST_PC_POWER 0x600
#define MULL_GUEST_PC_POWER_LAST 0x63f
#define MULL_GUEST_PC_CONTROL 0x604
#define MULL_GUEST_PC_TIMER 0x608
#define MULL_GUEST_PC_RESET 0xcf9
#define MULL_GUEST_PC_RESET_VALUE 0x06

/* CPUID leaves. */
#define MULL_CPUID_KVM 0x40000000     /* "KVMKVMKVM" */
#define MULL_CPUID_MULLION 0x40000100 /* "MullionMull"; EAX = highest leaf */
#define MULL_CPUID_VERSION 0x40000101 /* EAX = MULL_GUEST_ABI */
#define MULL_GUEST_ABI 1

/*
 * Hypercalls: VMCALL or VMMCALL, number in RAX, arguments in RBX, RCX, RDX,
 * RSI (KVM's registers), result in RAX (negative: minus an enum error).
 * From CPL 0 only; KVM's own numbers are below 0x1000.
 */
#define MULL_CALL_VERSION 0x4d550000 /* result: MULL_GUEST_ABI */
/* Prints @RCX bytes (at most 4096) at guest-physical @RBX on the console;
 * result: bytes taken. */
#define MULL_CALL_CONSOLE 0x4d550001
/* Ends the VM: RBX = exit code; 0 counts as a power-off. Does not return. */
#define MULL_CALL_END 0x4d550002
/* Restarts the VM. Does not return. */
#define MULL_CALL_RESET 0x4d550003
/* Tells of the VM's shared memory number RBX, from 0: writes a struct
 * mull_guest_shared to guest-physical RCX.  ERR_NOT_FOUND: it has no such. */
#define MULL_CALL_SHARED 0x4d550010
/* Rings a doorbell of shared memory number RBX: RCX = peer << 16 | doorbell,
 * of MULL_GUEST_DOORBELLS.  ERR_NOT_FOUND: there is no such peer. */
#define MULL_CALL_SHARED_RING 0x4d550011
/* From now on each doorbell of shared memory number RBX that is rung here
 * gives an interrupt: RCX = vCPU << 8 | vector, from 16 up; 0: no longer.  PCI
 * drivers have MSI-X instead. */
#define MULL_CALL_SHARED_LISTEN 0x4d550012
#define MULL_GUEST_DOORBELLS 4

/*
 * How Mullion's own ELF64 guests start: vCPU 0 at the ELF entry point in
 * long mode, flat segments, paging on with an identity map of the first
 * 4 GiB, interrupts off, RDI = guest-physical address of struct
 * mull_guest_info, RSP = top of a 16 KiB stack.  Program headers are loaded
 * at p_paddr.  An ELF64 guest carries a note of owner "Mullion" and type
 * MULL_NOTE_ABI whose descriptor is a 32-bit MULL_GUEST_ABI.  Other vCPUs
 * wait for INIT and SIPI at their local APICs.
 */
#define MULL_NOTE_OWNER "Mullion"
#define MULL_NOTE_ABI 1
#define MULL_GUEST_INFO_MAGIC 0x4f464e494c4c554d /* "MULLINFO" */

#ifndef MULL_NO_C /* the ACPI compiler's preprocessor reads numbers only */
#include <assert.h>
#include <stdint.h>

struct mull_guest_info {
	uint64_t magic; /* MULL_GUEST_INFO_MAGIC */
	uint32_t abi;	/* MULL_GUEST_ABI */
	uint32_t vcpu_count;
	uint64_t memory_low;   /* bytes of RAM from 0 */
	uint64_t memory_high;  /* bytes of RAM from 4 GiB */
	uint64_t tsc_khz;      /* rate of the time-stamp counter */
	uint64_t rsdp;	       /* guest-physical */
	uint64_t command_line; /* guest-physical, zero-terminated */
	char name[32];	       /* of the VM */
};

enum mull_guest_shared_flag {
	MULL_GUEST_SHARED_WRITE = 1 << 0, /* else writes are refused */
};

/* Memory that this VM has in common with others.  A peer is a VM that names
 * it; its number there, from 0, is the same as long as the VM exists. */
struct mull_guest_shared {
	char name[16];	  /* with the final zero */
	uint64_t address; /* guest-physical */
	uint64_t size;	  /* bytes */
	uint32_t flags;	  /* enum mull_guest_shared_flag */
	uint32_t self;	  /* this VM's own peer number */
	uint64_t peers;	  /* a bit for each peer, this one included */
};

static_assert(sizeof(struct mull_guest_info) == 88, "guest ABI");
static_assert(sizeof(struct mull_guest_shared) == 48, "guest ABI");
#endif

#endif
