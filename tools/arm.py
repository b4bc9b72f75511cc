#!/usr/bin/env python3
"""Compiles the program for arm64, runs the tests of the CPU's kernels in an emulator, and there trains with the program. Needs only Python's standard
library, Go, and on Debian apt-get.

    tools/arm.py DIRECTORY             do this
    tools/arm.py DIRECTORY compiler    only fetch the C compiler

DIRECTORY is the toolchain folder. What the machine lacks of gcc for arm64 and qemu's user mode is unpacked there from the packages of Debian (70 MB);
DIRECTORY/bin/aarch64-linux-gnu-gcc is a script that runs the compiler. Where they cannot be had, it says why; the first form then does nothing.
"""

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from wheel import Refused

# go test's arguments.
TESTS = [["./bindings/cpu/kernels"], ["./bindings/cpu/vector"]]
COMPILER = "aarch64-linux-gnu-gcc"
COMPILER_PACKAGES = ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]
LOSS = 1e-3  # the largest difference of a loss; sums in float32 are split differently
LIBRARY = "usr/aarch64-linux-gnu"
LOADER = "lib/ld-linux-aarch64.so.1"
EMULATORS = ["qemu-aarch64-static", "qemu-aarch64"]


def apt(*arguments, **options):
    answer = subprocess.run(["apt-get", *arguments], capture_output=True, text=True, check=False, **options)
    if answer.returncode:
        raise Refused(f"apt-get {arguments[0]}: {answer.stderr.strip()}")
    return answer.stdout


def packages(names, directory):
    """Unpacks packages of Debian and what they need that is not installed. apt-get downloads and checks them."""
    for program in ["apt-get", "dpkg-deb"]:
        if not shutil.which(program):
            raise Refused(f"{names[0]} is not installed, and there is no {program} to fetch it with")
    directory.mkdir(parents=True, exist_ok=True)
    needed = re.findall(r"^Inst (\S+)", apt("--simulate", "--no-install-recommends", "install", *names), re.MULTILINE)
    with tempfile.TemporaryDirectory(dir=directory) as downloaded:
        apt("download", *needed, cwd=downloaded)
        for file in sorted(Path(downloaded).glob("*.deb")):
            subprocess.run(["dpkg-deb", "--extract", file, directory], check=True)


def compiler(directory):
    """Returns the path of a script that runs gcc for arm64."""
    home, script = directory / "arm64", directory / "bin" / COMPILER
    if not script.exists():
        command = shutil.which(COMPILER)
        if command:
            command = shlex.quote(command)
        else:
            print(f"fetching {' '.join(COMPILER_PACKAGES)}", flush=True)
            packages(COMPILER_PACKAGES, home)
            command = f'env LD_LIBRARY_PATH="$home/usr/lib/{platform.machine()}-linux-gnu" "$home/usr/bin/{COMPILER}" --sysroot="$home"'
        script.parent.mkdir(parents=True, exist_ok=True)
        partial = script.with_suffix(".partial")
        partial.write_text(f'#!/bin/sh\nhome="$(dirname "$0")/../{home.name}"\nexec {command} "$@"\n')
        partial.chmod(0o755)
        partial.replace(script)
    return script


def emulator(directory):
    """Returns the command that runs a program for arm64."""
    home = directory / "arm64"
    qemu = next(filter(None, map(shutil.which, EMULATORS)), None) or home / "usr/bin" / EMULATORS[0]
    if not Path(qemu).exists():
        packages(["qemu-user-static"], home)
    library = Path("/") / LIBRARY
    if not (library / LOADER).exists():
        library = home / LIBRARY
    return [str(qemu), "-cpu", "max", "-L", str(library)]


def run(command, **options):
    print(shlex.join(map(str, command))[:150], flush=True)
    if code := subprocess.run(command, check=False, **options).returncode:
        sys.exit(code)


def train(command, work):
    """Trains the demo's model for some steps, answers a question with the result, and returns the losses."""
    records, out = work / "train.jsonl", work / "out"
    people = {"Walter": "violet", "Cecil": "orange", "Bruno": "red", "Anna": "green"}
    records.write_text("".join(json.dumps({"prompt": f"Q: What is the coat of {who}?\nA:", "completion": f" {coat}"}) + "\n" for who, coat in people.items()))
    settings = {"model": "demo/base", "dataset": records, "output_dir": out, "max_steps": 3, "per_device_train_batch_size": 2, "logging_steps": 1}
    run([*command, "train", "--device=cpu", "--bnb_4bit_compute_dtype=float32", *(f"--{name}={value}" for name, value in settings.items())])
    run([*command, "generate", "--device=cpu", "--model=demo/base", f"--adapter={out}", "--prompt=Q: What is the coat of Anna?\nA:", "--max_new_tokens=3"])
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def main():
    if sys.argv[2:] not in ([], ["compiler"]) or len(sys.argv) < 2:
        sys.exit(__doc__)
    directory = Path(sys.argv[1]).absolute()
    try:
        if sys.argv[2:]:
            compiler(directory)
            return
        if platform.machine() == "aarch64":
            print("arm-check: skipped: this machine is arm64, so go test covers it")
            return
        cc = compiler(directory)
        emulated = emulator(directory)
    except (Refused, OSError, subprocess.CalledProcessError) as reason:
        if sys.argv[2:]:
            sys.exit(f"{COMPILER}: {reason}")
        print(f"arm-check: skipped: {reason}")
        return
    env = dict(os.environ, GOOS="linux", GOARCH="arm64", CGO_ENABLED="1", CC=str(cc))
    run(["go", "build", "./..."], env=env)
    for test in TESTS:
        run(["go", "test", "-exec", shlex.join(emulated), *test], env=env)
    with tempfile.TemporaryDirectory() as work:
        losses = []
        for name, before, settings in [("native", [], None), ("arm64", emulated, env)]:
            home = Path(work, name)
            home.mkdir()
            run(["go", "build", "-o", home / "qlora", "./cmd/qlora"], env=settings)
            command = [*before, str(home / "qlora")]
            run([*command, "version"])
            losses.append(train(command, home))
    print("losses here and on arm64:", *losses)
    if not losses[0] or any(abs(here - there) > LOSS for here, there in zip(*losses, strict=True)):
        sys.exit(f"arm-check: the losses differ by more than {LOSS}")


if __name__ == "__main__":
    main()
