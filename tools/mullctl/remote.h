/* SPDX-License-Identifier: MIT */
/* What the verbs that speak with a hypervisor share. */
#ifndef MULLCTL_REMOTE_H
#define MULLCTL_REMOTE_H

#include <mullctl.h>

#include "output.h"
#include "status.h"

/* Connects to where --connect, MULLCTL_CONNECT or the configuration file say;
 * NULL after a message, and @status is how mullctl ends. */
struct mull *remote_open(const struct options *options,
			 const struct mull_handlers *handlers,
			 enum status *status);

/* Tells where the hypervisor and this program are not of one version. */
void remote_compare(const struct mull_info *info);

/* Tells what went wrong and what to do about it; the exit status for it. */
enum status remote_status(struct mull *mull, int error);

/* Connects and finds the VM of the first operand; closed when it fails. */
struct mull *remote_open_vm(const struct options *options,
			    const struct mull_handlers *handlers,
			    struct mull_vm_status *vm, enum status *status);

/*
 * Asks first, and then tells @output.  @vm is that of the first operand, or
 * NULL without one.
 */
typedef enum status show_it(struct mull *mull, const struct mull_vm_status *vm,
			    struct output *output);
/* What a verb does that has something to tell, from -o on. */
enum status remote_show(const struct options *options, show_it *show);

/* Waits until @vm is in one of the states of the mask @states (1 << state), at
 * most @seconds; then @vm is as it is now.  STATUS_TIMED_OUT without a message. */
enum status remote_wait(struct mull *mull, struct mull_vm_status *vm,
			uint32_t states, double seconds);

/* Pauses @vm and waits until it is; else a message. */
enum status remote_pause(struct mull *mull, struct mull_vm_status *vm);

/* Whether what the hypervisor tells of its size can be; else a message. */
bool remote_sane(const struct mull_vm_status *vm);

/* --timeout, or @otherwise; false after a message. */
bool remote_timeout(const struct options *options, double otherwise,
		    double *seconds);

/* What a disk is made of, and who may write it; all of it; and the same of a
 * network device (verb_disks.c). */
void remote_put_medium(struct output *output, const struct mull_disk *disk);
void remote_put_disk(struct output *output, const struct mull_disk_status *it);
void remote_put_port(struct output *output, const struct mull_nic *nic);
void remote_put_nic(struct output *output, const struct mull_vm_nic_status *it);

#endif
