/* SPDX-License-Identifier: MIT */
#ifndef MULLCTL_PUT_DEVICES_H
#define MULLCTL_PUT_DEVICES_H

#include <mullctl.h>

#include "output.h"

/* Asks for what @vm's devices have counted, and adds it as lists.  Returns as
 * mull_device_stats(). */
int put_device_stats(struct mull *mull, uint32_t vm, struct output *output);
/* The machine's network cards, as a list; errors as mull_nics(). */
int put_nics(struct mull *mull, struct output *output);
void put_mac(struct output *output, const uint8_t *mac);

#endif
