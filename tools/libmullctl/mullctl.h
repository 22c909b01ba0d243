/* SPDX-License-Identifier: MIT */
/*
 * libmullctl: a client of Mullion's management channel (docs/protocol.md).
 *
 * A function returns MULL_OK, an error that the hypervisor answered (above 0:
 * enum error of <mullion/error.h>), or one of the library's own (below 0);
 * mull_words() then says what in words.  Nothing here prints, aborts or waits
 * without a bound.  Whatever comes over the line is hostile: lengths are
 * checked, texts end and are printable.  One thread at a time a connection.
 */
#ifndef MULLCTL_H
#define MULLCTL_H

#include <mullion/control.h>
#include <mullion/error.h>
#include <stdbool.h>
#include <stddef.h>

enum mull_error {
	MULL_OK = 0,
	MULL_BAD_ADDRESS = -1,	 /* not of a form that mull_open() knows */
	MULL_UNREACHABLE = -2,	 /* cannot be opened, or has ended */
	MULL_IN_USE = -3,	 /* another client has the line */
	MULL_NO_ANSWER = -4,	 /* all attempts passed */
	MULL_BAD_ANSWER = -5,	 /* not what docs/protocol.md says */
	MULL_FULL = -6,		 /* as much is under way as may be */
	MULL_NO_ROOM = -7,	 /* no memory */
	MULL_RESTARTED = -8,	 /* the machine has, before it answered */
	MULL_STOPPED = -9,	 /* by the function that was given */
	MULL_OTHER_FRAMES = -10, /* no answer, but frames of another version */
	MULL_NO_SESSION = -11,	 /* nobody there, or none with this key */
};

#define MULL_UNANSWERED_MAX 8 /* requests under way at once */

/* What comes unasked.  A member may be NULL: such frames are dropped. */
struct mull_handlers {
	void *context;
	void (*console)(void *context, uint32_t vm, const void *bytes,
			size_t length);
	void (*log)(void *context, const char *text, size_t length);
	void (*event)(void *context, uint32_t vm,
		      const struct mull_event *event);
	void (*hello)(void *context, const struct mull_hello *hello);
	/* Bytes that are no frame: the firmware's, or a panic's. */
	void (*text)(void *context, const void *text, size_t length);
};

struct mull_answer {
	uint64_t value;
	size_t length; /* of @data */
	uint8_t data[MULL_REPLY_DATA_MAX + 8] __attribute__((aligned(8)));
};

struct mull;

/*
 * mull_open - connect to a hypervisor
 * @address: "serial:/dev/ttyUSB0,115200", "unix:PATH", "tcp:HOST:PORT" or
 *           "udp:HOST:PORT,KEYFILE" (":PORT" may lack)
 * @handlers: copied; NULL: everything that comes unasked is dropped
 *
 * Sets @mull in either case (NULL without memory): it holds the words of what
 * went wrong, and mull_close() releases it.
 */
int mull_open(struct mull **mull, const char *address,
	      const struct mull_handlers *handlers);
void mull_close(struct mull *mull);

/* The key of a file with 64 hexadecimal digits; else what is wrong with it. */
const char *mull_read_key(const char *path, uint8_t key[MULL_KEY_SIZE]);

/* The last failure of @mull in words, in one line. */
const char *mull_words(const struct mull *mull);
/* From now on frames go to these. */
void mull_handle(struct mull *mull, const struct mull_handlers *handlers);

/*
 * mull_pump - serve the line for at most @milliseconds, or until something came
 * @other_fd: a file that is waited for as well; -1: none
 */
int mull_pump(struct mull *mull, int milliseconds, int other_fd);

/* Called once for each frame posted: error 0 or as above. */
typedef void mull_done(void *context, int error,
		       const struct mull_answer *answer);

/*
 * mull_post - send a frame that is answered, and do not wait
 *
 * It is sent again, with the same number, until it is answered or its attempts
 * have passed; mull_pump() then calls @done.  MULL_FULL when
 * MULL_UNANSWERED_MAX are under way.  MULL_COMMAND_MACHINE is not sent again to
 * a hypervisor that has started anew: MULL_RESTARTED.
 */
int mull_post(struct mull *mull, enum mull_frame_type type, uint16_t stream,
	      const void *payload, size_t length, mull_done *done,
	      void *context);

/* A request and its answer; @answer may be NULL. */
int mull_request(struct mull *mull, enum mull_command command, uint32_t vm,
		 uint64_t argument, const void *data, size_t length,
		 struct mull_answer *answer);
