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

    @property
    def words(self):
        """For mullctl run."""
        return ["--emulator", self.emulator]

    @property
    def environment(self):
        return {"BOCHS_CPU": self.cpu} if self.emulator == "bochs" else {}


BACK_ENDS = {back_end.name: back_end for back_end in (
    BackEnd("svm", "svm", "qemu", "max", 1),
    BackEnd("vmx", "vmx", "bochs", "corei7_haswell_4770", 8),
    BackEnd("vmx-skylake", "vmx", "bochs", "corei7_skylake_x", 8),
    # No virtual-interrupt delivery.
    BackEnd("vmx-cannonlake", "vmx-without-delivery", "bochs", "corei3_cnl",
            8),
)}


def is_on(row, back_end):
    """Whether a test of the tables runs there at all."""
    return back_end.kind in row.backends


def is_long(row, back_end):
    """Whether it does so in `make test-all` only."""
    soon = {"svm": True, "vmx": row.vmx_too, "vmx-skylake": row.skylake_too}
    return row.long or not soon.get(back_end.name)
