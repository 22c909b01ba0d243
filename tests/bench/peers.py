#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What load.c costs under Mullion and under KVM with QEMU's virtio devices, on
the same emulated machine, with the same guest: instructions per packet, per KiB
of a stream and per block of 4 KiB, those of the whole machine and those outside
of guests.  Each is the median of three, with the least and the most: both
depend on when the emulator lets which processor run.  And what exits cost the
guest of exits.py, unmodified, under KVM.  Adds to build/bench.json.
"""
import statistics
import sys
import tempfile

import exits as exits_of_mullion
import kvm_bochs
import load_guest
import load_kvm
import load_mullion
import results

KIB = 1024
# So far are two runs from each other, and for a stream's KiB, as packets are
# larger or smaller then.
APART, STREAM_APART = 0.3, 3
ROUNDS = 200 # of bench.c, as kvm_host_init.sh has it
# Which of them to run: words on the command line.
PARTS = "exits", "streams", "blocks", "uplink"


def per_unit(counts, size):
    """Of one measurement: by packet or block, or, with @size, by so many
    bytes."""
    units = counts["bytes"] / size if size else counts["units"]
    hypervisor = counts["kernel"] + counts["user"]
    moved = sum(counts[name] for name in counts if name.endswith("_moved"))
    return {"instructions": (hypervisor + counts["guest"]) / units,
            "hypervisor": hypervisor / units,
            "user": counts["user"] / units,
            "exits": counts["entries"] / units,
            "moved": moved / units}


def summary(op, backend, rounds, per, size=None):
    """A line of bench.json."""
    each = [per_unit(counts, size) for counts in rounds]
    line = {"op": op, "backend": backend, "per": per,
            "apart": STREAM_APART if op == "stream" else APART}
    for name in each[0]:
        value = statistics.median(one[name] for one in each)
        line[name] = round(value, 2) if name == "exits" else round(value)
    for name in "instructions", "hypervisor":
        values = [one[name] for one in each]
        line[name + "_min"], line[name + "_max"] = (round(min(values)),
                                                    round(max(values)))
    return line


def lines_of_packets(prefix, backend, found):
    return [
        summary(prefix, backend, found["stream"], "KiB", KIB),
        summary(prefix + "-1514", backend, found["stream-1514"], "packet")]


def streams():
    for backend, run in (("svm", load_mullion.streams),
                         ("kvm-vhost", lambda: load_kvm.streams("on")),
                         ("kvm", lambda: load_kvm.streams("off"))):
        found = run()
        yield lines_of_packets("stream", backend, found) + [
            summary("stream-packet", backend, found["stream"], "packet")]


def uplink():
    yield lines_of_packets("uplink-virtio", "svm",
                           load_mullion.uplink("virtio"))
    yield lines_of_packets("uplink-virtio", "kvm-vhost", load_kvm.uplink("on"))
    yield lines_of_packets("uplink-e1000e", "svm",
                           load_mullion.uplink("e1000e"))


def blocks():
    for backend, system in ("svm", load_mullion), ("kvm", load_kvm):
        with tempfile.TemporaryDirectory() as folder:
            found = system.blocks(folder)
        yield [summary("block-" + name, backend, rounds, "block")
               for name, rounds in found.items()]


def exits():
    """Repeats exactly; so there is a median of 200 and no range."""
    for backend, peer, system in (("svm", "kvm", load_kvm),
                                  ("vmx", "kvm-vmx", kvm_bochs)):
        mine = exits_of_mullion.measure(backend, "off", "0", ROUNDS)
        mine.update(exits_of_mullion.measure(
            backend, "off", exits_of_mullion.FOUR, ROUNDS))
        theirs = exits_of_mullion.said(system.exits(1) + system.exits(4))
        for name in (name for name in theirs if name in mine):
            yield [{"op": "exit-" + name, "backend": who, "per": "exit",
                    "instructions": median, "min": low, "max": high}
                   for who, (low, median, high)
                   in ((backend, mine[name]), (peer, theirs[name]))]


def show_exit(line, peers):
    mine = peers[line["op"], line["backend"].replace("kvm-vmx", "vmx")
                 .replace("kvm", "svm")]["instructions"]
    print(f"{line['op']:22} {line['backend']:9} {line['instructions']:9,} "
          f"({line['min']:,} to {line['max']:,}) "
          f"{line['instructions'] / mine:6.2f}", flush=True)


def show(line, peers):
    if line["per"] == "exit":
        show_exit(line, peers)
        return
    mine = peers.get((line["op"], "svm"))
    ratio = f"{line['hypervisor'] / mine['hypervisor']:6.2f}" if mine else ""
    print(f"{line['op']:22} {line['backend']:9} {line['hypervisor']:9,} "
          f"({line['hypervisor_min']:,} to {line['hypervisor_max']:,}) "
          f"{line['instructions']:9,} {line['exits']:6} {ratio}", flush=True)


def main():
    load_guest.build()
    load_kvm.build()
    peers = {}
    print("operation              under     hypervisor (range) all "
          "exits, times Mullion's hypervisor")
    for part in sys.argv[1:] or PARTS:
        for lines in globals()[part]():
            results.add(lines, part)
            for line in lines:
                peers[line["op"], line["backend"]] = line
                show(line, peers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
