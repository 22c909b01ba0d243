/* SPDX-License-Identifier: MIT */
#include "verbs.h"

const struct verb verbs[] = {
	{ "check", "MANIFEST", 1, 1, "find every mistake in a manifest",
	  "Reads the manifest and the files that it names and shows every "
	  "mistake with its line. Nothing is written.",
	  verb_check, false },
	{ "pack", "MANIFEST -o DIR|IMAGE", 1, 1,
	  "make a bootable folder or disk image",
	  "Puts mullion.efi and everything that the manifest names where a "
	  "UEFI computer boots from: into a folder (one that exists, or a "
	  "name that ends in /) to be copied to an EFI system partition, or "
	  "into a disk image to be written to a USB stick.",
	  verb_pack, false },
	{ "run", "MANIFEST | run --kernel FILE", 0, 1,
	  "boot it in an emulator, with the consoles here",
	  "Starts an emulator with the hypervisor and the VMs of the "
	  "manifest, or with one VM that options describe. The console of a "
	  "single VM is standard input and output; those of several are shown "
	  "line by line with their names. The run ends when every VM that was "
	  "started has ended. Input that is no terminal goes to the guest as "
	  "well; it waits until the guest seems to be listening.",
	  verb_run, false },
	{ "list", "", 0, 0, "show every VM and its state",
	  "One line a VM: its processors and memory, how often it was "
	  "started again, its exits, and why it ended.",
	  verb_list, true },
	{ "show", "VM", 1, 1, "show all that is known of a VM",
	  "Its state and its description. VM is a name or a number here and "
	  "with all verbs.",
	  verb_show, true },
	{ "version", "", 0, 0, "show the versions of mullctl and hypervisor",
	  "That of the hypervisor if it is known where it is. --version is the "
	  "same.",
	  verb_version, true },
	{ "info", "", 0, 0, "show the machine and the hypervisor",
	  "Versions, processors, memory, the phases of the start, disks and "
	  "their partitions, and network cards.",
	  verb_info, true },
	{ "start", "VM", 1, 1, "start a VM that has ended",
	  "Its images are loaded anew. Returns at once, or with --wait when "
	  "it runs.",
	  verb_start, true },
	{ "stop", "VM", 1, 1, "let a VM power itself off, or end it",
	  "Presses its power button, waits, and ends it if it does not "
	  "listen; --force ends it at once.",
	  verb_stop, true },
	{ "reset", "VM", 1, 1, "let a VM start anew",
	  "As its reset button would: its images are loaded anew. One that "
	  "waits for its restart has it at once.",
	  verb_reset, true },
	{ "pause", "VM", 1, 1, "let a VM stand still",
	  "Its processors leave the guest; its memory stays.", verb_pause,
	  true },
	{ "resume", "VM", 1, 1, "let a paused VM go on",
	  "The guest's clock tells it that it was stopped.", verb_resume,
	  true },
	{ "destroy", "VM", 1, 1, "remove a VM that has ended",
	  "Its memory and processors are free again, and its number.",
	  verb_destroy, true },
	{ "create", "FILE", 1, 1, "make a VM",
	  "FILE describes it as a manifest does: by a VM's words, or by vms "
	  "with one VM. kernel and initrd are names of images, or files that "
	  "are uploaded first. cpus: 2 takes two processors that are free. "
	  "It stands still until it is started.",
	  verb_create, true },
	{ "disks", "VM", 1, 1, "show a VM's disks",
	  "What they are made of, how much of the room for changes is used, "
	  "and what was read and written since the VM started.",
	  verb_disks, true },
	{ "nics", "VM", 1, 1, "show a VM's network devices",
	  "Their switches, addresses and rates. What they count is in stats.",
	  verb_nics, true },
	{ "attach",
	  "VM IMAGE | attach VM --partition NAME | attach VM "
	  "--nic SWITCH",
	  1, 2, "give a VM a disk or a network device, also while it runs",
	  "IMAGE is an image of kind disk, or a file that is uploaded first; "
	  "what the VM writes is its own, and gone when it stops. NAME is a "
	  "GPT partition of the machine's disks that no VM has, or none that "
	  "writes it. SWITCH is one that a VM or the uplink has or had. The "
	  "device stays until it is detached or the VM is destroyed.",
	  verb_attach, true },
	{ "detach", "VM DEVICE", 2, 2,
	  "take a disk or a network device from a VM",
	  "DEVICE is disk0 or nic0, as disks and nics count them, or the name "
	  "of its partition or switch. A guest that runs is asked to let go "
	  "of it first. What was written to a partition is kept; a disk in "
	  "memory loses what was written.",
	  verb_detach, true },
	{ "balloon", "VM [SIZE]", 1, 2,
	  "take memory from a VM, or give it back",
	  "Of a VM whose memory is elastic: asks its guest to live with SIZE, "
	  "and "
	  "waits until it does. What it gives is free for other VMs, in whole "
	  "frames of 2 MiB. Without SIZE: shows what it has, and the guest's "
	  "own "
	  "numbers.",
	  verb_balloon, true },
	{ "images", "", 0, 0, "show the images that VMs can be made of",
	  "Kernels and initial RAM disks, with their sizes and SHA-256.",
	  verb_images, true },
	{ "upload", "FILE", 1, 1, "bring an image to the hypervisor",
	  "It is compressed, and its SHA-256 is checked there. An upload that "
	  "was interrupted goes on where it stopped. Images are gone after a "
	  "restart of the machine.",
	  verb_upload, true },
	{ "download", "IMAGE FILE", 2, 2, "write an image into a file",
	  "Its SHA-256 is checked. IMAGE is a name or a number.", verb_download,
	  true },
	{ "delete", "IMAGE", 1, 1, "remove an uploaded image",
	  "Or what has come of one. It must not be in use.", verb_delete,
	  true },
	{ "inject", "VM nmi", 2, 2, "send a VM an NMI, for tests",
	  "To its first processor, or to that of --vcpu.", verb_inject, true },
	{ "agent", "VM COMMAND [JSON]", 1, 3, "ask the agent in a guest",
	  "For guests in which qemu-guest-agent runs. COMMAND is ping, info, "
	  "get-osinfo, exec, or any other that it has, with or without "
	  "guest- before it; JSON is an object with its arguments: mullctl "
	  "agent web exec '{\"path\": \"/bin/true\"}'. VM and COMMAND may be "
	  "in either order, and where there is only one VM it need not be "
	  "named. What the guest answers is its own word, not the "
	  "hypervisor's.",
	  verb_agent, true },
	{ "vsock", "VM PORT", 2, 2, "connect to a socket of a guest",
	  "Standard input and output are the other end of a connection to that "
	  "port (AF_VSOCK) of the guest, whose manifest says vsock. With "
	  "--listen it is the guest that connects, once, to that port of the "
	  "host, which is context identifier 2.",
	  verb_vsock, true },
	{ "dump", "VM -o FILE", 1, 1, "save a VM's memory and registers",
	  "An ELF core that gdb and crash open: gdb KERNEL.ELF FILE. A VM that "
	  "runs is paused meanwhile. Zeros take no room in the file.",
	  verb_dump, true },
	{ "debug", "VM", 1, 1, "let gdb look into a VM",
	  "Waits at --listen for: target remote 127.0.0.1:1234. Or, in gdb: "
	  "target remote | mullctl debug VM --stdio. Threads are the VM's "
	  "processors. The VM is paused when gdb comes, and goes on without "
	  "breakpoints when it leaves.",
	  verb_debug, true },
	{ "console", "VM", 1, 1, "see a VM's console and type on it",
	  "What was printed last comes first. Ctrl-] leaves; all other keys "
	  "go to the VM. Input that is no terminal is typed as well.",
	  verb_console, true },
	{ "log", "", 0, 0, "show the hypervisor's log",
	  "--follow goes on with what comes; --previous shows what the run "
	  "before has left: after a warm reset, or after a panic and the reset "
	  "button.",
	  verb_log, true },
	{ "events", "", 0, 0, "show what happened to the VMs",
	  "Each change of a VM's state, with its reason; --follow goes on "
	  "with what comes.",
	  verb_events, true },
	{ "stats", "[VM]", 0, 1, "count exits, interrupts and time",
	  "Of a VM: by the reason of the exit, and what its devices and "
	  "networks do. Without one: of the processors and disks.",
	  verb_stats, true },
	{ "top", "", 0, 0, "watch the machine and its VMs",
	  "What each VM does, once a second: 100 % is one processor. Arrows "
	  "choose a VM, Enter shows its exits, a capital letter sorts, h shows "
	  "all keys. A machine that goes away is waited for. Where there "
	  "is no terminal to draw on, tables come one after another.",
	  verb_top, true },
	{ "schedule", "", 0, 0, "show when VMs that share CPUs run",
	  "The schedules of the machine's manifest, slot by slot, and how each "
	  "CPU has kept to them: how late slots began, how many began more "
	  "than 50 us late (overruns) or not at all (missed), and what "
	  "a switch from one VM to the next took. --switch has another "
	  "one in force from the end of a frame on, and waits for that.",
	  verb_schedule, true },
	{ "trace", "[CLASS,...|all|none]", 0, 1, "log more, by class",
	  "Classes are exit, interrupt, device and manage. Without an "
	  "operand: shows what is logged now.",
	  verb_trace, true },
	{ "audit", "", 0, 0, "prove that the VMs are isolated",
	  "The hypervisor walks the page tables that the processors use and "
	  "compares the owners of all frames.",
	  verb_audit, true },
	{ "shutdown", "", 0, 0, "power the machine off",
	  "VMs are not asked: stop them first.", verb_shutdown, true },
	{ "reboot", "", 0, 0, "start the machine again",
	  "VMs are not asked: stop them first.", verb_reboot, true },
	{ "completion", "bash|zsh", 1, 1, "print the shell's completion",
	  "For bash: source <(mullctl completion bash).", verb_completion,
	  false },
	{ "help", "[VERB]", 0, 1, "explain mullctl or one verb",
	  "Without a verb: the verbs, the exit status and the environment.",
	  verb_help, false },
	{ "man", "", 0, 0, "print the manual page mullctl(1)",
	  "In troff; read it by: mullctl man | man -l -", verb_man, false },
	{ NULL, NULL, 0, 0, NULL, NULL, NULL, false },
};

