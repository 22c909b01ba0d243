/* SPDX-License-Identifier: MIT */
/*
 * kexec KERNEL INITRD COMMAND-LINE: starts another kernel in place of this
 * one, as "kexec -s" of kexec-tools does, which needs libraries of Xen.
 */
#include <fcntl.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	int kernel, initrd;

	if (count != 4)
		return 2;
	kernel = open(arguments[1], O_RDONLY);
	initrd = open(arguments[2], O_RDONLY);
	if (kernel < 0 || initrd < 0 ||
	    syscall(SYS_kexec_file_load, kernel, initrd,
		    strlen(arguments[3]) + 1, arguments[3], 0ul) < 0) {
		perror("kexec");
		return 1;
	}
	sync();
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		LINUX_REBOOT_CMD_KEXEC, NULL);
	perror("kexec");
	return 1;
}
