# SPDX-License-Identifier: MIT
"""The machines that system tests run on, by the names of --backends."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class BackEnd:
    name: str
    kind: str            # what rows of the tables ask for: "svm", "vmx", or
                         # a lack that only rows about it ask for
    emulator: str        # as `mullctl run --emulator` takes it
    cpu: str             # the emulator's processor model
    patience: int        # times slower than QEMU
    lines: str = ""      # more of Bochs's configuration

    @property
    def words(self):
        """For mullctl run."""
        return ["--emulator", self.emulator]

    @property
    def environment(self):
        if self.emulator != "bochs":
            return {}
        return {"BOCHS_CPU": self.cpu, "BOCHS_LINES": self.lines}


BACK_ENDS = {back_end.name: back_end for back_end in (
    BackEnd("svm", "svm", "qemu", "max", 1),
    BackEnd("vmx", "vmx", "bochs", "corei7_haswell_4770", 8),
    BackEnd("vmx-skylake", "vmx", "bochs", "corei7_skylake_x", 8),
    # No virtual-interrupt delivery.
    BackEnd("vmx-cannonlake", "vmx-without-delivery", "bochs", "corei3_cnl",
            8),
    # A processor that gives the next RIP.
    BackEnd("svm-ryzen", "svm-ryzen", "bochs", "ryzen", 8),
    # x2APIC, so that a guest can have its CPU's local APIC; no TSC deadline.
    BackEnd("svm-x2apic", "svm-x2apic", "bochs", "bx_generic", 8,
            'cpuid: vendor_string="AuthenticAMD", level=6, x86_64=1, mmx=1, '
            'sep=1, simd=avx2, apic=x2apic, xsave=1, xsaveopt=1, aes=1, '
            'movbe=1, bmi=bmi2, 1g_pages=1, smep=1, smap=1, '
            'pcid=1, mwait=0, svm=1, vmx=0'),
)}


def is_on(row, back_end):
    """Whether a test of the tables runs there at all."""
    return back_end.kind in row.backends


def is_long(row, back_end):
    """Whether it does so in `make test-all` only."""
    soon = {"svm": True, "vmx": row.vmx_too, "vmx-skylake": row.skylake_too}
    return row.long or not soon.get(back_end.name)
