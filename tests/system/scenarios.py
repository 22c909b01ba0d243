# SPDX-License-Identifier: MIT
"""What is booted, and what must then be seen: the table of system tests.

A row either gives options of `mullctl run` (command) or VMs of a manifest.
$build, $guests, $kernels, $demo and $kexec are replaced.  Patterns are regular
expressions; an empty status means that the test ends the run when it has seen
all."""
import dataclasses
import re

LINUX = 240 # seconds that a loaded machine may need to boot it
GUEST = 120


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    command: str = ""        # options of mullctl run
    vms: str = ""            # the manifest's VMs, in YAML
    machine: str = ""        # and its machine's words
    options: str = ""        # of mullctl run, beside the manifest
    typed: tuple = ()        # pairs: when this is seen, type that
    expect: tuple = ()       # on the consoles
    expect_log: tuple = ()   # on standard error: log and mullctl's words
    never: tuple = ()        # on neither
    counts: tuple = ()       # pairs: pattern, how often at least
    pace: tuple = ()         # VM, lines a second: for as long as the log's
                             # pattern, the third, says
    status: int | None = 0   # exit status; None: the test ends the run
    seconds: int = GUEST
    terminal: bool = False   # keys are typed at a terminal
    backends: tuple = ("svm", "vmx")
    vmx_too: bool = False    # on VT-x in `make test`, not in test-all only
    skylake_too: bool = False # the same for the second model of VT-x
    long: bool = False       # in `make test-all` only


# SVM in Bochs: a processor with next RIP, and one with x2APIC.
USUAL = ("svm", "vmx")
RYZEN = USUAL + ("svm-ryzen",)
X2APIC = USUAL + ("svm-x2apic",)
SVM_IN_BOCHS = USUAL + ("svm-ryzen", "svm-x2apic")


def linux(kernel, cpus, nosmp, image="$kernels/%s/vmlinuz", kind="",
          **more):
    # The kernel's tests of its own ciphers are a tenth of a boot in Bochs.
    return Scenario(
        name="linux-%s-%s" % (kind or kernel.removesuffix("-amd64"),
                              "nosmp" if nosmp else "%d-cpus" % cpus),
        command="--kernel %s --initrd $demo --cpus %d "
        "--memory 512MiB --cmdline 'console=ttyS0 cryptomgr.notests %s"
        "mullion.run=selftest mullion.cpus=%d'"
        % (image.replace("%s", kernel), cpus, "nosmp " if nosmp else "",
           cpus),
        expect=(r"^PASS %d CPU\(s\) are online" % cpus,
                r"^DONE %d 0" % (10 if nosmp else 13)),
        expect_log=(r"^mullctl: (linux|guest): powered off",),
        seconds=LINUX, **more)


def linux_does(name, run, cpus, words, kernel="cloud-amd64", initrd="$demo",
               memory="512MiB", options="", done=r"^DONE \d+ 0", **more):
    """A stock kernel that does one thing of guests/linux/init."""
    return Scenario(
        name=name,
        command="--kernel $kernels/%s/vmlinuz --initrd %s --cpus %d "
        "--memory %s --cmdline 'console=ttyS0 cryptomgr.notests mullion.run=%s "
        "mullion.cpus=%d' %s" % (kernel, initrd, cpus, memory, run, cpus,
                                 options),
        expect=(done,) + words, expect_log=(r"^mullctl: linux: powered off",),
        seconds=LINUX, **more)


def smp(count, **more):
    return Scenario(
        name="smp-%d" % count,
        command="--kernel $guests/counter.elf --memory 16MiB --smp %d "
        "--cmdline 'count=2 period=100'" % count,
        expect=(r"\Acounter: guest has 1 vCPU.*\ncounter: 1\ncounter: 2\n\Z",),
        expect_log=(r"\] %d processors run" % count,), **more)


def one(name, do, status, words, **more):
    """A guest alone; @do its kernel and command line."""
    kernel, line = do.split(" ", 1)
    return Scenario(
        name=name, status=status,
        command="--kernel $guests/%s.elf --memory 16MiB --cmdline '%s'"
        % (kernel, line), expect_log=(words,) if words else (), **more)