#define REMOTE \
	"list show version info start stop reset pause resume destroy inject " \
	"agent vsock create disks nics attach detach balloon images upload " \
	"download " \
	"delete dump debug console log events stats top schedule trace audit " \
	"shutdown " \
	"reboot "

const struct option_row option_rows[] = {
	{ OPTION_OUTPUT, 'o', "output", "DIR|IMAGE", "pack ",
	  "where to write" },
	{ OPTION_OUTPUT, 'o', "output", "FILE", "dump ", "where to write" },
	{ OPTION_FORMAT, 0, "format", "gpt|fat", "pack ",
	  "the disk image: a GPT with an EFI system partition (default), or a "
	  "bare FAT file system" },
	{ OPTION_EFI, 0, "efi", "FILE", "pack run ",
	  "the hypervisor (default: mullion.efi beside mullctl, or in "
	  "../share/mullion from there)" },
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
	{ OPTION_DISK, 0, "disk", "FILE[,nvme]", "run ",
	  "one more disk for the machine: a raw image, as a virtio or an NVMe "
	  "disk (qemu only); may be given again" },
	{ OPTION_NIC, 0, "nic", "virtio|e1000e[,WORDS]", "run ",
	  "one more network card for the machine, at qemu's user network; "
	  "WORDS are qemu's for that, such as "
	  "hostfwd=tcp:127.0.0.1:8080-:80 (qemu only); may be given again" },
	{ OPTION_DETERMINISTIC, 0, "deterministic", NULL, "run ",
	  "the same instructions take the same time in each run" },
	{ OPTION_TIMEOUT, 0, "timeout", "SECONDS", "run ",
	  "end the run after that time" },
	{ OPTION_CONNECT, 0, "connect", "ADDRESS", REMOTE,
	  "the hypervisor: serial:DEVICE,RATE, unix:PATH, tcp:HOST:PORT or "
	  "udp:HOST:PORT,KEYFILE" },
	{ OPTION_FORM, 'o', "output", "table|json|yaml",
	  "list show info events stats top images upload create trace audit "
	  "agent balloon disks nics attach schedule ",
	  "table is for people (default)" },
	{ OPTION_LISTEN, 0, "listen", "unix:PATH", "run ",
	  "let other mullctls see and control it at that address; the run "
	  "then goes on when all VMs have ended" },
	{ OPTION_LISTEN, 0, "listen", "tcp:HOST:PORT", "debug ",
	  "where gdb is waited for (tcp:127.0.0.1:1234); whoever comes there "
	  "has the VM" },
	{ OPTION_LISTEN, 0, "listen", NULL, "vsock ",
	  "wait for the guest to connect to that port of the host" },
	{ OPTION_STDIO, 0, "stdio", NULL, "debug ",
	  "gdb is on standard input and output" },
	{ OPTION_NAME, 0, "name", "NAME", "upload ",
	  "the image's name (that of the file)" },
	{ OPTION_KIND, 0, "kind", "KIND", "upload ",
	  "what the image is: linux, elf, pvh, multiboot, multiboot2, "
	  "firmware, initrd or disk (as the file looks; else initrd)" },
	{ OPTION_REPLACE, 0, "replace", NULL, "upload create ",
	  "delete an image that has the name and other contents" },
	{ OPTION_PARTITION, 0, "partition", "NAME", "attach ",
	  "the disk is that GPT partition of the machine" },
	{ OPTION_NIC, 0, "nic", "SWITCH[,mac=MAC][,rate=RATE]", "attach ",
	  "a network device at that switch; by itself it has an address made "
	  "of the VM's name, and sends as fast as it can" },
	{ OPTION_READ_ONLY, 0, "read-only", NULL, "attach ",
	  "the VM cannot write it" },
	{ OPTION_ROOM, 0, "room", "SIZE", "attach ",
	  "memory for what is written (of an image: enough for all of it; a "
	  "partition is then only read)" },
	{ OPTION_SWITCH, 0, "switch", "NAME", "schedule ",
	  "the schedule that is to be in force" },
	{ OPTION_START, 0, "start", NULL, "create ", "start it, too" },
	{ OPTION_FOLLOW, 'f', "follow", NULL, "log events ",
	  "go on until interrupted" },
	{ OPTION_LEVEL, 0, "level", "LEVEL", "log ",
	  "error, warning, notice, info or debug: what is at least so urgent" },
	{ OPTION_PREVIOUS, 0, "previous", NULL, "log ",
	  "of the run before a warm reset" },
	{ OPTION_ALL, 0, "all", NULL, "console ",
	  "begin with all that is kept, not with the last 4 KiB" },
	{ OPTION_TIMEOUT, 0, "timeout", "SECONDS", "console log events ",
	  "leave after that time (events: with --follow)" },
	{ OPTION_BATCH, 'b', "batch", NULL, "top ",
	  "print tables, as with -o and -n" },
	{ OPTION_INTERVAL, 0, "interval", "SECONDS", "top ",
	  "look so often (1)" },
	{ OPTION_ITERATIONS, 'n', "iterations", "N", "top ",
	  "print so many tables" },
	{ OPTION_WARM, 0, "warm", NULL, "reboot ",
	  "a warm reset, which leaves the log for log --previous" },
	{ OPTION_WAIT, 0, "wait", NULL, "start ", "return when it runs" },
	{ OPTION_FORCE, 0, "force", NULL, "stop ",
	  "end it without asking the guest" },
	{ OPTION_FORCE, 0, "force", NULL, "detach ",
	  "pull it out without asking the guest, which loses what it has not "
	  "written yet" },
	{ OPTION_TIMEOUT, 0, "timeout", "SECONDS",
	  "start stop attach detach balloon ",
	  "wait so long (start: 60; others: 30; what is not stopped then is "
	  "ended)" },
	{ OPTION_TIMEOUT, 0, "timeout", "SECONDS", "agent ",
	  "wait so long for the answer (60)" },
	{ OPTION_TIMEOUT, 0, "timeout", "SECONDS", "vsock ",
	  "wait so long for the connection (5; with --listen for ever)" },
	{ OPTION_VCPU, 0, "vcpu", "N", "inject ",
	  "the VM's processor, from 0" },
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

const struct note remote_status_notes[] = {
	{ "0", "done" },
	{ "1", "failed: the message says why" },
	{ "2", "mistakes in the command line" },
	{ "3", "there is no such VM, image or vCPU" },
	{ "4", "not possible in the state that it is in, or in use" },
	{ "6", "the hypervisor cannot be reached, or does not answer" },
	{ "124", "the time of --timeout has passed" },
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
	{ "BOCHS_LINES", "lines to add to its configuration" },
	{ "OVMF_CODE, OVMF_VARS", "the firmware's two flash images for qemu" },
	{ "MULLCTL_CONNECT", "where the hypervisor is, when there is no "
			     "--connect; else \"connect: ADDRESS\" in "
			     "~/.config/mullctl.yaml" },
	{ "NO_COLOR", "if not empty, no colours" },
	{ "TMPDIR", "where the folder of a run is made" },
	{ NULL, NULL },
};
