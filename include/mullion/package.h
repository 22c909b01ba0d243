/* SPDX-License-Identifier: MIT */
/*
 * The boot package: what `mullctl pack` makes from a manifest and the
 * hypervisor reads at start.  Little-endian.  Layout of the file:
 *   struct mull_package_header
 *   struct mull_vm[vm_count]        at vm_offset
 *   struct mull_image[image_count]  at image_offset
 *   image bytes, each at a multiple of 4096, smallest image first (a
 *   truncated package then loses as few partitions as possible)
 * Each record carries its own CRC-32 (IEEE 802.3, computed with its crc field
 * zero), so that damage to one VM leaves the others bootable.  The
 * hypervisor treats every byte as hostile.
 */
#ifndef MULLION_PACKAGE_H
#define MULLION_PACKAGE_H

#include <assert.h>
#include <stdint.h>

#define MULL_PACKAGE_PATH "\\EFI\\MULLION\\PACKAGE.MPK" /* on the ESP */

#define MULL_PACKAGE_MAGIC 0x0147504b4c4c554dull /* "MULLPKG\1" */
#define MULL_PACKAGE_VERSION 3

#define MULL_NAME_MAX 32	   /* bytes with the final zero; [a-z0-9-]+ */
#define MULL_VM_MAX 64		   /* VMs in a package */
#define MULL_IMAGE_MAX 128	   /* images in a package */
#define MULL_VCPU_MAX 64	   /* vCPUs of a VM */
#define MULL_CPU_MAX 256	   /* processors of a machine */
#define MULL_COMMAND_LINE_MAX 2048 /* bytes with the final zero */
#define MULL_CONSOLE_MAX 0x200000  /* bytes of a VM's console buffer */
#define MULL_WATCHDOG_MAX 255	   /* seconds */
#define MULL_VSOCK_MIN 3	   /* those below are the host's */
#define MULL_VSOCK_MAX 0xfffffffeu /* the one above stands for any */
#define MULL_NO_IMAGE 0xffffffffu
#define MULL_DISK_MAX 4		       /* disks of a VM */
#define MULL_NIC_MAX 4		       /* network devices of a VM */
#define MULL_MACHINE_NIC_MAX 8	       /* network cards of the machine */
#define MULL_SHARED_MAX 4	       /* shared memories of a VM */
#define MULL_MODULE_MAX 4	       /* Multiboot modules of a VM */
#define MULL_SHARED_SIZE_MAX 0x4000000 /* bytes of one: 64 MiB */
#define MULL_LABEL_MAX \
	16		     /* bytes of a switch's, shared memory's or
				      group's name, with the final zero */
#define MULL_KEY_SIZE 32     /* bytes of the channel's key on the network */
#define MULL_SCHEDULE_MAX 4  /* schedules of the machine */
#define MULL_SLOT_MAX 16     /* slots of one */
#define MULL_SLOT_US_MIN 100 /* microseconds of a slot */
#define MULL_FRAME_US_MAX 10000000 /* of all slots of a schedule */
#define MULL_PARTITION_MAX 40	   /* bytes of a GPT partition's name, ASCII */

enum mull_image_kind {
	MULL_IMAGE_BZIMAGE = 1, /* Linux, 64-bit boot protocol */
	MULL_IMAGE_ELF64 = 2,	/* Mullion's own: <mullion/guest.h> */
	MULL_IMAGE_INITRD = 3,	/* handed to the kernel as it is */
	MULL_IMAGE_PVH = 4,	/* ELF with the note XEN_ELFNOTE_PHYS32_ENTRY */
	MULL_IMAGE_MULTIBOOT = 5,
	MULL_IMAGE_MULTIBOOT2 = 6,
	MULL_IMAGE_DISK = 7,	 /* of a memory disk: whole sectors */
	MULL_IMAGE_FIRMWARE = 8, /* ends at 4 GiB, at the reset vector */
};

#define MULL_ELASTIC_MAX 0x1000000000ull /* bytes of memory with a balloon */
#define MULL_FIRMWARE_MAX 0x1000000	 /* bytes of one, whole pages */

enum mull_vm_flag {
	MULL_VM_AUTOSTART = 1 << 0,	/* start at boot */
	MULL_VM_PLATFORM_PC = 1 << 1,	/* PIC, PIT, RTC, i8042, PM timer */
	MULL_VM_ELASTIC = 1 << 2,	/* a balloon may take memory */
	MULL_VM_EMULATED_APIC = 1 << 3, /* never its CPUs' own local APICs */
};

/* What the hypervisor does when a guest ends itself. */
enum mull_end_policy {
	MULL_END_STOP = 1,    /* the VM stays stopped */
	MULL_END_RESTART = 2, /* its images are loaded again and it starts */
};

