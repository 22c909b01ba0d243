#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes instruction_table.h: instructions as the GNU assembler encodes them,
with what each means.

The meaning comes from the text that was assembled, not from its bytes, so the
table knows nothing of the decoder.  Always the same output for one version of
binutils; run again only to add cases:
    tests/unit/make_instruction_table.py > tests/unit/instruction_table.h
"""
import os
import random
import subprocess
import tempfile

NONE = 0xff
LONG = "rax rcx rdx rbx rsp rbp rsi rdi".split()
NAMES = {
    8: LONG + ["r%d" % i for i in range(8, 16)],
    4: ["e" + n[1:] for n in LONG] + ["r%dd" % i for i in range(8, 16)],
    2: [n[1:] for n in LONG] + ["r%dw" % i for i in range(8, 16)],
    1: "al cl dl bl spl bpl sil dil".split()
       + ["r%db" % i for i in range(8, 16)],
}
HIGH = "ah ch dh bh".split()
SEGMENTS = "es cs ss ds fs gs".split()
POINTER = {1: "byte", 2: "word", 4: "dword", 8: "qword"}
ARITHMETIC = "add or adc sbb and sub xor cmp".split()
LOCKABLE = set("add or adc sbb and sub xor inc dec not neg xchg xadd cmpxchg"
               " bts btr btc".split())
OPERATIONS = {"movzx": "MOVE_ZERO", "movsx": "MOVE_SIGN", "mov": "MOVE",
              "movsxd": "MOVE_SIGN", "movbe": "MOVE_SWAP", "movnti": "MOVE"}

pick = random.Random(16).choice
chance = random.Random(17).random
number = random.Random(18).randint


def signed(bits):
    """A number of at most @bits, often a short one."""
    bits = pick([8, bits])
    return number(-(1 << bits - 1), (1 << bits - 1) - 1)


class Memory:
    """An operand: its text, and the columns base..displacement."""

    def __init__(self, mode):
        other = {16: 4, 32: 2, 64: 4}[mode]
        self.size = other if chance() < .2 else mode // 8
        self.base = self.index = NONE
        self.scale, self.rip, self.displacement = 1, 0, 0
        limit = 16 if mode == 64 else 8
        if self.size == 2:
            self.base, self.index = pick(
                [(3, 6), (3, 7), (5, 6), (5, 7), (6, NONE), (7, NONE),
                 (5, NONE), (3, NONE), (NONE, NONE)])
        elif mode == 64 and chance() < .15:
            self.rip = 1
        else:
            if chance() < .85:
                self.base = number(0, limit - 1)
            if chance() < .4:
                self.index = pick([i for i in range(limit) if i != 4])
                self.scale = pick([1, 2, 4, 8] if self.base != NONE
                                  else [2, 4, 8])
        if self.base == self.index == NONE and not self.rip:
            self.size = mode // 8  # no register tells the assembler another
        if self.base == NONE or chance() < .7:
            self.displacement = signed(16 if self.size == 2 else 32)
        default = 2 if self.base in (4, 5) else 3
        self.override = pick(range(6)) if chance() < .15 else None
        self.segment = default
        if self.override is not None and (mode != 64 or self.override >= 4):
            self.segment = self.override
        self.extended = any(8 <= r < 16 for r in (self.base, self.index))

    def text(self, size):
        parts = []
        if self.rip:
            parts.append("rip" if self.size == 8 else "eip")
        if self.base != NONE:
            parts.append(NAMES[self.size][self.base])
        if self.index != NONE:
            # Without the factor the assembler may swap the two.
            parts.append(NAMES[self.size][self.index] +
                         ("*%d" % self.scale if self.size > 2 else ""))
        inner = "+".join(parts)
        if self.displacement or not parts:
            inner += "%+d" % self.displacement
        segment = "" if self.override is None else SEGMENTS[self.override] + ":"
        if not parts and not segment:
            segment = "ds:"
        return "%s ptr %s[%s]" % (POINTER[size], segment, inner)

    def columns(self):
        return [self.base, self.index, self.scale, self.segment, self.size,
                self.rip, self.displacement]


def register(mode, size, memory):
    """A register's text, number, and whether it is a high byte."""
    limit = 16 if mode == 64 else 8
    if size == 1 and not memory.extended and chance() < .3:
        which = number(0, 3)
        return HIGH[which], which, 1
    which = number(0, (4 if size == 1 and mode != 64 else limit) - 1)
    return NAMES[size][which], which, 0


def row(mode, text, operation, other, size, memory, gpr=(0, 0), high=0,
        to_memory=0, immediate=0, repeated=0):
    locked = int(text.split()[0] in LOCKABLE and to_memory and chance() < .2)
    return (mode, ("lock " if locked else "") + text,
            [OPERATIONS.get(operation, operation.upper()), other, size,
             gpr[0], gpr[1], high, to_memory, locked, repeated,
             immediate] + memory.columns())


def sizes(mode, least=1):
    return [s for s in ([1, 2, 4, 8] if mode == 64 else [1, 2, 4])
            if s >= least]


def with_register(mode, name, size, to_memory, gpr_size=None):
    memory = Memory(mode)
    text, which, high = register(mode, gpr_size or size, memory)
    pair = [memory.text(size), text]
    if not to_memory:
        pair.reverse()
    return row(mode, "%s %s" % (name, ", ".join(pair)), name, "GPR", size,
               memory, (which, gpr_size or size), high, to_memory)


