# SPDX-License-Identifier: MIT
"""libmullctl as somebody uses it who has installed it."""
import os
import shutil
import subprocess

import host


def installed(setup, checks, folder):
    """What `make install` puts there, and pkg-config's words for it."""
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    status, _ = host.run_program(checks, "make", "-s", "install",
                                 "B=%s" % setup.build, "DESTDIR=%s" % root,
                                 "PREFIX=/usr", folder=setup.tree)
    checks.check(status == 0, "make install")
    told = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "mullctl"], capture_output=True,
        text=True, check=False, env={
            **os.environ, "PKG_CONFIG_SYSROOT_DIR": str(root),
            "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1",
            "PKG_CONFIG_ALLOW_SYSTEM_LIBS": "1",
            "PKG_CONFIG_PATH": str(root / "usr/lib/pkgconfig")})
    checks.check(told.returncode == 0, "pkg-config knows mullctl %s"
                 % told.stderr.strip())
    return root / "usr/lib", told.stdout.split()


def symbols(checks, *words):
    """The mull_ functions that nm tells of."""
    _, text = host.run_program(checks, "nm", *words)
    return {line.split()[-1].split("@")[0] for line in text.splitlines()
            if " mull_" in line}


def library(setup, checks, folder, address):
    """A client that calls every function; leaves no VM short."""
    libraries, words = installed(setup, checks, folder)
    source = setup.tree / "tests/system/library_client.c"
    client = folder / "library_client"
    status, _ = host.run_program(
        checks, "cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
        source, *words, "-Wl,-rpath,%s" % libraries, "-o", client)
    checks.check(status == 0, "a client compiles against what is installed")
    if status:
        return
    left_out = symbols(checks, "-D", libraries / "libmullctl.so.0") - \
        symbols(checks, "-Du", client)
    checks.check(not left_out, "the client calls every function %s"
                 % " ".join(sorted(left_out)))
    host.with_verdicts(client, address)(checks)
