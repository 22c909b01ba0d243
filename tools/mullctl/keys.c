/* SPDX-License-Identifier: MIT */
#include "keys.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE 0x1d /* Ctrl-], as telnet has it */

static struct termios before;
static bool changed;

bool keys_are_typed(void)
{
	/* In the background, reading would stop us. */
	return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void keys_end(void)
{
	if (changed)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	changed = false;
}

void keys_begin(void)
{
	struct termios raw;

	if (changed || !keys_are_typed() || tcgetattr(STDIN_FILENO, &before))
		return;
	atexit(keys_end);
	signal(SIGTTOU, SIG_IGN); /* to restore it from the background */
	raw = before;
	/* Output is left as it is, so that messages keep their lines. */
	raw.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INLCR | IGNCR | ISTRIP |
				   IXON | PARMRK);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	changed = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

enum key key_of(unsigned char byte, bool *escaped)
{
	bool was_escaped = *escaped;

	*escaped = !was_escaped && byte == ESCAPE;
	if (*escaped)
		return KEY_NONE;
	if (!was_escaped || byte == ESCAPE)
		return KEY_BYTE;
	if (byte >= '1' && byte <= '9')
		return KEY_CHOOSE;
	switch (byte) {
	case 'q':
		return KEY_QUIT;
	case 'b':
		return KEY_BUTTON;
	default:
		return KEY_HELP;
	}
}