def with_immediate(mode, name, size, bits):
    memory = Memory(mode)
    value = signed(bits)
    return row(mode, "%s %s, %d" % (name, memory.text(size), value), name,
               "IMMEDIATE", size, memory, to_memory=1, immediate=value)


def alone(mode, name, size, to_memory):
    memory = Memory(mode)
    return row(mode, "%s %s" % (name, memory.text(size)), name, "NONE", size,
               memory, to_memory=to_memory)


def string(mode, name, size):
    memory = Memory(mode)
    memory.base, memory.index = 6, NONE
    memory.scale, memory.rip, memory.displacement = 1, 0, 0
    target = "%s ptr es:[%s]" % (POINTER[size], NAMES[memory.size][7])
    if memory.override is None or memory.segment != memory.override:
        memory.segment, memory.override = 3, None
    source = memory.text(size)
    accumulator = NAMES[size][0]
    operands = {"movs": target + ", " + source,
                "lods": accumulator + ", " + source,
                "stos": target + ", " + accumulator}[name]
    if name == "stos":
        memory.base, memory.segment = 7, 0
    repeated = int(chance() < .5)
    other = ("NONE", (0, 0)) if name == "movs" else ("GPR", (0, size))
    return row(mode, "rep " * repeated + name + " " + operands, name,
               other[0], size, memory, other[1],
               to_memory=int(name == "stos"), repeated=repeated)


def address_only(mode, size, to_memory):
    """The accumulator with a whole address: opcodes A0..A3."""
    memory = Memory(mode)
    memory.base = memory.index = NONE
    memory.scale, memory.rip, memory.override = 1, 0, None
    memory.segment, memory.size = 3, mode // 8
    memory.displacement = number(-(1 << mode - 1), (1 << mode - 1) - 1)
    pair = ["%s ptr ds:[%d]" % (POINTER[size], memory.displacement),
            NAMES[size][0]]
    if not to_memory:
        pair.reverse()
    name = "movabs" if mode == 64 else "mov"
    return row(mode, "%s %s" % (name, ", ".join(pair)), "mov", "GPR", size,
               memory, (0, size), to_memory=to_memory)


def rows(mode):
    for size in sizes(mode):
        for to_memory in (0, 1):
            for name in ARITHMETIC + ["mov"] * 6:
                yield with_register(mode, name, size, to_memory)
            yield address_only(mode, size, to_memory)
        for name in ["test", "xchg", "xadd", "cmpxchg"] * 2:
            yield with_register(mode, name, size, 1)
        for name in ARITHMETIC + ["mov", "test"] * 2:
            yield with_immediate(mode, name, size, min(8 * size, 32))
        for name in ["inc", "dec", "not", "neg"] * 2:
            yield alone(mode, name, size, 1)
        for name in ["movs", "stos", "lods"] * 3:
            yield string(mode, name, size)
        for gpr_size in sizes(mode, 2):
            for name in ["movzx", "movsx"] * 2:
                if size < gpr_size and size < 4:
                    yield with_register(mode, name, size, 0, gpr_size)
    for size in sizes(mode, 2):
        for name in ["bt", "bts", "btr", "btc"] * 2:
            yield with_register(mode, name, size, 1)
            yield with_immediate(mode, name, size, 7)
        for to_memory in (0, 1, 0, 1):
            yield with_register(mode, "movbe", size, to_memory)
        if size in ([2, 8] if mode == 64 else [2, 4]):
            yield alone(mode, "push", size, 0)
            yield alone(mode, "pop", size, 1)
    if mode == 64:
        for _ in range(4):
            yield with_register(mode, "movsxd", 4, 0, 8)
    for size in [s for s in sizes(mode, 4) if mode != 16] * 2:
        yield with_register(mode, "movnti", size, 1)


def assemble(mode, texts, folder):
    """The bytes of each text, from labels around them."""
    source, thing = folder + "/t.s", folder + "/t.o"
    with open(source, "w") as out:
        out.write(".intel_syntax noprefix\n.code%d\n" % mode)
        for i, text in enumerate(texts):
            out.write("i%d:\n%s\n" % (i, text))
        out.write("i%d:\n" % len(texts))
    subprocess.run(["as", "--64" if mode == 64 else "--32", "-o", thing,
                    source], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", thing,
                    folder + "/t.bin"], check=True)
    with open(folder + "/t.bin", "rb") as file:
        data = file.read()
    labels = [0] * (len(texts) + 1)
    for line in subprocess.run(["nm", thing], check=True, text=True,
                               stdout=subprocess.PIPE).stdout.splitlines():
        at, _, name = line.split()
        labels[int(name[1:])] = int(at, 16)
    return [data[a:b] for a, b in zip(labels, labels[1:])]


def main():
    print("/* SPDX-License-Identifier: MIT */")
    print("/* clang-format off */")
    print("/* Generated by tests/unit/make_instruction_table.py from the"
          " GNU assembler;\n * columns: %s. */" %
          "mode, bytes, operation, other,\n * size, gpr, gpr size, high byte,"
          " to memory, locked, repeated, immediate;\n * base, index, scale,"
          " segment, address size, RIP-relative, displacement")
    with tempfile.TemporaryDirectory() as folder:
        for mode in (16, 32, 64):
            seen = list(rows(mode)) + list(rows(mode))
            code = assemble(mode, [text for _, text, _ in seen], folder)
            for (_, text, columns), data in zip(seen, code):
                values = ["%d" % c if isinstance(c, int) else c
                          for c in columns]
                print('ROW(%d, "%s", %s)' % (mode, data.hex(),
                                             ", ".join(values)))


if __name__ == "__main__":
    main()
