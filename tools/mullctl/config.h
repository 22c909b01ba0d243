/* SPDX-License-Identifier: MIT */
/* Where the hypervisor is: option, environment, configuration file. */
#ifndef MULLCTL_CONFIG_H
#define MULLCTL_CONFIG_H

#include "verbs.h"

/* The address, which free() releases; NULL after a message. */
char *config_address(const struct options *options);

#endif
