/* SPDX-License-Identifier: MIT */
/*
 * What an operator can ask for over the management channel: the commands, and
 * the records that go with them.  docs/protocol.md says what each one does.
 *
 * A REQUEST frame holds a struct mull_request and then the command's data; a
 * REPLY frame holds a struct mull_reply and then the answer's data.  When
 * reply.error is not 0, the data is the reason in words, without a final zero.
 * Records may grow at their end: a reader takes what it knows.
 */
#ifndef MULLION_CONTROL_H
#define MULLION_CONTROL_H

#include <mullion/channel.h>

#define MULL_REQUEST_DATA_MAX \
	(MULL_FRAME_PAYLOAD_MAX - sizeof(struct mull_request))
#define MULL_REPLY_DATA_MAX (MULL_FRAME_PAYLOAD_MAX - sizeof(struct mull_reply))

enum mull_command {
	/* a VM's life */
	MULL_COMMAND_POWER_BUTTON = 1, /* press VM @vm's ACPI power button */
	MULL_COMMAND_RESET = 2,	       /* reset it: it starts anew */
	MULL_COMMAND_STOP = 3,	       /* end it at once */
	MULL_COMMAND_START = 4,
	MULL_COMMAND_PAUSE = 5,
	MULL_COMMAND_RESUME = 6,
	MULL_COMMAND_INJECT = 7,   /* argument: vCPU; an NMI */
	MULL_COMMAND_DESCRIBE = 8, /* argument: offset; data: a piece of the
				      struct mull_vm for the next CREATE */
	MULL_COMMAND_CREATE = 9,   /* value: the new VM's number */
	MULL_COMMAND_DESTROY = 10,

	/* what there is */
	MULL_COMMAND_INFO = 16,	    /* data: struct mull_info */
	MULL_COMMAND_LEDGER = 17,   /* argument: first; struct mull_phase[] */
	MULL_COMMAND_LIST = 18,	    /* argument: first VM number to look at;
				     data: struct mull_vm_status[];
				     value: where to go on, or 0: no more */
	MULL_COMMAND_SHOW = 19,	    /* argument: offset; data: that piece of the
				     VM's struct mull_vm; value: its size */
	MULL_COMMAND_VM_STATS = 20, /* argument: vCPU, or MULL_ALL_VCPUS;
					data: struct mull_vm_stats */
	MULL_COMMAND_CPU_STATS = 21, /* argument: first CPU;
					data: struct mull_cpu_stats[];
					value: where to go on, or 0 */
	MULL_COMMAND_EVENTS = 22,    /* argument: number of the first event
					that is wanted; data: struct
					mull_event[]; value: number of the
					first one in the data */
	MULL_COMMAND_LOG = 23,	     /* argument: position in bytes; data: text;
					value: the text's position */
	MULL_COMMAND_LOG_PREVIOUS = 24, /* the same of the record that the run
					   before a warm reset left */
	MULL_COMMAND_TRACE = 25, /* argument: bits of enum mull_trace to log
				    from now on, or MULL_TRACE_LOOK; value: those before */
	MULL_COMMAND_AUDIT = 26, /* argument: 1 begins one, 0 only looks;
				    data: struct mull_audit */
	MULL_COMMAND_DEVICE_STATS = 27, /* argument: first PCI slot to look at;
					   data: struct mull_device_stats[];
					   value: where to go on, or 0 */
	MULL_COMMAND_NICS = 28, /* argument: first number to look at, from 1;
				   data: struct mull_nic_status[];
				   value: where to go on, or 0 */
	/* argument: first one to look at; value: where to go on, or 0 */
	MULL_COMMAND_MACHINE_DISKS = 29, /* data: struct mull_machine_disk[] */
	MULL_COMMAND_PARTITIONS = 30,	 /* struct mull_partition_status[] */

	/* consoles */
	MULL_COMMAND_ATTACH = 32,  /* argument: 1: CONSOLE frames of the VM are
				      sent, 0: no longer; @vm MULL_ALL_VMS */
	MULL_COMMAND_HISTORY = 33, /* argument: position in bytes; data: what
				      the console printed there; value: the
				      data's position */
	/* what listens in a guest; it must be running */
	MULL_COMMAND_STREAM_SEND =
		34, /* argument: enum mull_stream; data: bytes
					  for it; value: how many it took */
	MULL_COMMAND_STREAM_READ = 35, /* argument: position in bytes, those
					  before it are forgotten; data: uint32_t
					  enum mull_stream.  Reply: bytes from
					  there on; value: their position */
	/* Connections of its sockets with the host, each a stream. */
	MULL_COMMAND_VSOCK_OPEN = 36,  /* argument: port; data: uint32_t enum
					  mull_vsock_side; value: the stream */
	MULL_COMMAND_VSOCK_STATE = 37, /* argument: the stream; data: struct
					  mull_vsock_state */
	MULL_COMMAND_VSOCK_CLOSE = 38, /* argument: the stream; data: uint32_t
					  enum mull_vsock_end */