def vm(name, cpus, kernel, line, more=""):
    return "  %s: {memory: 16MiB, cpus: [%s], kernel: $guests/%s.elf, " \
           "cmdline: '%s'%s}\n" % (name, cpus, kernel, line, more)


def on_network(name, cpu, role, networks):
    """A stock kernel that does what guests/linux/network says."""
    return "  %s: {memory: 192MiB, cpus: [%d], kernel: " \
           "$kernels/cloud-amd64/vmlinuz, initrd: $demo, networks: %s,\n" \
           "    cmdline: 'console=ttyS0 cryptomgr.notests " \
           "mullion.run=mullion-network+%s'}\n" % (name, cpu, networks, role)


def pc(name, more):
    return "  %s: {cpus: [0], platform: pc, %s}\n" % (name, more)


# What no guest survives, one VM each; with the words that tell why.
ENDINGS = {
    "code-in-mmio": r"code-in-mmio: crashed .*: .*0xd0000000",
    "code-in-apic": r"code-in-apic: crashed .*: .*0xfee00000",
    "code-in-hole": r"code-in-hole: crashed .*: .*0x1000000",
    "tables-in-mmio": r"tables-in-mmio: crashed .*: .*0xfec00",
    "tables-in-hole": r"tables-in-hole: crashed .*: .*0x1000",
    "walk-in-mmio": r"walk-in-mmio: crashed .*: .*0xfec00",
    "idt-in-mmio": r"idt-in-mmio: crashed .*: .*0xd0000",
    "triple-fault": r"triple-fault: crashed .*: triple fault",
    "halt-forever": r"halt-forever: halted for ever",
    "power-off": r"power-off: powered off",
    "reset": r"reset: reset itself",
}
EITHER = ("mmio-odd", "stack-in-mmio", "gdt-in-mmio", "init-itself")


def of(name, words):
    """Words that the console of one of several VMs shows."""
    return r"^%s +\| %s" % (name, words)


def cut_of(name, text):
    """The same of a text that takes its guest long: when others print meanwhile,
    its line is cut and goes on behind theirs."""
    cut = r"(?:\r?\n(?:(?!%s ).*\n)*%s +\| )?" % (name, name)
    return of(name, cut.join(map(re.escape, text)))


def endings(name, cases, status, words, **more):
    vms = vm("neighbour", 0, "counter", "count=30 period=100")
    # On its own APIC a halt for ever is not seen (own-local-apic.md).
    for cpu, case in enumerate(cases, 1):
        vms += vm(case, cpu, "hostile", "case=" + case,
                  ", local-apic: emulated" if case == "halt-forever" else "")
    return Scenario(
        name=name, vms=vms, options="--no-reboot", status=status,
        expect=tuple(of(case, "CASE " + case) for case in cases) +
        (of("neighbour", "counter: 30"),),
        expect_log=tuple(words) + (r"neighbour: powered off",),
        never=(r"\| FAIL ",), seconds=2 * GUEST, **more)


