#!/usr/bin/env python3
"""Compiles the program for arm64 and runs the tests of the CPU's kernels in an emulator. Needs only Python's standard library, Go, and on Debian apt-get.

    tools/arm.py DIRECTORY

DIRECTORY is the toolchain folder: zig, the C compiler, is fetched to it from a pinned wheel (100 MB), and unless the machine has them, qemu's user mode and
arm64's C library from the packages of Debian. Where these cannot be had, it says why and does nothing.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from toolchain import fetch_tool
from wheel import Refused

# go test's arguments.
TESTS = [["./bindings/cpu/kernels"], ["./bindings/cpu/vector"]]
TARGET = "aarch64-linux-gnu.2.36"  # the C library of Debian 12
LOADER = "lib/ld-linux-aarch64.so.1"
EMULATORS = ["qemu-aarch64-static", "qemu-aarch64"]


def package(name, directory):
    """Unpacks a package of Debian, which apt-get downloads and checks."""
    for program in ["apt-get", "dpkg-deb"]:
        if not shutil.which(program):
            raise Refused(f"{name} is not installed, and there is no {program} to fetch it with")
    directory.mkdir(parents=True, exist_ok=True)
    answer = subprocess.run(["apt-get", "download", name], cwd=directory, capture_output=True, text=True, check=False)
    files = sorted(directory.glob(f"{name}_*.deb"))
    if answer.returncode or not files:
        raise Refused(f"apt-get download {name}: {answer.stderr.strip()}")
    subprocess.run(["dpkg-deb", "--extract", files[-1], directory], check=True)
    for file in files:
        file.unlink()


def emulator(directory):
    """Returns qemu's path and the folder of arm64's C library."""
    home = directory / "arm64"
    qemu = next(filter(None, map(shutil.which, EMULATORS)), None) or home / "usr/bin" / EMULATORS[0]
    if not Path(qemu).exists():
        package("qemu-user-static", home)
    library = Path("/usr/aarch64-linux-gnu")
    if not (library / LOADER).exists():
        library = home / "usr/aarch64-linux-gnu"
    if not (library / LOADER).exists():
        package("libc6-arm64-cross", home)
    return qemu, library


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if platform.machine() == "aarch64":
        print("arm-check: skipped: this machine is arm64, so go test covers it")
        return
    directory = Path(sys.argv[1]).absolute()
    try:
        zig = directory / "zig" / "ziglang/zig"
        fetch_tool("zig", directory)
        qemu, library = emulator(directory)
    except (Refused, OSError, zipfile.BadZipFile, subprocess.CalledProcessError) as reason:
        print(f"arm-check: skipped: {reason}")
        return
    cache = str(directory / "zig-cache")
    env = dict(os.environ, GOOS="linux", GOARCH="arm64", CGO_ENABLED="1", ZIG_GLOBAL_CACHE_DIR=cache, ZIG_LOCAL_CACHE_DIR=cache)
    env["CC"] = shlex.join([str(zig), "cc", "-target", TARGET])
    run = shlex.join([str(qemu), "-cpu", "max", "-L", str(library)])
    # Every package is compiled; commands are not linked, since zig's linker lacks an option that go-nvml asks for.
    listed = subprocess.run(["go", "list", "-f", '{{if and .GoFiles (ne .Name "main")}}{{.ImportPath}}{{end}}', "./..."], capture_output=True, text=True, check=True)
    for command in [["go", "build", *listed.stdout.split()], *(["go", "test", "-exec", run, *test] for test in TESTS)]:
        print(shlex.join(command)[:100], flush=True)
        if code := subprocess.run(command, env=env, check=False).returncode:
            sys.exit(code)


if __name__ == "__main__":
    main()
