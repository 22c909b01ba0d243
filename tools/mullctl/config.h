/* SPDX-License-Identifier: MIT */
/* Where the hypervisor is: option, environment, configuration file. */
#ifndef MULLCTL_CONFIG_H
#define MULLCTL_CONFIG_H

#include <stdbool.h>

#include "verbs.h"

/* The address, which free() releases; NULL after a message, but without one if
 * it is only asked whether an address @may_lack. */
char *config_address(const struct options *options, bool may_lack);

#endif
