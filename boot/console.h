/* SPDX-License-Identifier: MIT */
/*
 * What the loader says goes to the firmware's console, and to the serial
 * line at 0x3f8 unless the firmware's console already goes to a serial line.
 * It does when the variable ConOut (UEFI 2.10, "Globally Defined Variables")
 * names a UART: OVMF has it so always, other firmware when its setup says
 * "console redirection".
 */
#ifndef BOOT_CONSOLE_H
#define BOOT_CONSOLE_H

void console_start(void);

__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* A figure that the next one overwrites: on the firmware's console only. */
__attribute__((format(printf, 1, 2))) void say_progress(const char *format,
							...);

/* Gives the reader of the screen half a minute, or until a key is pressed. */
void console_pause(void);

#endif
