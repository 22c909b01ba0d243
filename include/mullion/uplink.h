/* SPDX-License-Identifier: MIT */
/* The port of a switch that one of the machine's network cards is behind. */
#ifndef MULLION_UPLINK_H
#define MULLION_UPLINK_H

#include <mullion/nic.h>
#include <mullion/package.h>

/*
 * uplink_start - finds the machine's cards, and opens the one that @machine
 *                names
 *
 * Boot CPU, before there are ports on switches.  What goes wrong is told in
 * the log, and the switch is then one without an uplink.
 */
void uplink_start(const struct mull_machine *machine);

/* The switch's name and the card's address: NULL when there is no uplink. */
const char *uplink_switch(void);
const uint8_t *uplink_mac(void);

/* One bounded round on the service CPU; whether there is more to do at once. */
bool uplink_poll(void);
/* When the next round must be, as far as time alone says it. */
uint64_t uplink_deadline(void);
/* Adds what its port counts to @status, that of card @status->number. */
void uplink_stats(struct mull_nic_status *status);

#endif