/* Where the hypervisor's serial line is, and what it carries. */
enum mull_serial_mode {
	MULL_SERIAL_NONE = 0,	 /* nothing is sent */
	MULL_SERIAL_TEXT = 1,	 /* the log, and each console line with its VM's
				    name before it; what is typed goes to the
				    first VM */
	MULL_SERIAL_CHANNEL = 2, /* frames of <mullion/channel.h> */
};

enum mull_disk_kind {
	MULL_DISK_NONE = 0,
	MULL_DISK_MEMORY = 1,	 /* of an image of the package or the store */
	MULL_DISK_PARTITION = 2, /* a GPT partition of the machine's */
};

enum mull_disk_flag {
	MULL_DISK_READ_ONLY = 1 << 0,
	/* What is written lies apart, so that several VMs can have one base:
	 * in memory, until the VM stops; or in partition @overlay. */
	MULL_DISK_PRIVATE = 1 << 1,
};

struct mull_disk {
	uint32_t kind;	   /* enum mull_disk_kind */
	uint32_t flags;	   /* enum mull_disk_flag */
	uint32_t image;	   /* of MULL_IMAGE_DISK; else 0 */
	uint32_t reserved; /* 0 */
	/* Bytes of memory for what is written to one that is PRIVATE and has
	 * no @overlay, whole frames of 2 MiB, at least 2; of these some tell
	 * where each block is, 4 bytes for each 4 KiB of the disk. */
	uint64_t room;
	char partition[MULL_PARTITION_MAX];
	char overlay[MULL_PARTITION_MAX];
	uint32_t more[6]; /* 0 */
};

/* A network device, at one port of a switch. */
struct mull_nic {
	char network[MULL_LABEL_MAX]; /* "": there is none */
	uint8_t mac[6];		      /* 0: made from VM and number */
	uint16_t flags;		      /* 0 */
	uint32_t rate;		      /* kbit/s that it may send; 0: any */
	uint32_t reserved;	      /* 0 */
};

enum mull_shared_flag {
	MULL_SHARED_WRITE = 1 << 0, /* this VM may write it */
};

/* Memory that VMs which name it have in common, with doorbells. */
struct mull_shared {
	char name[MULL_LABEL_MAX]; /* "": there is none */
	uint32_t flags;		   /* enum mull_shared_flag */
	uint32_t reserved;	   /* 0 */
	uint64_t size;		   /* bytes, a power of two from 4 KiB to
			  MULL_SHARED_SIZE_MAX, the same for all */
};

struct mull_module {
	uint32_t image;	 /* of MULL_IMAGE_INITRD */
	char words[124]; /* its command line, with the final zero */
};

/* Bit of mull_vm.slots: it has what the VMs of a slot leave. */
#define MULL_SLOT_BACKGROUND (1u << 31)

/* One VM, as the manifest gives it. */
struct mull_vm {
	char name[MULL_NAME_MAX];
	uint64_t memory_size;  /* bytes, a multiple of 2 MiB, at least 2 MiB */
	uint32_t flags;	       /* enum mull_vm_flag */
	uint32_t vcpu_count;   /* 1..MULL_VCPU_MAX */
	uint32_t kernel;       /* index of an image of a kernel's kind */
	uint32_t initrd;       /* index of an INITRD, or MULL_NO_IMAGE */
	uint32_t on_poweroff;  /* enum mull_end_policy; default STOP */
	uint32_t on_reset;     /* default RESTART */
	uint32_t on_crash;     /* default STOP */
	uint32_t console_size; /* bytes of console buffer, a power of two,
				  4 KiB..MULL_CONSOLE_MAX, default 64 KiB */
	uint32_t watchdog;     /* seconds until it bites, at most
				  MULL_WATCHDOG_MAX; 0: there is none */
	uint32_t vsock;	       /* context identifier, from MULL_VSOCK_MIN to
				  MULL_VSOCK_MAX; 0: none */
	uint16_t cpus[MULL_VCPU_MAX]; /* processor of each vCPU, 0 = boot CPU */
	char command_line[MULL_COMMAND_LINE_MAX];
	/* Of these the first that is empty ends the list. */
	struct mull_disk disks[MULL_DISK_MAX];
	struct mull_nic nics[MULL_NIC_MAX];
	struct mull_shared shared[MULL_SHARED_MAX];
	uint32_t module_count;
	struct mull_module modules[MULL_MODULE_MAX];
	/* Of VMs with a context identifier: the group by whose name they reach
	 * each other; "": the host's end alone reaches it. */
	char vsock_group[MULL_LABEL_MAX];
	uint32_t memory_least; /* of MULL_VM_ELASTIC: whole frames of 2 MiB that
				  its balloon leaves it at least; else 0 */
	/* For each of the machine's schedules: a bit for each slot in which it
	 * runs, and MULL_SLOT_BACKGROUND. */
	uint32_t slots[MULL_SCHEDULE_MAX];
	uint32_t reserved; /* 0 */
	/* Its own part of the last-level cache and of memory bandwidth.  Ways
	 * are its alone, and of them some for code, the others for data. */
	uint16_t cache_ways;	    /* 0: those that nobody has alone */
	uint16_t cache_code_ways;   /* 0: all are for both */
	uint32_t bandwidth_percent; /* of what its CPUs could have; 0: all */
	uint32_t bandwidth_rate;    /* MB/s; 0: all; one of the two */
	uint32_t pad;
	uint32_t crc;
};