/* One without data. */
int mull_ask(struct mull *mull, enum mull_command command, uint32_t vm,
	     uint64_t argument, struct mull_answer *answer);

/* ---- what there is ------------------------------------------------------ */

int mull_info(struct mull *mull, struct mull_info *info);
int mull_list(struct mull *mull, struct mull_vm_status list[MULL_VM_MAX],
	      size_t *count);
/* The VM with that name, or that number; ERR_NOT_FOUND. */
int mull_find(struct mull *mull, const char *name, struct mull_vm_status *vm);
int mull_show(struct mull *mull, uint32_t vm, struct mull_vm *description);
int mull_ledger(struct mull *mull, struct mull_phase *phases, size_t room,
		size_t *count);
int mull_vm_stats(struct mull *mull, uint32_t vm, uint64_t vcpu,
		  struct mull_vm_stats *stats);
int mull_cpu_stats(struct mull *mull, struct mull_cpu_stats stats[MULL_CPU_MAX],
		   size_t *count);
int mull_device_stats(struct mull *mull, uint32_t vm,
		      struct mull_device_stats stats[MULL_DEVICE_MAX],
		      size_t *count);
/* The machine's network cards. */
int mull_nics(struct mull *mull,
	      struct mull_nic_status nics[MULL_MACHINE_NIC_MAX], size_t *count);
/* Its disks, and the GPT partitions on them. */
int mull_machine_disks(struct mull *mull,
		       struct mull_machine_disk disks[MULL_MACHINE_DISK_MAX],
		       size_t *count);
int mull_partitions(
	struct mull *mull,
	struct mull_partition_status partitions[MULL_MACHINE_PARTITION_MAX],
	size_t *count);
int mull_events(struct mull *mull, uint64_t first, struct mull_event *events,
		size_t room, size_t *count, uint64_t *first_number);
/* Begins one, unless one runs; or only looks what has become of it. */
int mull_audit(struct mull *mull, bool begin, struct mull_audit *audit);

/* ---- a VM's life ----------------------------------------------------------
 *
 * What takes a while has only begun when it returns: mull_find() tells the
 * state, and after mull_reset() the number of restarts tells that it is done.
 */

int mull_power_button(struct mull *mull, uint32_t vm);
int mull_reset(struct mull *mull, uint32_t vm);
int mull_stop(struct mull *mull, uint32_t vm);
int mull_start(struct mull *mull, uint32_t vm);
int mull_pause(struct mull *mull, uint32_t vm);
int mull_resume(struct mull *mull, uint32_t vm);
int mull_inject(struct mull *mull, uint32_t vm, uint32_t vcpu);
int mull_create(struct mull *mull, const struct mull_vm *description,
		uint32_t *number);
int mull_destroy(struct mull *mull, uint32_t vm);

/* ---- looking into a VM, which must be paused ---------------------------- */

int mull_registers(struct mull *mull, uint32_t vm, uint32_t vcpu,
		   struct mull_registers *registers);
int mull_set_registers(struct mull *mull, uint32_t vm, uint32_t vcpu,
		       const struct mull_registers *registers);

/* A piece of memory, in any order; @bytes is NULL where all are zero.  false:
 * no more is wanted, and mull_memory() returns MULL_STOPPED. */
typedef bool mull_piece(void *context, uint64_t address, const void *bytes,
			uint64_t length);
/*
 * mull_memory - read guest-physical memory, all of it RAM
 *
 * As fast as the line is: several requests are under way at once, and zeros are
 * told in a few.  Nothing else may be under way.
 */
int mull_memory(struct mull *mull, uint32_t vm, uint64_t address,
		uint64_t length, mull_piece *piece, void *context);
int mull_read_memory(struct mull *mull, uint32_t vm, uint64_t address,
		     void *bytes, size_t length);
int mull_set_memory(struct mull *mull, uint32_t vm, uint64_t address,
		    const void *bytes, size_t length);
/* Breakpoints (INT3) pause the VM, or do so no longer. */
int mull_debug(struct mull *mull, uint32_t vm, bool on);
/* The vCPU alone does one instruction; then the VM is paused. */
int mull_step(struct mull *mull, uint32_t vm, uint32_t vcpu);

/* ---- disks and network devices ----------------------------------------- */

/*
 * mull_plug, mull_plug_nic, mull_unplug - give a VM a device, or take it away
 * @disk, @nic: as in a VM's description
 * @number: what it becomes; of mull_unplug(): with bits of enum mull_unplug
 *
 * They have only begun when they return: mull_disks() and mull_vm_nics() tell
 * the state.
 */
