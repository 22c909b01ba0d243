# SPDX-License-Identifier: MIT
"""The tables of figures.py: each function gives the lines of one."""

# Operation of guests/bench.c, what it is, the way that it takes.
EXITS = [
    ("nothing", "nothing: the two readings of the counter", ""),
    ("cpuid", "CPUID", "short"),
    ("hypercall", "hypercall that nobody offers", "short"),
    ("rdmsr", "RDMSR of APIC_BASE", "short"),
    ("x2apic-eoi", "end of interrupt (x2APIC)",
     "short; on VT-x by the processor"),
    ("self-ipi-register",
     "IPI to itself by x2APIC's register, with its delivery",
     "long; on VT-x by the processor"),
    ("port-in", "port in", "long"),
    ("port-out", "port out", "long"),
    ("wrmsr", "WRMSR", "long"),
    ("self-ipi", "IPI to itself by the ICR, with its delivery", "long"),
    ("interrupt", "IPI to itself and its end, by x2APIC's registers",
     "two exits; on VT-x none"),
    ("interrupt-pv-eoi", "the same, the end by memory (PV EOI)", "one exit"),
    ("ipi-register-1", "IPI to another vCPU by the ICR, without a kick",
     "long"),
    ("ipi-call-1", "the same by hypercall (PV IPI)", "long"),
    ("ipi-register-3",
     "IPI to three other vCPUs by the ICR: the sender's side, without kicks",
     "three exits"),
    ("ipi-call-3", "the same by hypercall (PV IPI)", "one exit"),
    ("ipi-send", "IPI to another vCPU: the sender's side", "long"),
    ("ipi-receive", "IPI to another vCPU: the receiver's side", "long"),
    ("own-ipi-send", "the same between CPUs that are the VM's alone, with their "
     "local APICs: the sender's side", "short"),
    ("own-ipi-receive", "the receiver's side", "no exit"),
    ("doorbell-self",
     "doorbell of shared memory, by hypercall: rung and heard on one CPU",
     "long"),
    ("doorbell-send", "the same between two: the sender's side", "long"),
    ("doorbell-receive", "the receiver's side, on its home CPU, which is the "
     "service CPU here", "long: a kick, a round of the loop, an interrupt"),
    ("own-doorbell-send", "the same between such CPUs: the sender's side",
     "long"),
    ("own-doorbell-receive", "the receiver's side", "long: the home CPU is "
     "taken back by an NMI, for a round of its loop"),
    ("timer-interrupt",
     "virtual timer: from its deadline to the handler's first reading", "long"),
    ("mmio-read", "device memory: read", "long, emulated"),
    ("mmio-write", "device memory: write", "long, emulated"),
    ("xapic-read", "register of the local APIC in memory: read",
     "long, emulated"),
]
NOT_OFFERED = {("interrupt-pv-eoi", "vmx")}


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def head(*cells):
    return [row(*cells), row(*["---"] * len(cells))]


def number(line, name="instructions"):
    return f"{line[name]:,}"


def least_to_most(line):
    """Behind a median, where they differ."""
    if line["min"] == line["max"]:
        return ""
    return f" ({line['min']:,} to {line['max']:,})"


def exits(figures):
    def cell(op, backend, name):
        if (op, backend) in NOT_OFFERED:
            return "not offered"
        line = figures[op, backend]
        return number(line, name) + (
            least_to_most(line) if name == "instructions" else "")

    lines = head("operation", "SVM (QEMU)", "VT-x (Bochs)",
                 "SVM with mitigations", "VT-x with them", "the way")
    for op, text, way in EXITS:
        lines.append(row(text, *(
            cell(op, backend, name)
            for name in ("instructions", "with_mitigations")
            for backend in ("svm", "vmx")), way))
    return lines


def paravirtual(figures):
    lines = head("operation", "without", "with")
    for text, without, having, more in (
            ("an interrupt to three other vCPUs: x2APIC's command register, "
             "PV_SEND_IPI", "ipi-register-3", "ipi-call-3", ("", "")),
            ("the same to one", "ipi-register-1", "ipi-call-1", ("", "")),
            ("an interrupt to itself, from sending to after its end: end by "
             "MSR, PV_EOI", "interrupt", "interrupt-pv-eoi",
             (", 2 exits", ", 1 exit"))):
        lines.append(row(text, *(number(figures[op, "svm"]) + word for op, word
                                 in zip((without, having), more))))
    return lines


