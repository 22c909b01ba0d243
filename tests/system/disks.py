# SPDX-License-Identifier: MIT
"""Boot volumes: good and damaged packages, and the forms that pack writes."""
import shutil
import subprocess

import damages
import machines


def fresh_folder(setup, checks):
    """A folder for the files of one test on one back end."""
    folder = setup.folder / ("-".join(filter(None, (checks.name,
                                                    checks.backend))) +
                             "-files")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def boot_folder(setup, folder, package):
    """A boot volume with the hypervisor and @package (None: without)."""
    disk = folder / "esp"
    (disk / "EFI/BOOT").mkdir(parents=True)
    shutil.copy(setup.build / "mullion.efi", disk / "EFI/BOOT/BOOTX64.EFI")
    if package is not None:
        (disk / "EFI/MULLION").mkdir()
        (disk / "EFI/MULLION/PACKAGE.MPK").write_bytes(package)
    return disk


def counter(setup):
    return (setup.guests / "counter.elf").read_bytes()


def bad_vms(setup, back_end, checks):
    """All damage to one VM at once: each is named, and the good one runs."""
    package, expected = damages.everything(counter(setup))
    folder = fresh_folder(setup, checks)
    machines.boots(back_end, checks, boot_folder(setup, folder, package),
                   folder, [damages.RUNS] +
                   [r'(vm "%s": |\] %s: ).*(%s)' % (name, name, words)
                    for name, words in expected], 2 * machines.SECONDS)


def bad_package(name, patterns):
    def run(setup, back_end, checks):
        package = next(row[1] for row in damages.whole(counter(setup))
                       if row[0] == name)
        folder = fresh_folder(setup, checks)
        machines.boots(back_end, checks, boot_folder(setup, folder, package),
                       folder, patterns)
    return run


def bad_packages():
    for name, _, patterns in damages.whole(b"\x7fELF" + bytes(5000)):
        yield "package-" + name, bad_package(name, patterns)


def manifest_of_two(setup, folder):
    manifest = folder / "two.yaml"
    manifest.write_text(setup.fill_in(
        "vms:\n"
        "  good: {memory: 16MiB, cpus: [0], kernel: $guests/counter.elf, "
        "cmdline: 'count=5 period=100'}\n"
        "  other: {memory: 16MiB, cpus: [1], kernel: $guests/counter.elf, "
        "cmdline: count=2 period=100}\n"))
    return manifest


def pack(setup, checks, *arguments):
    done = subprocess.run([setup.mullctl, "pack", *arguments],
                          capture_output=True, text=True, check=False)
    checks.check(done.returncode == 0, "mullctl pack: " + done.stderr)


def pack_form(form):
    """A folder, a bare file system or a disk with a GPT, packed and booted."""
    def run(setup, back_end, checks):
        folder = fresh_folder(setup, checks)
        manifest = manifest_of_two(setup, folder)
        if form == "folder":
            disk = folder / "esp"
            pack(setup, checks, manifest, "-o", str(disk) + "/")
        else:
            disk = folder / "disk.img"
            pack(setup, checks, manifest, "-o", disk, "--format", form)
        machines.boots(back_end, checks, disk, folder,
                       (damages.RUNS, r"^other +\| counter: 2"))
    return run


def same_package(setup, checks):
    """The packer and the tests' own one agree on every byte."""
    folder = fresh_folder(setup, checks)
    pack(setup, checks, manifest_of_two(setup, folder), "-o",
         str(folder / "esp") + "/")
    packed = (folder / "esp/EFI/MULLION/PACKAGE.MPK").read_bytes()
    vms = [damages.good(cpus=(0,)),
           damages.Vm(b"other", 0, b"count=2 period=100", (1,))]
    made = damages.package(
        vms, [damages.Image(b"counter.elf", damages.ELF64, counter(setup))])
    checks.check(packed == made, "mullctl pack writes what the format says")