	/* images */
	MULL_COMMAND_IMAGES = 40,	/* argument: first number; data: struct
				     mull_image_status[]; value: where to go
				     on, or 0 */
	MULL_COMMAND_UPLOAD = 41,	/* data: struct mull_upload; value: the
				     offset from which pieces are wanted;
				     data: struct mull_upload_state */
	MULL_COMMAND_UPLOAD_END = 42,	/* argument: image number */
	MULL_COMMAND_IMAGE_READ = 43,	/* @vm: image number; argument: offset;
					 data: bytes */
	MULL_COMMAND_IMAGE_DELETE = 44, /* argument: image number */

	/* looking into a VM; it must be paused */
	MULL_COMMAND_REGISTERS = 48,	 /* argument: vCPU;
					    data: struct mull_registers */
	MULL_COMMAND_SET_REGISTERS = 49, /* the same, as request's data */
	MULL_COMMAND_MEMORY = 50,     /* argument: guest-physical address; data:
					 uint32_t bytes wanted.  Reply: the
					 bytes; or none, and value: how many
					 bytes from there on are zero */
	MULL_COMMAND_SET_MEMORY = 51, /* argument: guest-physical address;
					 data: the bytes */
	MULL_COMMAND_DEBUG = 52,      /* argument: 1: breakpoints and steps
					 pause the VM, 0: no longer */
	MULL_COMMAND_STEP = 53,	      /* argument: vCPU: it alone does one
					 instruction, then the VM is paused */

	/* the balloon of a VM whose memory is elastic */
	MULL_COMMAND_BALLOON = 56, /* argument: bytes that its guest is to have,
				      whole frames of 2 MiB, or MULL_BALLOON_LOOK;
				      data: struct mull_balloon */

	/* disks and network devices that come and go; one at a time */
	MULL_COMMAND_PLUG_NIC = 58, /* data: struct mull_nic, on a switch that
				       is known; value: its number.  The VM has
				       it when VM_NICS says so */
	MULL_COMMAND_VM_NICS = 59,  /* argument: first number; data: struct
				      mull_vm_nic_status[]; value: where to go
				      on, or 0 */
	MULL_COMMAND_PLUG = 60,	  /* data: struct mull_disk; value: its number.
				     The VM has it when DISKS says so.  A legacy
				     PC that runs takes and gives none */
	MULL_COMMAND_UNPLUG = 61, /* argument: number, with bits of enum
				     mull_unplug; a guest that runs is asked
				     to let go of it */
	MULL_COMMAND_DISKS = 62,  /* argument: first number; data: struct
				     mull_disk_status[]; value: where to go on,
				     or 0 */

	/* the machine */
	MULL_COMMAND_MACHINE = 64,  /* argument: enum mull_machine_end */
	MULL_COMMAND_SCHEDULE = 65, /* data: struct mull_schedule_status */
	MULL_COMMAND_SCHEDULE_SWITCH = 66, /* argument: number of the schedule
					      that is to be in force from the
					      end of a frame on */
	MULL_COMMAND_SLOT_STATS = 67, /* argument: first CPU to look at; data:
					 struct mull_slot_stats[] of those that
					 follow a schedule; value: where to go
					 on, or 0 */
};

enum mull_unplug {
	MULL_UNPLUG_NIC = 1 << 8,  /* it is a network device; else a disk */
	MULL_UNPLUG_PULL = 1 << 9, /* the guest is not asked */
	MULL_UNPLUG_ALL = MULL_UNPLUG_NIC | MULL_UNPLUG_PULL,
};

#define MULL_BALLOON_LOOK UINT64_MAX /* alone: changes nothing */

#define MULL_ALL_VMS 0xffffffffu

enum mull_stream {
	MULL_STREAM_AGENT = 0,	/* the port of the guest's agent */
	MULL_STREAM_VSOCK = 16, /* and up: those of MULL_COMMAND_VSOCK_OPEN */
};