def packets(figures):
    lines = head("", "the first, with the bell's exit", "each further one")
    for op, text in (
            ("of-1514", "1,514 bytes to the other VM"),
            ("of-60", "60 bytes to the other VM"),
            ("for-nobody",
             "1,514 bytes for nobody: the sender's side without a copy")):
        line = figures["packet-" + op, "vmx"]
        lines.append(row(text, number(line, "first"), number(line)))
    return lines


def requests(figures):
    lines = head("request", "SVM (QEMU)", "VT-x (Bochs)", "turns among them")
    for op, text, turns in (
            ("doorbell", "the doorbell alone: nothing is asked for", ""),
            ("flush", "flush, which has no bytes", ""),
            ("read-4k", "read 4 KiB of the image", "512"),
            ("read-64k", "read 64 KiB of the image", "8,192"),
            ("reread-4k", "read 4 KiB, after a first write", "512"),
            ("reread-64k", "read 64 KiB, after a first write", "8,192"),
            ("write-4k", "write 4 KiB for the first time", "1,536"),
            ("rewrite-4k", "write 4 KiB again", "1,024"),
            ("write-64k", "write 64 KiB again", "16,384")):
        lines.append(row(text, *(
            number(line) + least_to_most(line) for line in
            (figures["disk-" + op, backend] for backend in ("svm", "vmx"))),
            turns))
    return lines


def switches(figures):
    lines = head("from one VM to another", "SVM (QEMU)", "VT-x (Bochs)")
    for name, text in (("min", "least"), ("instructions", "median"),
                       ("max", "most"),
                       ("with_mitigations", "median, with mitigations")):
        lines.append(row(text, *(
            number(figures["partition-switch", backend], name)
            for backend in ("svm", "vmx"))))
    return lines


def boot(figures):
    linux = figures["boot-linux", "svm"]
    mean, start = figures["exit-mean", "svm"], figures["start", "svm"]
    own = linux["hypervisor"]
    return head("", "") + [
        row("kernel entry to user space, under Mullion",
            number(linux) + " instructions"),
        row("the same without Mullion",
            number(linux, "direct") + " instructions"),
        row("ratio", f"{linux['ratio']:.3f}"),
        row("in the hypervisor, in another such boot",
            f"{own:,} instructions, {100 * own / linux['instructions']:.1f} % "
            f"of it, in {mean['passes']:,} exits"),
        row("an exit", f"{number(mean, 'min')} instructions at least, "
            f"{number(mean)} on average"),
        row("pages of the hypervisor beside its image, before VMs are made",
            f"{start['hypervisor_kib']} KiB"),
    ]


STARTS = [("start", "svm"), ("start", "vmx"), ("create", "svm"),
          ("create-service", "svm"), ("create-service", "vmx")]


def starts(figures):
    """The functions of each row are KINDS of start_ways.py."""
    ways = [figures[way] for way in STARTS]
    lines = head("instructions", "start of the hypervisor, 16 MiB: SVM (QEMU)",
                 "VT-x (Bochs)", "`create --start`, 64 MiB: SVM",
                 "on the service CPU: SVM", "VT-x")
    for name, text in (
            ("waits", "timed waits: the clocks are measured, other CPUs start"),
            ("disk", "waiting for the machine's disk"),
            ("line", "waiting for the serial line"),
            ("hashing", "SHA-256 of the guest's image"),
            ("zeroing", "zeroing: the guest's memory, the screen, pages"),
            ("copying", "copying"),
            ("channel", "the channel meanwhile: log, events, the console of "
             "another VM"),
            ("instructions", "the rest, median"),
            ("min", "the rest, least"),
            ("max", "the rest, most"),
            ("all", "in all"),
            ("runs", "how often it was measured")):
        lines.append(row(text, *(number(way, name) for way in ways)))
    return lines


