#!/usr/bin/env bash
# Installs the program's packages and the Python packages that do the same, each from files that are on the disk, and prints both as Markdown.
#
#   make cuda dist && bench/install.sh build/dist >bench/install.md
#
# It needs root, for tools/bare.sh, and 3 GB of disk, which it leaves as it was: of the peer, NVIDIA's packages and Triton are not installed, only their
# sizes are added up. The program is installed before and after the peer.
set -euo pipefail
cd "$(dirname "$0")/.."

dist=${1:?usage: bench/install.sh build/dist}
peer=(torch transformers peft bitsandbytes accelerate)
work=$(mktemp -d build/install.XXXXXX)
trap 'rm -rf "$work"' EXIT
seconds() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }
megabytes() { du -c -B 1 --apparent-size "$@" | awk 'END { printf "%.0f", $1 / 1e6 }'; }

ours() { # prints MB of the packages, MB installed, seconds
	tools/bare.sh "$dist" | tee /dev/stderr | sed -nE 's/^dist-check: .*: ([0-9.]+) MB of packages, ([0-9.]+) MB installed in ([0-9.]+) s;.*/\1 \2 \3/p'
}

read -r packed installed first < <(ours)
python3 -m venv "$work/venv"
empty=$(megabytes "$work/venv")
"$work/venv/bin/pip" install --quiet --dry-run --report "$work/report.json" "${peer[@]}" >&2

# Writes the packages that a CPU needs to cpu.txt, and prints how many there are, how many in all, and the bytes of all.
read -r few all bytes < <(
	python3 - "$work" <<'END'
import json, re, sys, urllib.request
from pathlib import Path

work = Path(sys.argv[1])
packages = json.loads((work / "report.json").read_text())["install"]
cpu = [p for p in packages if not re.match(r"nvidia-|cuda-|triton$", p["metadata"]["name"])]
(work / "cpu.txt").write_text("".join(f"{p['metadata']['name']}=={p['metadata']['version']}\n" for p in cpu))
sizes = [urllib.request.Request(p["download_info"]["url"], method="HEAD", headers={"User-Agent": "pip"}) for p in packages]
print(len(cpu), len(packages), sum(int(urllib.request.urlopen(size, timeout=60).headers["Content-Length"]) for size in sizes))
END
)
start=$EPOCHREALTIME
"$work/venv/bin/pip" download --quiet --no-cache-dir --no-deps --dest "$work/wheels" --requirement "$work/cpu.txt" >&2
fetched=$(seconds "$start")
start=$EPOCHREALTIME
"$work/venv/bin/pip" install --quiet --no-cache-dir --no-deps --no-index --find-links "$work/wheels" --requirement "$work/cpu.txt" >&2
theirs=$(seconds "$start")
read -r _ _ second < <(ours)

wheels=$(megabytes "$work/wheels")
unpacked=$(($(megabytes "$work/venv") - empty))
versions=$(grep -E "^($(IFS='|' && echo "${peer[*]}"))==" "$work/cpu.txt" | sed 's/==/ /' | paste -sd, | sed 's/,/, /g')
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.0f", b / a }'; }
cat <<END
# Installing

The Debian packages \`qlora\` and \`qlora-cuda\`, by \`dpkg --install\` in a bare Debian, next to \`pip install\` in a fresh virtual environment. Both install from files on the disk.
\`bench/install.sh\` does it.

| | qlora, for CPU and GPU | peer, what a CPU needs | ratio |
|---|--:|--:|--:|
| to download, MB | $packed | $wheels | $(ratio "$packed" "$wheels") |
| installed, MB | $installed | $unpacked | $(ratio "$installed" "$unpacked") |
| seconds to install | $first; after the peer $second | $theirs | $(awk -v a="$first" -v b="$second" -v c="$theirs" 'BEGIN { printf "%.0f", c / (a > b ? a : b) }') |

Peer: $versions, and what they need: $few packages, downloaded in $fetched s. What \`pip install\` would fetch for them by itself is $all packages and
$((bytes / 1000000)) MB: those for GPUs, NVIDIA's and Triton, are left out here. PyTorch's own index has a smaller wheel for CPUs. Python and the bare Debian are not counted.

$(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(. /etc/os-release && echo "$PRETTY_NAME"), $(python3 --version), other work on the machine; commit $(git rev-parse --short HEAD), $(date -u +%F).
END