enum mull_vsock_side {
	MULL_VSOCK_CONNECT = 0, /* to a port of the guest */
	MULL_VSOCK_LISTEN = 1,	/* one connection to a port of the host */
};

enum mull_vsock_end {
	MULL_VSOCK_NO_MORE = 0, /* is sent; what the guest sends still comes */
	MULL_VSOCK_OVER = 1,
};
#define MULL_ALL_VCPUS 0xffffffffull

enum mull_machine_end {
	MULL_MACHINE_POWER_OFF = 1,
	MULL_MACHINE_REBOOT = 2, /* cold, as far as the machine can */
	MULL_MACHINE_WARM_RESET = 3,
};

struct mull_info {
	char version[32];   /* of the hypervisor */
	uint32_t interface; /* MULL_INTERFACE */
	uint32_t cpu_count;
	uint32_t vm_count; /* VMs that exist */
	uint32_t service_cpu;
	uint64_t memory_total;	/* bytes that were given to the hypervisor */
	uint64_t memory_free;	/* bytes that no VM, image or table has */
	uint64_t pages_used;	/* bytes of the hypervisor's own structures */
	uint64_t time_ns;	/* since the hypervisor started */
	uint64_t wall_clock_ns; /* since 1970, UTC; 0: not known */
	uint64_t tsc_khz;
	uint64_t log_position;	 /* bytes ever logged */
	uint64_t event_count;	 /* events ever */
	char virtualization[16]; /* "VT-x", "SVM" */
	char processor[64];
	char firmware[64];	    /* vendor and revision */
	char features[256];	    /* of the virtualization, in words */
	uint8_t package_sha256[32]; /* of the boot package's records */
};
/* Of a network device, too. */
enum mull_disk_state {
	MULL_DISK_PRESENT = 1,
	MULL_DISK_COMING = 2, /* its room is zeroed, its image hashed */
	MULL_DISK_GOING = 3,  /* the guest has not let go of it yet */
	MULL_DISK_FAILED = 4, /* it could not come, or went not as it should */
};

struct mull_disk_status {
	uint32_t number;
	uint32_t state; /* enum mull_disk_state */
	uint64_t size;	/* bytes; 0: not known before the VM starts */
	uint64_t room;	/* blocks of 4 KiB that can be written, */
	uint64_t used;	/* and that are */
	uint64_t read_sectors, written_sectors; /* since the VM started */
	struct mull_disk disk;
	char words[88]; /* what has failed */
};

/* A network device of a VM. */
struct mull_vm_nic_status {
	uint32_t number;
	uint32_t state;	     /* enum mull_disk_state */
	struct mull_nic nic; /* with its address */
	char words[88];
};

enum mull_vsock_phase {
	MULL_VSOCK_WAITS = 1, /* for the guest, which connects or answers */
	MULL_VSOCK_OPEN = 2,
	MULL_VSOCK_REFUSED = 3, /* nothing listens at that port */
	MULL_VSOCK_ENDED = 4,	/* what came can still be read */
};

struct mull_vsock_state {
	uint32_t phase; /* enum mull_vsock_phase */
	uint32_t guest_port, host_port;
	uint32_t silent;   /* 1: the guest sends no more */
	uint64_t received; /* bytes ever, from the guest */
	uint64_t taken;	   /* bytes ever, by the guest */
};

/* Commands and records that this build knows; grows with each addition. */
#define MULL_INTERFACE 7

#define MULL_BALLOON_STATS 16

enum mull_balloon_flag {
	MULL_BALLOON_DRIVEN = 1
			      << 0,  /* a driver is there, and keeps its word */
	MULL_BALLOON_WAITS = 1 << 1, /* there is no frame for what comes back */
};

/* All in bytes. */
struct mull_balloon {
	uint64_t size, least;
	uint64_t target; /* that the guest is to have, */
	uint64_t now;	 /* and has */
	uint64_t lent;	 /* pages that it has put into the balloon; of these
			    whole frames only are free for others */
	uint32_t flags;	 /* enum mull_balloon_flag */
	uint32_t known;	 /* bits: statistics that the guest has told */
	/* By its own word, as of the question before this one: by tag of VIRTIO
	 * 1.2, "Memory Statistics Tags". */
	uint64_t stats[MULL_BALLOON_STATS];
};

/* One phase of the start. */
struct mull_phase {
	uint64_t time_ns; /* when it ended */
	char words[56];
};