int mull_plug_nic(struct mull *mull, uint32_t vm, const struct mull_nic *nic,
		  uint32_t *number);
int mull_plug(struct mull *mull, uint32_t vm, const struct mull_disk *disk,
	      uint32_t *number);
int mull_unplug(struct mull *mull, uint32_t vm, uint32_t number);
int mull_disks(struct mull *mull, uint32_t vm,
	       struct mull_disk_status disks[MULL_DISK_MAX], size_t *count);
int mull_vm_nics(struct mull *mull, uint32_t vm,
		 struct mull_vm_nic_status nics[MULL_NIC_MAX], size_t *count);

/* ---- a balloon --------------------------------------------------------- */

/* Sets how many bytes the guest is to have, unless that is MULL_BALLOON_LOOK;
 * what it has is told by the next look. */
int mull_balloon(struct mull *mull, uint32_t vm, uint64_t bytes,
		 struct mull_balloon *balloon);

/* ---- schedules --------------------------------------------------------- */

int mull_schedule(struct mull *mull, struct mull_schedule_status *status);
/* Has only begun when it returns: mull_schedule() tells when it is in force. */
int mull_switch_schedule(struct mull *mull, uint32_t number);
int mull_slot_stats(struct mull *mull,
		    struct mull_slot_stats stats[MULL_CPU_MAX], size_t *count);

/* ---- images ------------------------------------------------------------- */

int mull_images(struct mull *mull,
		struct mull_image_status images[MULL_IMAGE_MAX], size_t *count);
/* The image with that name, or that number; ERR_NOT_FOUND. */
int mull_find_image(struct mull *mull, const char *name,
		    struct mull_image_status *image);
int mull_delete_image(struct mull *mull, uint32_t image);
/* All of a finished image, in order. */
int mull_read_image(struct mull *mull, uint32_t image, mull_piece *piece,
		    void *context);

/* So many of the bytes to be sent are there.  false: leave it for now, and
 * mull_upload_image() returns MULL_STOPPED. */
typedef bool mull_progress(void *context, uint64_t done);
/*
 * mull_upload_image - bring an image there, or go on where that stopped
 * @wire: the upload->wire_size bytes that are sent, compressed as it says
 *
 * @progress is told first where it begins.  Pieces that are lost are sent
 * again; an upload that got no answer is begun anew some times.  When it
 * returns an error, the same @upload goes on later.  Nothing else may be under
 * way.
 */
int mull_upload_image(struct mull *mull, const struct mull_upload *upload,
		      const void *wire, mull_progress *progress, void *context,
		      uint32_t *number);

/* ---- consoles ----------------------------------------------------------- */

int mull_attach(struct mull *mull, uint32_t vm, bool attached);
/* Types to the VM's console: at most MULL_FRAME_PAYLOAD_MAX bytes. */
int mull_input(struct mull *mull, uint32_t vm, const void *bytes,
	       size_t length);

/* ---- what listens in a guest, which must be running ---------------------- */

/* The first bytes, @taken of them, of what @stream (enum mull_stream) is to
 * have; the rest is to be offered again. */
int mull_stream_send(struct mull *mull, uint32_t vm, uint32_t stream,
		     const void *bytes, size_t length, size_t *taken);
/* What came from it, from @position on; what came before that is forgotten, and
 * UINT64_MAX forgets all.  answer->value is the position of the first byte. */
int mull_stream_read(struct mull *mull, uint32_t vm, uint32_t stream,
		     uint64_t position, struct mull_answer *answer);
/*
 * mull_vsock_open - a connection with the guest's sockets, which is a stream
 * @side: to @port of the guest; or one from it to @port of the host, which is
 *	  waited for
 *
 * mull_vsock_state() tells what has become of it.  One of which nothing is asked
 * for a minute is over.
 */
int mull_vsock_open(struct mull *mull, uint32_t vm, enum mull_vsock_side side,
		    uint32_t port, uint32_t *stream);
int mull_vsock_state(struct mull *mull, uint32_t vm, uint32_t stream,
		     struct mull_vsock_state *state);
int mull_vsock_close(struct mull *mull, uint32_t vm, uint32_t stream,
		     enum mull_vsock_end end);
/*
 * mull_agent - have the guest's agent do something
 * @request: a line of JSON, as QEMU's guest agent takes it, without its end
 * @answer: the line of JSON that it answers, which the guest has made: hostile
 *
 * MULL_NO_ANSWER after @seconds; ERR_WRONG_STATE when no agent listens.
 */
int mull_agent(struct mull *mull, uint32_t vm, const char *request,
	       double seconds, char *answer, size_t room);

#endif
