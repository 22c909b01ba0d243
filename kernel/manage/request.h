/* SPDX-License-Identifier: MIT */
/* How a request is answered: shared by request.c and the request_X.c files,
 * one for each kind of command. */
#ifndef MULLION_REQUEST_H
#define MULLION_REQUEST_H

#include <mullion/control.h>
#include <mullion/vm.h>

#include "service.h"

/* A request, copied and with its command's limits checked. */
struct asked {
	enum mull_command command;
	enum manage_line line; /* that asks */
	uint32_t number;       /* of the VM, or what the command takes it for */
	struct vm *vm;	       /* set for commands about a VM */
	uint64_t argument;
	const uint8_t *data;
	size_t length;
};

struct answer {
	struct mull_reply reply;
	size_t length; /* of @data */
	/* Aligned for the records of control.h. */
	uint8_t data[MULL_REPLY_DATA_MAX] __attribute__((aligned(8)));
	/* Another CPU works on it: the handler is called again until not.
	 * Who has done it calls manage_notify(). */
	bool pending;
	bool has_words; /* the data is a reason */
};

typedef enum error request_handler(const struct asked *asked,
				   struct answer *answer);

/* An error with words of its own, by format, in place of error_text()'s. */
enum error answer_words(struct answer *answer, enum error error,
			const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ERR_WRONG_STATE, with the state in words. */
enum error answer_wrong_state(struct answer *answer, const struct vm *vm);

/* The records that the answer holds: room for one more, or NULL. */
void *answer_add(struct answer *answer, size_t size);

/*
 * description_is_good - whether a VM can be so, beside those that are there
 * @changes: the VM that will be so, and has its memory; NULL: a new one
 *
 * The first mistake becomes the answer's words.
 */
bool description_is_good(const struct mull_vm *description,
			 const struct vm *changes, struct answer *answer);

/* request_life.c */
request_handler request_button, request_life, request_machine;
/* request_debug.c */
request_handler request_registers, request_memory, request_set_memory;
request_handler request_inject, request_step, request_debug;
request_handler request_audit; /* audit.c */
/* request_create.c */
request_handler request_describe, request_create, request_destroy;
/* request_disk.c */
request_handler request_plug, request_disks;
/* request_nic.c */
request_handler request_plug_nic, request_vm_nics;
/* request_unplug.c */
request_handler request_unplug;
/* Why nothing of @vm can come or go now, or ERR_NONE. */
enum error devices_may_change(const struct vm *vm, struct answer *answer);
/* Of its disk @number, or its network device for @nic. */
enum mull_disk_state device_state(const struct vm *vm, bool nic,
				  uint32_t number);
/* What has failed about the last one, if it was that; or NULL. */
const char *device_failure(const struct vm *vm, bool nic, uint32_t number);
request_handler request_balloon; /* request_balloon.c */
/* request_schedule.c */
request_handler request_schedule, request_schedule_switch, request_slot_stats;
/* request_storage.c */
request_handler request_machine_disks, request_partitions;
/* request_show.c */
request_handler request_info, request_list, request_show;
/* request_record.c */
request_handler request_vm_stats, request_cpu_stats, request_device_stats,
	request_nics, request_ledger, request_events, request_log,
	request_log_previous, request_history, request_attach, request_trace;

/* request_stream.c */
request_handler request_stream_send, request_stream_read;
/* request_vsock.c */
request_handler request_vsock_open, request_vsock_state, request_vsock_close;
/* request_image.c */
request_handler request_images, request_image_read, request_image_delete;
/* upload.c */
request_handler request_upload, request_upload_end, request_upload_data;
/* Fills in how far the upload of @status->number is, if one is under way. */
void upload_status(struct mull_image_status *status);

#endif
