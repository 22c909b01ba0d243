/* SPDX-License-Identifier: MIT */
/*
 * poll_console TTY: makes the kernel poll a serial port in place of waiting
 * for its interrupt.  Linux started with "nosmp" uses no I/O APIC, and a
 * partition has no PIC either, so no device can interrupt it; the 8250 driver
 * polls a port whose interrupt is 0.
 */
#include <fcntl.h>
#include <linux/serial.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	struct serial_struct port;
	int tty;

	if (count != 2)
		return 2;
	tty = open(arguments[1], O_RDWR | O_NONBLOCK | O_NOCTTY);
	if (tty < 0 || ioctl(tty, TIOCGSERIAL, &port) < 0)
		return 1;
	port.irq = 0;
	return ioctl(tty, TIOCSSERIAL, &port) < 0;
}