struct mull_image {
	char name[MULL_NAME_MAX]; /* for messages; free text, printable ASCII */
	uint32_t kind;		  /* enum mull_image_kind */
	uint32_t reserved;	  /* 0 */
	uint64_t offset; /* bytes from the package's start, 4096-aligned */
	uint64_t size;	 /* bytes, at least 1 */
	uint8_t sha256[32];
	uint32_t pad;
	uint32_t crc;
};

enum mull_machine_flag {
	MULL_MACHINE_SHARE_CPUS = 1 << 0, /* vCPUs may stand on one processor */
};

/* Which of the processor's speculation leaks are closed. */
enum mull_mitigations {
	MULL_MITIGATIONS_AUTO = 0, /* those that this processor has */
	MULL_MITIGATIONS_OFF = 1,
	MULL_MITIGATIONS_ALL = 2, /* whatever it can execute: for measuring */
};

#define MULL_UDP_PORT 6855

/*
 * A major frame, which repeats for ever: slots, one behind the other, at the same
 * time on each CPU that its VMs use.  Which VMs run in a slot, they say
 * themselves (mull_vm.slots).
 */
struct mull_schedule {
	char name[MULL_LABEL_MAX]; /* "": there is none, nor one behind it */
	uint32_t slot_count;
	uint32_t slots_us[MULL_SLOT_MAX]; /* microseconds of each */
	uint32_t reserved;		  /* 0 */
};

/* What the manifest says of the machine; 0: not said, take what is there. */
struct mull_machine {
	uint32_t cpu_count;   /* processors that the manifest counts on */
	uint32_t service_cpu; /* serves the channel and physical interrupts */
	uint64_t memory_size; /* bytes of RAM that the manifest counts on */
	uint32_t serial_mode; /* enum mull_serial_mode */
	uint32_t serial_port; /* I/O port of a 16550, default 0x3f8 */
	uint32_t serial_baud; /* default 115200 */
	uint32_t flags;	      /* enum mull_machine_flag */
	uint32_t mitigations; /* enum mull_mitigations */
	uint32_t uplink_nic;  /* which of the machine's, from 1; 0: no uplink */
	char uplink[MULL_LABEL_MAX]; /* the switch that it leads to */
	/* The management channel's own address there, as numbers (10.0.0.1 is
	 * 0x0a000001); 0: it is not on the network. */
	uint32_t address, netmask, gateway;
	uint32_t port;		    /* UDP; default MULL_UDP_PORT */
	uint8_t key[MULL_KEY_SIZE]; /* whoever has it may command */
	uint32_t reserved[6];	    /* 0 */
	/* For VMs that take turns on their CPUs; the first is in force when the
	 * machine starts. */
	struct mull_schedule schedules[MULL_SCHEDULE_MAX];
};

struct mull_package_header {
	uint64_t magic;	       /* MULL_PACKAGE_MAGIC */
	uint32_t version;      /* MULL_PACKAGE_VERSION */
	uint32_t header_size;  /* sizeof(struct mull_package_header) */
	uint64_t total_size;   /* bytes of the whole file */
	uint64_t vm_offset;    /* 8-aligned */
	uint64_t image_offset; /* 8-aligned */
	uint32_t vm_count;     /* 1..MULL_VM_MAX */
	uint32_t vm_size;      /* sizeof(struct mull_vm) */
	uint32_t image_count;  /* 1..MULL_IMAGE_MAX */
	uint32_t image_size;   /* sizeof(struct mull_image) */
	struct mull_machine machine;
	uint32_t reserved[13]; /* 0 */
	uint32_t crc;
};

static_assert(sizeof(struct mull_disk) == 128, "package format");
static_assert(sizeof(struct mull_nic) == 32, "package format");
static_assert(sizeof(struct mull_shared) == 32, "package format");
static_assert(sizeof(struct mull_module) == 128, "package format");
static_assert(sizeof(struct mull_vm) == 3600, "package format");
static_assert(sizeof(struct mull_image) == 96, "package format");
static_assert(sizeof(struct mull_schedule) == 88, "package format");
static_assert(sizeof(struct mull_machine) == 480, "package format");
static_assert(sizeof(struct mull_package_header) == 592, "package format");

#endif
