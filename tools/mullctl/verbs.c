/* SPDX-License-Identifier: MIT */
#include "verbs.h"

const struct verb verbs[] = {
	{ "check", "MANIFEST", 1, 1, "find every mistake in a manifest",
	  "Reads the manifest and the files that it names and shows every "
	  "mistake with its line. Nothing is written.",
	  verb_check },
	{ "pack", "MANIFEST -o DIR|IMAGE", 1, 1,
	  "make a bootable folder or disk image",
	  "Puts mullion.efi and everything that the manifest names where a "
	  "UEFI computer boots from: into a folder (one that exists, or a "
	  "name that ends in /) to be copied to an EFI system partition, or "
	  "into a disk image to be written to a USB stick.",
	  verb_pack },
	{ "run", "MANIFEST | run --kernel FILE", 0, 1,
	  "boot it in an emulator, with the consoles here",
	  "Starts an emulator with the hypervisor and the VMs of the "
	  "manifest, or with one VM that options describe. The console of a "
	  "single VM is standard input and output; those of several are shown "
	  "line by line with their names. The run ends when every VM that was "
	  "started has ended. Input that is no terminal goes to the guest as "
	  "well; it waits until the guest seems to be listening.",
	  verb_run },
	{ "help", "[VERB]", 0, 1, "explain mullctl or one verb",
	  "Without a verb: the verbs, the exit status and the environment.",
	  verb_help },
	{ "man", "", 0, 0, "print the manual page mullctl(1)",
	  "In troff; read it by: mullctl man | man -l -", verb_man },
	{ NULL, NULL, 0, 0, NULL, NULL, NULL },
};

const struct option_row option_rows[] = {
	{ OPTION_OUTPUT, 'o', "output", "DIR|IMAGE", "pack ",
	  "where to write" },
	{ OPTION_FORMAT, 0, "format", "gpt|fat", "pack ",
	  "the disk image: a GPT with an EFI system partition (default), or a "
	  "bare FAT file system" },
	{ OPTION_EFI, 0, "efi", "FILE", "pack run ",
	  "the hypervisor (default: mullion.efi beside mullctl)" },
	{ OPTION_KERNEL, 0, "kernel", "FILE", "run ",
	  "a Linux bzImage or an SDK guest; takes the manifest's place" },
	{ OPTION_INITRD, 0, "initrd", "FILE", "run ",
	  "the initial RAM disk of --kernel" },
	{ OPTION_CMDLINE, 0, "cmdline", "TEXT", "run ",
	  "the command line of --kernel (Linux: console=ttyS0)" },
	{ OPTION_MEMORY, 0, "memory", "SIZE", "run ",
	  "the memory of --kernel (512MiB)" },
	{ OPTION_CPUS, 0, "cpus", "N", "run ",
	  "the processors of --kernel (1)" },
	{ OPTION_SMP, 0, "smp", "N", "run ",
	  "the processors of the machine (as many as the VMs need)" },
	{ OPTION_MACHINE_MEMORY, 0, "machine-memory", "SIZE", "run ",
	  "the memory of the machine (that of the VMs and 256 MiB, at least "
	  "512 MiB)" },
	{ OPTION_EMULATOR, 0, "emulator", "qemu|bochs", "run ",
	  "qemu emulates AMD-V, bochs VT-x (qemu)" },
	{ OPTION_ACCEL, 0, "accel", "tcg|kvm", "run ",
	  "how qemu works; kvm needs nested virtualization (tcg)" },
	{ OPTION_QEMU, 0, "qemu", "FILE", "run ", "the qemu binary" },
	{ OPTION_QEMU_ARG, 0, "qemu-arg", "ARG", "run ",
	  "one more argument for qemu; may be given again" },
	{ OPTION_DETERMINISTIC, 0, "deterministic", NULL, "run ",
	  "the same instructions take the same time in each run" },
	{ OPTION_TIMEOUT, 0, "timeout", "SECONDS", "run ",
	  "end the run after that time" },
	{ OPTION_NO_REBOOT, 0, "no-reboot", NULL, "run ",
	  "a guest that resets itself has ended" },
	{ OPTION_SERIAL, 0, "serial", "FILE", "run ",
	  "write the hypervisor's log and the firmware's text there" },
	{ OPTION_GDB, 0, "gdb", NULL, "run ",
	  "wait for gdb before the first instruction" },
	{ OPTION_KEEP, 0, "keep", "DIR", "run ",
	  "leave the disk image, the emulator's command line and its messages "
	  "there" },
	{ OPTION_VERBOSE, 'v', "verbose", NULL, "run pack ",
	  "show the hypervisor's log and what is done" },
	{ 0, 0, NULL, NULL, NULL, NULL },
};

const struct note status_notes[] = {
	{ "0", "done; with run: every VM has powered off" },
	{ "1", "mistakes in the command line or the manifest" },
	{ "2", "this computer lacks something: an emulator, firmware, a tool, "
	       "mullion.efi, room" },
	{ "3", "a VM was refused or could not be loaded" },
	{ "4", "a VM crashed, or halted for ever" },
	{ "5", "a VM reset itself (with --no-reboot)" },
	{ "6", "the timeout passed" },
	{ "7", "the emulator or the hypervisor died" },
	{ "64+N", "an SDK guest ended with exit code N (127: 63 or more)" },
	{ "130", "quit by Ctrl-] q" },
	{ NULL, NULL },
};

const struct note key_notes[] = {
	{ "Ctrl-] q", "end the run" },
	{ "Ctrl-] b", "press the power button of the VM that gets the input" },
	{ "Ctrl-] 1 to 9", "let that VM get the input" },
	{ "Ctrl-] Ctrl-]", "send Ctrl-] itself" },
	{ "Ctrl-] ?", "show these keys" },
	{ NULL, NULL },
};

const struct note environment_notes[] = {
	{ "MULLION_EFI", "the hypervisor, when there is no --efi" },
	{ "MULLCTL_QEMU", "the qemu binary, when there is no --qemu" },
	{ "BOCHS", "the bochs binary" },
	{ "BOCHS_DISPLAY", "the display_library of bochs (term)" },
	{ "BOCHS_CPU", "the model that bochs emulates (corei7_haswell_4770)" },
	{ "OVMF_CODE, OVMF_VARS", "the firmware's two flash images for qemu" },
	{ "TMPDIR", "where the folder of a run is made" },
	{ NULL, NULL },
};