SHARED = ", shared: [{name: ring, size: 8KiB, write: %s}]"
ENDS = list(ENDINGS)
SCENARIOS = (
    linux("cloud-amd64", 1, True, vmx_too=True),
    linux("cloud-amd64", 2, False, vmx_too=True, backends=RYZEN),
    linux("amd64", 2, False),
    # The kernel itself, which unpacks nothing, in 32-bit protected mode.
    linux("cloud-amd64", 2, False, image="$build/vmlinux", kind="pvh"),
    linux("amd64", 1, True, long=True),
    linux("cloud-amd64", 1, False, long=True),
    linux("cloud-amd64", 4, False, long=True),
    linux("amd64", 4, False, long=True),
    linux("rt-amd64", 1, False, long=True),
    linux("rt-amd64", 2, False, long=True),
    linux("rt-amd64", 4, False, long=True),
    # CPUs off and on again, ticks that stop; the same where CPUs are shared,
    # and in a kernel that another one has started.
    linux_does("linux-processors", "processors", 2,
               (r"^PASS CPU 1 goes, comes back and works, round 3",
                r"^PASS \d+ timer interrupts in 4 s of rest")),
    Scenario(
        name="linux-shared", machine="share-cpus: true",
        vms="  linux: {memory: 512MiB, cpus: [0, 1, 1], kernel: "
        "$kernels/cloud-amd64/vmlinuz, initrd: $demo, cmdline: 'console=ttyS0 "
        "cryptomgr.notests mullion.run=processors mullion.cpus=3'}\n" +
        vm("neighbour", 0, "counter", "period=500"),
        expect=(of("linux", r".*KVM setup pv remote TLB flush"),
                of("linux", r".*setup PV sched yield"),
                of("linux", r".*PV spinlocks enabled"),
                of("linux", r".*setup PV IPIs"),
                # Stolen time among them; lines of two VMs may be broken.
                of("linux", r"DONE 13 0")),
        expect_log=(r"linux: stopped: powered off",), status=None,
        seconds=LINUX),
    linux_does("linux-kexec-1", "kexec mullion.then=processors", 1, (),
               initrd="$kexec", memory="768MiB", long=True,
               counts=((r"Linux version", 2),)),
    linux_does("linux-kexec-2", "kexec mullion.then=processors", 2, (),
               initrd="$kexec", memory="768MiB", long=True,
               counts=((r"Linux version", 2),)),
    # By busybox's init, which stops everything first.
    Scenario(
        name="linux-reboot-poweroff",
        command="--kernel $kernels/cloud-amd64/vmlinuz --initrd $demo "
        "--cmdline 'console=ttyS0 rdinit=/bin/init'",
        typed=((r"init is ready[^#]*# ", "reboot\n"),
               (r"(?s)init is ready.*init is ready[^#]*# ", "poweroff\n")),
        expect=(r"reboot: Power down",),
        expect_log=(r"^mullctl: linux: powered off",),
        counts=((r"Linux version", 2),), backends=X2APIC,
        seconds=2 * LINUX),
    Scenario(
        name="linux-halt",
        command="--kernel $kernels/cloud-amd64/vmlinuz --initrd $demo --cpus 2 "
        "--cmdline 'console=ttyS0 rdinit=/bin/init'",
        typed=((r"init is ready[^#]*# ", "halt\n"),), status=4,
        expect=(r"reboot: System halted",),
        expect_log=(r"^mullctl: linux: halted for ever",),
        backends=RYZEN, long=True, seconds=LINUX),
    linux_does("linux-5GiB", "selftest", 2, (r"^Mem: +(49|50)\d\d ",),
               memory="5GiB", options="--machine-memory 6GiB",
               backends=("svm",), long=True),
    # What the hypervisor leaves of a machine, with some room for it to grow.
    linux_does("linux-whole-machine", "selftest", 1, (), memory="976MiB",
               options="--machine-memory 1GiB", backends=("svm",), long=True),
    Scenario(
        name="crowd-64", machine="share-cpus: true",
        vms="  crowd: {memory: 64MiB, cpus: [%s], kernel: $guests/crowd.elf}\n"
        % ", ".join(str(cpu % 4) for cpu in range(64)),
        expect=(r"PASS 64 of 64 vCPUs run",
                r"PASS each of 64 vCPUs interrupts each other \(x2APIC\)",
                r"PASS 64 vCPUs forget what was mapped.*\(those that run",
                r"DONE 6 0"), seconds=2 * GUEST),
    Scenario(
        name="crowd-4", command="--kernel $guests/crowd.elf --memory 64MiB "
        "--cpus 4", expect=(r"^DONE 5 0",)),
    Scenario(
        name="paravirtual-shared", machine="share-cpus: true",
        vms="  selftest: {memory: 64MiB, cpus: [0, 0, 1], kernel: "
        "$guests/selftest.elf, cmdline: only=paravirtual}\n",
        expect=(r"PASS a kick ends a HLT with interrupts off",
                r"PASS others have stolen time", r"DONE \d+ 0")),
    smp(1), smp(2), smp(4), smp(8),
    # Debian's driver and busybox's program: it does not bite before it is
    # started, nor while it is fed.
    Scenario(
        name="watchdog", machine="", vms="  linux: {memory: 256MiB, "
        "cpus: [0], watchdog: 5s, kernel: $kernels/cloud-amd64/vmlinuz, "
        "initrd: $demo, cmdline: 'console=ttyS0 quiet cryptomgr.notests "
        "mullion.run=sleep+8;echo+idle;watchdog+-F+-T+3+-t+1+/dev/watchdog0&"
        "sleep+8;echo+fed;killall+-9+watchdog;echo+left;sleep+99'}\n",
        expect=(r"^idle$", r"^fed$", r"^left"), never=(r"DONE exit",),
        expect_log=(r"linux: crashed.*: watchdog: not fed for 3 s",),
        status=4, seconds=LINUX, long=True),
    Scenario(
        name="demo",
        vms=None,
        typed=((r"/root # ", "echo $((6 * 7)) answers; uname -sr; nproc\n"),
               (of("linux", "42 answers"), "cat /proc/uptime; echo so far\n"),
               (of("linux", "so far"), "poweroff -f\n")),
        expect=(of("linux", "42 answers"), of("linux", r"Linux 6\.1"),
                of("linux", "1$"), of("counter", "counter: 3")),
        expect_log=(r"linux: powered off|linux: stopped: powered off",),
        counts=((of("counter", r"counter: \d+"), 5),),
        status=None, seconds=LINUX),
    Scenario(
        name="selftest-1", command="--kernel $guests/selftest.elf "
        "--memory 64MiB --cpus 1", expect=(r"^DONE \d+ 0",),
        vmx_too=True, backends=SVM_IN_BOCHS),
    Scenario(
        name="selftest-4", command="--kernel $guests/selftest.elf "
        "--memory 64MiB --cpus 4", expect=(r"^DONE \d+ 0",),
        backends=SVM_IN_BOCHS, seconds=2 * GUEST),
    # A processor without virtual-interrupt delivery.
    Scenario(
        name="selftest-2", command="--kernel $guests/selftest.elf "
        "--memory 64MiB --cpus 2", expect=(r"^DONE \d+ 0",),
        expect_log=(r"exits:.* interrupt-window",),
        never=(r"VT-x: .*virtual-interrupt delivery",),
        backends=("vmx-without-delivery",), seconds=2 * GUEST),
    one("interrupts-by-processor", "probe do=ipis", 0,
        r"exits:(?!.*interrupt-window).* msr-write \d\d?\b",
        backends=("vmx",), vmx_too=True),
    Scenario(
        name="mitigations-all", machine="mitigations: all",
        vms="  selftest: {memory: 64MiB, cpus: [0, 1], "
        "kernel: $guests/selftest.elf}\n"
        "  kicks: {memory: 16MiB, cpus: [2, 3], kernel: $guests/kicks.elf, "
        "cmdline: 'kicks=500'}\n",
        expect=(of("selftest", r"DONE \d+ 0"),
                of("kicks", "PASS 500 of 500 kicks arrive")),
        expect_log=(r"\] mitigations: retpolines.*, RSB refill.*, fence at "
                    r"exits, BHB loop, VERW", r"spy, since this processor "
                    r"lacks IBPB between VMs \(Spectre v2\)"),
        long=True),
    Scenario(
        name="mitigations-off", machine="mitigations: off, share-cpus: true",
        vms=vm("one", 0, "counter", "count=3 period=100") +
        vm("two", 0, "counter", "count=3 period=100"),
        expect=(of("one", "counter: 3"), of("two", "counter: 3")),
        expect_log=(r"\] mitigations: none, off by the manifest; needed: "
                    r"retpolines \(Spectre v2\), RSB refill",)),
    Scenario(
        name="memory-above-4GiB", command="--kernel $guests/selftest.elf "
        "--memory 4608MiB --machine-memory 6GiB --cmdline only=memory",
        expect=(r"^PASS memory above 4 GiB is zero, 1536 MiB",
                r"^PASS memory above 4 GiB holds"),
        seconds=400, backends=("svm",), long=True),

    # ---- kernels that start in protected mode ------------------------------
    Scenario(
        name="boot32",
        vms="".join("  %s: {memory: %dMiB, cpus: [%d], type: %s, kernel: "
                    "$guests/boot32.multiboot, cmdline: 'memory=%d modules=2',"
                    " modules: [{file: $guests/counter.elf, cmdline: 'elf "
                    "begins=7f454c46'}, {file: $demo, cmdline: "
                    "begins=1f8b0800}]}\n" % (kind, memory, cpu, kind, memory)
                    for cpu, (kind, memory) in enumerate(
                        (("pvh", 16), ("multiboot", 18), ("multiboot2", 20)))),
        expect=tuple(of(kind, "boot32: started by %s$" % kind)
                     for kind in ("pvh", "multiboot", "multiboot2")) +
        tuple(of(*line) for line in (("pvh", r"DONE 15 0"),
                                     ("multiboot", r"DONE 16 0"),
                                     ("multiboot2", r"DONE 16 0")))),
    # Xen and GNU Mach have no clock without a PC's timer, and end there.
    Scenario(
        name="foreign",
        vms="".join("  %s: {memory: 128MiB, cpus: [%d], type: %s, kernel: "
                    "$kernels/foreign/xen.multiboot, on-reset: stop, cmdline: "
                    "'xen console=com1 com1=115200 no-real-mode noreboot', "
                    "modules: [{file: $demo, cmdline: dom0}]}\n"
                    % (name, cpu, kind) for cpu, (name, kind) in enumerate(
                        (("xen-1", "multiboot"), ("xen-2", "multiboot2")))) +
        "  mach: {memory: 64MiB, cpus: [2], "
        "kernel: $kernels/foreign/gnumach.multiboot, "
        "cmdline: 'gnumach console=com0', modules: [$demo]}\n",
        expect=tuple(of(name, words) for name in ("xen-1", "xen-2")
                     for words in (
                         r"\(XEN\) Xen version 4\.17",
                         r"\(XEN\) Bootloader: Mullion",
                         r"\(XEN\) ACPI: RSDP 000E0000",
                         r"\(XEN\) Unable to find usable platform timer")) +
        (cut_of("xen-1", "(XEN) Command line: console=com1"),
         cut_of("xen-2", "(XEN) Command line: console=com1"),
         of("mach", r"GNU Mach 1\.8"),
         of("mach", r"biosmem: 0*100000:0*4000000, available")),
        status=None),
    # ---- networks ----------------------------------------------------------
    # A file goes from one to the other, a foreign address is not heard, and
    # who is on another switch hears nothing.
    Scenario(
        name="network",
        vms=on_network("serve", 0, "serve;sleep+1000", "[lan]") +
        on_network("use", 1, "use",
                   "[{switch: lan, mac: '02:00:00:00:00:01'}]") +
        on_network("outside", 2, "outside", "[{switch: wan, rate: 10Mbit}]"),
        expect=(of("use", "PASS what it serves arrives as it was"),
                of("use", "PASS with an address of its own choice it is not"),
                of("use", "DONE 7 0"), of("outside", "DONE 3 0")),
        expect_log=(r"use: powered off|use: stopped: powered off",
                    r"outside: powered off|outside: stopped: powered off"),
        never=(r"\| FAIL ",), status=None,
        backends=X2APIC, seconds=2 * LINUX),

    # ---- hostile guests, each beside a neighbour --------------------------
    Scenario(
        name="hostile",
        vms=vm("neighbour", 0, "counter", "period=50") +
        vm("hostile", "1, 2", "hostile", "case=all"),
        expect=(of("hostile", r"DONE \d+ 0"),),
        expect_log=(r"hostile: powered off|hostile: stopped: powered off",),
        pace=("neighbour", 20, r"hostile: .* after ([\d.]+) s"), status=None,
        seconds=300),
    endings("ends-code", ENDS[:3] + ["triple-fault"], 4,
            [ENDINGS[name] for name in ENDS[:3] + ["triple-fault"]]),
    endings("ends-tables", ENDS[3:7], 4, [ENDINGS[n] for n in ENDS[3:7]]),
    endings("ends-itself", ENDS[8:], 4, [ENDINGS[name] for name in ENDS[8:]]),
    Scenario(
        name="ends-either",
        vms=vm("neighbour", 0, "counter", "period=100") +
        "".join(vm(case, cpu, "hostile", "case=" + case)
                for cpu, case in enumerate(EITHER, 1)),
        expect_log=tuple(r"\] %s: (stopped|crashed)" % case
                         for case in EITHER),
        counts=((of("neighbour", r"counter: \d+"), 20),), status=None),
    Scenario(
        name="spin",
        vms=vm("neighbour", 0, "counter", "count=20 period=100") +
        vm("spin", 1, "hostile", "case=spin"),
        expect=(of("neighbour", "counter: 20"),
                of("spin", "CASE spin hangs")),
        expect_log=(r"\] neighbour: stopped: powered off",),
        backends=RYZEN, status=None),

    # ---- the legacy PC, by what Debian has for one ------------------------
    # It measures the processor by the 8254.
    Scenario(
        name="memtest86",
        vms=pc("memtest", "kernel: /boot/memtest86+x64.bin, memory: 16MiB, "
               "cmdline: 'console=ttyS0,115200'"),
        expect=(r"Memtest86\+ v6", r"CLK/Temp: +\d+MHz",
                r"#\d+ +\[\w+", r"Time: +0:00:0[2-9]"),
        status=None),
    # All interrupts of devices by the 8259A, through the local APIC.
    Scenario(
        name="linux-8259",
        vms=pc("linux", "kernel: $kernels/cloud-amd64/vmlinuz, "
               "initrd: $demo, memory: 512MiB, cmdline: 'console=ttyS0 "
               "cryptomgr.notests noapic mullion.run=selftest "
               "mullion.cpus=1'"),
        expect=(r"ACPI: PM-Timer IO Port: 0x608",
                r"rtc_cmos .*setting system clock to 20",
                r"ACPI: Using PIC for interrupt routing",
                r"^PASS the wall clock is right", r"^DONE \d+ 0"),
        expect_log=(r"linux: powered off",), seconds=LINUX, long=True),
    Scenario(
        name="seabios",
        vms=pc("seabios", "firmware: /usr/share/seabios/bios-256k.bin, "
               "memory: 64MiB"),
        expect=(r"SeaBIOS \(version 1", r"No bootable device"), status=None),
    Scenario(
        name="u-boot",
        vms=pc("u-boot", "firmware: /usr/lib/u-boot/qemu-x86/u-boot.rom, "
               "memory: 64MiB"),
        typed=((r"Hit any key", "\n"), (r"=> ", "version\n")),
        expect=(r"DRAM:  61.9 MiB", r"=> version"), status=None),
    Scenario(
        name="ovmf",
        vms=pc("ovmf", "firmware: /usr/share/ovmf/OVMF.fd, memory: 128MiB"),
        typed=((r"Shell> ", "reset -s\r"),),
        expect=(r"UEFI Interactive Shell",),
        expect_log=(r"ovmf: powered off",), seconds=LINUX, long=True),
    Scenario(
        name="firmware-without-pc",
        vms="  bios: {firmware: /usr/share/seabios/bios-256k.bin, "
        "memory: 16MiB, cpus: [0]}\n",
        expect_log=(r"firmware needs the platform pc",), status=1,
        backends=("svm",)),

    # ---- what a guest sees of others ---------------------------------------
    # One starts again and again, first beside two, then alone.
    Scenario(
        name="secrets", machine="share-cpus: true",
        vms=vm("one", 0, "secret", "secret=1 again=1 rounds=2") +
        vm("two", 0, "secret", "secret=2 rounds=12"),
        counts=((r"(?s)(^one +\| DONE .*)+^two +\| DONE .*"
                 r"(^one +\| DONE .*){3}", 1),),
        status=None),

    # The stranger stands first, so that its number is nobody's peer number.
    Scenario(
        name="shared-memory",
        vms=vm("stranger", 0, "shared", "role=stranger") +
        vm("ping", 1, "shared", "role=ping", SHARED % "true") +
        vm("pong", 2, "shared", "role=pong", SHARED % "true") +
        vm("reader", 3, "shared", "role=reader", SHARED % "false"),
        expect=(of("ping", "DONE 4 0"), of("pong", "DONE 6 0"),
                of("reader", "DONE 6 0"), of("stranger", "DONE 4 0"),
                of("ping", "PASS 200 messages there and back, "
                   "200 interrupts")),
        expect_log=(r"reader/0: writes 0xc0000004 of shared memory that it "
                    r"may only read",),
        never=(r"\| FAIL ",),
        backends=X2APIC, seconds=2 * GUEST),
    # A stock kernel, to which it is a device; the other is told by hypercall.
    Scenario(
        name="shared-memory-linux",
        vms="  linux: {memory: 256MiB, cpus: [0], initrd: $demo, "
        "kernel: $kernels/cloud-amd64/vmlinuz, cmdline: 'console=ttyS0 quiet "
        "cryptomgr.notests mullion.run=shared_memory'" + SHARED % "true" +
        "}\n" + vm("pong", 1, "shared", "role=pong", SHARED % "true"),
        expect=(of("linux", "DONE 7 0"), of("pong", "DONE 6 0")),
        never=(r"\| FAIL ",), seconds=2 * LINUX),

    # ---- how a guest ends, and what mullctl makes of it -------------------
    one("end-power-off", "hostile case=power-off", 0, r"guest: powered off"),
    one("end-code-7", "probe do=end code=7", 64 + 7,
        r"guest: ended with exit code 7"),
    one("end-triple-fault", "hostile case=triple-fault", 4,
        r"guest: crashed .*: triple fault on vCPU 0"),
    one("end-halted", "hostile case=halt-forever", 4,
        r"guest: halted for ever"),
    one("end-reset", "hostile case=reset", 5, r"guest: reset itself",
        options="--no-reboot"),
    one("end-timeout", "hostile case=spin", 6, r"guest: was (still|not) running",
        options="--timeout 8"),
    one("reset-zeroes", "probe do=zero", None, "",
        counts=((r"^PASS memory is zero at start \(0 ", 3),),
        never=(r"^FAIL",)),
    Scenario(
        name="crash-restarts",
        vms=vm("again", 0, "hostile", "case=triple-fault",
               ", on-crash: restart"),
        counts=((r"CASE triple-fault", 5),), status=None,
        expect_log=(r"again: 4 quick ends, starts again in 1 s: ",)),
    one("power-button", "probe do=button", 0, r"guest: powered off",
        typed=((r"waiting for the power button", "\x1db"),),
        expect=(r"^PASS the power button was pressed",), terminal=True),
    one("keys-quit", "probe do=button", 130, r"",
        typed=((r"waiting for the power button", "\x1dq"),), terminal=True),
    Scenario(
        name="linux-power-button",
        command="--kernel $kernels/cloud-amd64/vmlinuz --initrd $demo "
        "--cmdline 'console=ttyS0 quiet'",
        typed=((r"/root # ", "\x1db"),), expect=(r"power button pressed",),
        expect_log=(r"linux: powered off",), terminal=True, seconds=LINUX),
    one("typed-input", "probe do=echo", 0, r"guest: powered off",
        typed=((r"say something", "hello there\n"),
               (r"you said: hello there", "end\n"))),
    Scenario(
        name="too-few-cpus", options="--smp 1",
        vms=vm("good", 0, "counter", "count=3 period=100") +
        vm("greedy", 1, "counter", "count=3"),
        expect=(of("good", "counter: 3"),),
        never=(of("greedy", "counter"),),
        expect_log=(r"greedy.*CPU 1, but the machine has 1",), status=3),
)
