/* SPDX-License-Identifier: MIT */
/*
 * A text console on the framebuffer that the firmware set up: the log for
 * machines without a serial port.  It only ever writes to video memory.
 */
#ifndef MULLION_FRAMEBUFFER_H
#define MULLION_FRAMEBUFFER_H

#include <mullion/boot_info.h>
#include <stddef.h>
#include <stdint.h>

/*
 * framebuffer_bytes - how much video memory the console would write
 *
 * Returns the bytes to map from screen->address, or 0 when there is no
 * framebuffer or when the firmware's description of it makes no sense.
 */
uint64_t framebuffer_bytes(const struct mull_framebuffer *screen);

/*
 * framebuffer_start - clear the screen and write to it from now on
 * @screen: the firmware's description; checked, need not outlive the call
 * @mapped: framebuffer_bytes(screen) bytes of video memory, best mapped
 *	    write-combining, or NULL
 *
 * Without a usable framebuffer, later writes do nothing.
 */
void framebuffer_start(const struct mull_framebuffer *screen, void *mapped);

/*
 * framebuffer_write - show text at the end of what is there
 * @text: ASCII; '\n' begins a line, '\r' goes back to its start, '\t' goes
 *	  to the next multiple of 8; anything else is drawn as a box
 *
 * Draws at most each character of the screen once, however long @text is.
 * Takes no lock: the caller sees to it that one CPU writes at a time.
 */
void framebuffer_write(const char *text, size_t length);

#endif