struct mull_vm_status {
	char name[MULL_NAME_MAX];
	uint32_t number;
	uint32_t state;	 /* enum mull_vm_state */
	uint32_t reason; /* enum mull_end_reason */
	uint32_t code;	 /* of MULL_END_EXIT_CODE */
	uint32_t restarts;
	uint32_t vcpu_count;
	uint32_t flags; /* enum mull_vm_status_flag, and counts */
	uint32_t first_cpu;
	uint64_t memory_size;	   /* bytes, without what is others' now */
	uint64_t started_ns;	   /* hypervisor's time when it began to run */
	uint64_t guest_ns;	   /* time of all vCPUs in the guest */
	uint64_t exits;		   /* of all vCPUs */
	uint64_t console_position; /* bytes ever printed */
	uint64_t complaints;	   /* log lines that its guest has caused */
	char words[160];	   /* why it ended */
};

enum mull_vm_status_flag {
	MULL_STATUS_ATTACHED = 1 << 0, /* its console is sent */
	MULL_STATUS_CREATED = 1 << 1,  /* at run time */
	MULL_STATUS_DEBUGGED = 1 << 2,
};

/* And how many disks and network devices it has now. */
#define MULL_STATUS_DISKS_SHIFT 8
#define MULL_STATUS_NICS_SHIFT 16
#define MULL_STATUS_DISKS(flags) ((flags) >> MULL_STATUS_DISKS_SHIFT & 0xff)
#define MULL_STATUS_NICS(flags) ((flags) >> MULL_STATUS_NICS_SHIFT & 0xff)

#define MULL_EXIT_KINDS 48

struct mull_vm_stats {
	uint64_t time_ns;		  /* of the hypervisor, now */
	uint64_t guest_ns;		  /* in the guest */
	uint64_t hypervisor_ns;		  /* on its exits */
	uint64_t interrupts;		  /* that were delivered */
	uint64_t memory_size;		  /* bytes */
	uint64_t reserved_tables;	  /* 0 */
	uint64_t console_in, console_out; /* bytes */
	uint64_t doorbells;		  /* of its shared memories, heard */
	uint64_t refused_writes;	  /* where it may only read */
	uint64_t memory_gone;		  /* bytes of it that are others' now */
	uint64_t reserved[5];		  /* 0 */
	uint64_t exits[MULL_EXIT_KINDS];  /* by enum exit_kind, names in
					    exit_kind_name() */
};

struct mull_cpu_stats {
	uint32_t cpu;
	uint32_t vcpu_count; /* pinned here */
	uint64_t guest_ns;
	uint64_t hypervisor_ns;
	uint64_t idle_ns;
	uint64_t kicks;
	uint64_t worst_step_ns; /* of the work on VMs and channel */
};

/* The schedules of the machine. */
struct mull_schedule_status {
	uint32_t count;
	uint32_t in_force;
	uint32_t next;	   /* the same, unless a switch is under way */
	uint32_t reserved; /* 0 */
	uint64_t frames;   /* that are over since it is in force */
	struct mull_schedule schedules[MULL_SCHEDULE_MAX];
};

#define MULL_OVERRUN_US 50

/* How a CPU has kept to them.  Late is how long after its time a slot's VM was
 * entered, where it was ready to run; a switch is from leaving one VM to entering
 * the next. */
struct mull_slot_stats {
	uint32_t cpu;
	uint32_t reserved; /* 0 */
	uint64_t slots;	   /* that began */
	uint64_t missed;   /* that were over before this CPU came to them */
	uint64_t overruns; /* late by more than MULL_OVERRUN_US */
	uint64_t entries;  /* of slots' VMs that were ready */
	uint64_t late_ns, late_worst_ns; /* of these, in all and at worst */
	uint64_t switches;
	uint64_t switch_ns, switch_worst_ns;
};

/* Why a packet did not arrive; counted at the port that has to do with it. */
enum mull_drop {
	MULL_DROP_SPOOFED = 0,	 /* its source is another's: at the sender */
	MULL_DROP_MALFORMED = 1, /* as none can be, or too long: the same */
	MULL_DROP_NOBODY = 2,	 /* nobody has its destination: the same */
	MULL_DROP_FULL = 3,	 /* too much waits: at the receiver */
	MULL_DROP_CLOSED = 4,	 /* no driver is there: the same */
	MULL_DROP_TOO_LONG = 5,	 /* for the driver's buffers: the same */
	MULL_DROP_REASONS = 8,
};

