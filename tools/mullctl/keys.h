/* SPDX-License-Identifier: MIT */
/* What is typed: bytes for a VM, and the keys behind Ctrl-]. */
#ifndef MULLCTL_KEYS_H
#define MULLCTL_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether standard input is a terminal whose keys are ours. */
bool keys_are_typed(void);
/* Keys come one by one, unseen and unchanged, until keys_end or exit. */
void keys_begin(void);
void keys_end(void);

/* What a key asks for. */
enum key {
	KEY_BYTE, /* goes to the VM */
	KEY_NONE, /* the first half of an escape */
	KEY_QUIT,
	KEY_BUTTON,
	KEY_CHOOSE, /* the VM of the digit */
	KEY_HELP,
};

/* The meaning of @byte, @*escaped being whether Ctrl-] came before it. */
enum key key_of(unsigned char byte, bool *escaped);

#endif