def boot_exits(figures):
    linux = figures["boot-linux", "svm"]
    lines = head("kind", "how many", "with `quiet`", "what for")
    for kind, text in (
            ("port-io", "the console's UART"),
            ("msr-write", "the timer's next deadline, end of interrupt"),
            ("interrupt", "the CPU's timer; the machine's serial line"),
            ("cpuid", "the kernel looks at its processor"),
            ("memory", "the I/O APIC's registers"),
            ("interrupt-window",
             "an interrupt waited for the guest to take it"),
            ("none", "an entry that a kick called off"),
            ("msr-read", "")):
        lines.append(row(kind, number(linux["exits"], kind),
                         number(linux["exits_quiet"], kind), text))
    return lines


SCALE = 1, 2, 4, 8, 16, 32, 64


def scale(figures):
    lines = head("CPUs, partitions", "boot CPU, until guests may run",
                 "boot CPU, until the last one has begun",
                 "all CPUs, each until its guest begins", "bytes zeroed, copied",
                 "pages", "LIST", "CPU_STATS", "VM_STATS of one",
                 "SHOW of one")
    for count in SCALE:
        line = figures[f"scale-{count}", "svm"]
        lines.append(row(
            str(count), *(number(line, name) for name in
                          ("made", "boot", "instructions", "moved")),
            f"{line['kib']:,} KiB",
            *(number(line, name) for name in
              ("list", "cpu_stats", "vm_stats", "show"))))
    return lines


# ---- beside KVM --------------------------------------------------------------

UNDER = {"svm": "Mullion", "kvm": "KVM, QEMU", "kvm-vhost": "KVM, vhost"}


def ratio(theirs, mine, name):
    return f"{theirs[name] / mine[name]:.2f}"


def spread(line, name):
    return f"{line[name]:,} ({line[name + '_min']:,} to {line[name + '_max']:,})"


def peer_rows(figures, op, text, backends):
    mine = figures[op, "svm"]
    for backend in backends:
        line = figures[op, backend]
        again = backend != "svm"
        yield row("" if again else text, UNDER[backend],
                  spread(line, "hypervisor"), number(line),
                  number(line, "moved"), f"{line['exits']}",
                  ratio(line, mine, "hypervisor") if again else "",
                  ratio(line, mine, "instructions") if again else "")


def peer_head(unit):
    return head(unit, "under", "in the hypervisor (range)", "in all",
                "bytes by string instructions", "exits",
                "hypervisor's ratio", "ratio in all")


def peer_packets(figures):
    lines = peer_head("for each")
    both = ("svm", "kvm-vhost", "kvm")
    lines += peer_rows(figures, "stream", "KiB between two guests", both)
    lines += peer_rows(figures, "stream-packet", "packet of that, up to 64 KiB",
                       both)
    lines += peer_rows(figures, "stream-1514",
                       "packet of 1,514 bytes between two guests", both)
    for op, text, who in (
            ("uplink-virtio", "by a virtio card", ("svm", "kvm-vhost")),
            ("uplink-e1000e", "by an e1000e card", ("svm",))):
        lines += peer_rows(figures, op, "KiB to the outside " + text, who)
        lines += peer_rows(figures, op + "-1514",
                           "packet of 1,514 bytes to the outside " + text, who)
    return lines


def peer_blocks(figures):
    lines = peer_head("for each block of 4 KiB")
    for disk, text in (("memory", "disk in memory"),
                       ("nvme", "partition of an NVMe disk"),
                       ("virtio", "partition of a virtio disk")):
        for depth in 1, 32:
            for way in "read", "write":
                lines += peer_rows(figures, f"block-{disk}-{way}-{depth}",
                                   f"{text}, {way}, {depth} at a time",
                                   ("svm", "kvm"))
    return lines


def peer_exits(figures):
    lines = head("operation", "Mullion, SVM", "KVM, SVM", "ratio",
                 "Mullion, VT-x", "KVM, VT-x", "ratio")
    for op, text, _ in EXITS:
        cells = []
        for backend, peer in ("svm", "kvm"), ("vmx", "kvm-vmx"):
            if ("exit-" + op, peer) not in figures:
                cells += [""] * 3
                continue
            mine, theirs = figures["exit-" + op, backend], figures["exit-" + op,
                                                                   peer]
            cells += [number(mine), number(theirs),
                      ratio(theirs, mine, "instructions")]
        if any(cells):
            lines.append(row(text, *cells))
    return lines