#define MULL_DEVICE_MAX 32 /* on a VM's PCI bus */

/* A device on a VM's PCI bus, since the VM was made. */
struct mull_device_stats {
	uint32_t slot;
	uint32_t type;		/* of virtio: 1 a network device, 19 sockets */
	uint64_t notifications; /* by its driver */
	uint64_t interrupts;
	uint64_t chains; /* that it took */
	/* Of network devices and sockets alone, and the rest too. */
	char network[MULL_LABEL_MAX]; /* or the sockets' group */
	uint8_t mac[6];
	uint16_t reserved;		   /* 0 */
	uint64_t sent, sent_bytes;	   /* what was taken of it */
	uint64_t received, received_bytes; /* what the driver got */
	uint64_t drops[MULL_DROP_REASONS]; /* by enum mull_drop */
	/* Sockets alone: opened from either end; asked for in vain. */
	uint64_t connections, refused;
};

enum mull_nic_flag {
	MULL_NIC_LINK = 1 << 0,	  /* something is at the other end */
	MULL_NIC_OPEN = 1 << 1,	  /* it is an uplink */
	MULL_NIC_DEAD = 1 << 2,	  /* it cannot be used */
	MULL_NIC_POLLED = 1 << 3, /* it does not interrupt */
	MULL_NIC_MUTE = 1 << 4,	  /* it receives, but sends nothing */
};

/* A network card of the machine; what it counts is 0 but for an uplink. */
struct mull_nic_status {
	uint32_t number;
	uint32_t flags; /* enum mull_nic_flag */
	char kind[16];	/* "virtio", "82574L"; "": no driver knows it */
	char pci[8];	/* "00:1f.2" */
	uint16_t vendor, device;
	char network[MULL_LABEL_MAX]; /* its switch */
	uint8_t mac[6];
	uint16_t resets;
	uint32_t link_changes;
	uint64_t sent, sent_bytes;	   /* to the wire */
	uint64_t received, received_bytes; /* from the wire */
	uint64_t malformed;		   /* of those received: no packets */
	uint64_t drops[MULL_DROP_REASONS]; /* at the port of the switch */
};

#define MULL_MACHINE_DISK_MAX 8
#define MULL_MACHINE_PARTITION_MAX 128

enum mull_machine_disk_flag {
	MULL_MACHINE_DISK_READY = 1 << 0,
	MULL_MACHINE_DISK_DEAD = 1 << 1, /* given up; neither: it is reset */
	MULL_MACHINE_DISK_READ_ONLY = 1 << 2,
	MULL_MACHINE_DISK_CACHED = 1 << 3, /* what is written needs a flush */
	MULL_MACHINE_DISK_POLLED = 1 << 4, /* it has not interrupted yet */
};

/* A disk of the machine; commands are those that went well. */
struct mull_machine_disk {
	char name[8];	/* "nvme0" */
	char driver[8]; /* "nvme", "virtio" */
	char pci[8];	/* "00:1f.2" */
	char model[48];
	uint32_t number;
	uint32_t flags;	      /* enum mull_machine_disk_flag */
	uint32_t sector_size; /* bytes */
	uint32_t resets;
	uint64_t size; /* bytes */
	uint64_t reads, read_bytes;
	uint64_t writes, written_bytes;
	uint64_t flushes;
	uint64_t errors;
};

enum mull_partition_flag {
	MULL_PARTITION_WRITTEN = 1 << 0, /* who has it may write */
};

/* A GPT partition on a disk of the machine. */
struct mull_partition_status {
	char name[40];
	uint8_t guid[16]; /* its own, in the order of the GPT's bytes */
	uint32_t disk;	  /* mull_machine_disk.number */
	uint32_t flags;	  /* enum mull_partition_flag */
	uint32_t users;	  /* disks of VMs that are made of it */
	uint32_t reserved;
	uint64_t first;		    /* sector of the disk */
	uint64_t size;		    /* bytes; 0: nobody may have it */
	char holder[MULL_NAME_MAX]; /* one VM that has it, or "" */
	char words[64];		    /* why nobody may have it, or "" */
};

enum mull_trace {
	MULL_TRACE_EXIT = 1 << 0,
	MULL_TRACE_INTERRUPT = 1 << 1,
	MULL_TRACE_DEVICE = 1 << 2,
	MULL_TRACE_MANAGE = 1 << 3,
	MULL_TRACE_ALL = (1 << 4) - 1,
	MULL_TRACE_LOOK = 1 << 4, /* alone: changes nothing */
};

struct mull_audit {
	uint32_t running; /* 1: not finished yet */
	uint32_t faults;
	uint64_t finished_ns; /* hypervisor's time; 0: never */
	uint64_t frames;      /* whose owners were compared */
	uint64_t entries;     /* of page tables that were looked at */
	uint64_t tables;
	char words[160]; /* the first fault */
};

#define MULL_IMAGE_UPLOADED 1 /* bit of mull_image_status.flags */
#define MULL_IMAGE_PARTIAL 2  /* its upload is not finished */
#define MULL_IMAGE_BROKEN 4   /* refused; cannot be used */

struct mull_image_status {
	char name[MULL_NAME_MAX];
	uint32_t number;   /* as in mull_vm.kernel */
	uint32_t kind;	   /* enum mull_image_kind */
	uint32_t flags;	   /* MULL_IMAGE_UPLOADED ... */
	uint32_t users;	   /* VMs that name it */
	uint64_t size;	   /* bytes */
	uint64_t received; /* bytes that are there */
	uint8_t sha256[32];
};

enum mull_compression {
	MULL_COMPRESSION_NONE = 0,
	/* Blocks of MULL_BLOCK_SIZE bytes of the image (the last may be
	 * shorter), each as a uint32_t length and that many bytes: LZ4's block
	 * format, or the bytes as they are if MULL_BLOCK_STORED is set. */
	MULL_COMPRESSION_LZ4 = 1,
};
#define MULL_BLOCK_SIZE 16384
#define MULL_BLOCK_STORED 0x80000000u

struct mull_upload {
	char name[MULL_NAME_MAX];
	uint64_t size;	    /* bytes of the image */
	uint64_t wire_size; /* bytes that are sent */
	uint32_t kind;	    /* enum mull_image_kind */
	uint32_t compression;
	uint8_t sha256[32]; /* of the image */
};

struct mull_upload_state {
	uint32_t number; /* of the image */
	uint32_t window; /* bytes that may be on their way */
};

/* Payload of an UPLOAD_DATA frame, whose stream is the image's number.  Its
 * REPLY's value is the offset that is wanted next. */
struct mull_upload_data {
	uint64_t offset; /* in what is sent */
	uint8_t bytes[];
};

/* Segments in the order of enum guest_segment_number: ES CS SS DS FS GS LDTR
 * TR; attributes as there. */
struct mull_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint16_t attributes;
};

struct mull_registers {
	uint64_t gpr[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8...R15 */
	uint64_t rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, efer;
	uint64_t dr6, dr7;
	uint64_t gdt_base, idt_base;
	uint32_t gdt_limit, idt_limit;
	struct mull_segment segments[8];
	uint64_t kernel_gs_base, star, lstar, fmask;
	uint32_t vcpu;
	uint32_t halted; /* 1: it waits in HLT; 2: for SIPI */
};

static_assert(sizeof(struct mull_info) == 544, "wire format");
static_assert(sizeof(struct mull_phase) == 64, "wire format");
static_assert(sizeof(struct mull_vm_status) == 272, "wire format");
static_assert(sizeof(struct mull_vm_stats) == 512, "wire format");
static_assert(sizeof(struct mull_cpu_stats) == 48, "wire format");
static_assert(sizeof(struct mull_schedule_status) == 376, "wire format");
static_assert(sizeof(struct mull_slot_stats) == 80, "wire format");
static_assert(sizeof(struct mull_device_stats) == 168, "wire format");
static_assert(sizeof(struct mull_nic_status) == 168, "wire format");
static_assert(sizeof(struct mull_machine_disk) == 144, "wire format");
static_assert(sizeof(struct mull_partition_status) == 184, "wire format");
static_assert(sizeof(struct mull_audit) == 200, "wire format");
static_assert(sizeof(struct mull_image_status) == 96, "wire format");
static_assert(sizeof(struct mull_upload) == 88, "wire format");
static_assert(sizeof(struct mull_upload_state) == 8, "wire format");
static_assert(sizeof(struct mull_upload_data) == 8, "wire format");
static_assert(sizeof(struct mull_registers) == 392, "wire format");
static_assert(sizeof(struct mull_disk_status) == 264, "wire format");
static_assert(sizeof(struct mull_vm_nic_status) == 128, "wire format");
static_assert(sizeof(struct mull_vsock_state) == 32, "wire format");
static_assert(sizeof(struct mull_balloon) == 176, "wire format");

#endif
