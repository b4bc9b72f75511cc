#!/usr/bin/env bash
# Installs the program's packages and the Python packages that do the same, each from files that are on the disk, and prints both as Markdown.
#
#   make cuda dist && bench/install.sh build/dist build/wheels >bench/install.md
#
# It needs root, for tools/bare.sh, and 3 GB of disk. The peer's packages are fetched to build/wheels, unless they are there. Of these, NVIDIA's and Triton
# are not fetched, only their sizes are added up. The program is installed before and after the peer.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# = 2 ] || {
	echo "usage: bench/install.sh build/dist build/wheels" >&2
	exit 2
}
dist=$1 wheels=$2
peer=(torch transformers peft bitsandbytes accelerate)
work=$(mktemp -d build/install.XXXXXX)
trap 'rm -rf "$work"' EXIT
seconds() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }
megabytes() { du -c -B 1 --apparent-size "$@" | awk 'END { printf "%.0f", $1 / 1e6 }'; }

ours() { # prints MB of the packages, MB installed, seconds
	tools/bare.sh "$dist" | tee "$work/log" /dev/stderr | sed -nE 's/^dist-check: .*: ([0-9.]+) MB of packages, ([0-9.]+) MB installed in ([0-9.]+) s;.*/\1 \2 \3/p'
}

python3 -m venv "$work/venv"
empty=$(megabytes "$work/venv")
if [ ! -e "$wheels/counts" ]; then
	mkdir -p "$wheels"
	"$work/venv/bin/pip" install --quiet --dry-run --report "$wheels/report.json" "${peer[@]}" >&2
	# Writes the packages that a CPU needs to cpu.txt, and prints how many there are, how many in all, and the bytes of all.
	python3 - "$wheels" >"$wheels/counts.partial" <<'END'
import json, re, sys, urllib.request
from pathlib import Path

work = Path(sys.argv[1])
packages = json.loads((work / "report.json").read_text())["install"]
cpu = [p for p in packages if not re.match(r"nvidia-|cuda-|triton$", p["metadata"]["name"])]
(work / "cpu.txt").write_text("".join(f"{p['metadata']['name']}=={p['metadata']['version']}\n" for p in cpu))
sizes = [urllib.request.Request(p["download_info"]["url"], method="HEAD", headers={"User-Agent": "pip"}) for p in packages]
print(len(cpu), len(packages), sum(int(urllib.request.urlopen(size, timeout=60).headers["Content-Length"]) for size in sizes))
END
	"$work/venv/bin/pip" download --quiet --no-cache-dir --no-deps --dest "$wheels/files" --requirement "$wheels/cpu.txt" >&2
	mv "$wheels/counts.partial" "$wheels/counts"
fi
read -r few all bytes <"$wheels/counts"

read -r packed installed first < <(ours)
start=$EPOCHREALTIME
"$work/venv/bin/pip" install --quiet --no-cache-dir --no-deps --no-index --find-links "$wheels/files" --requirement "$wheels/cpu.txt" >&2
theirs=$(seconds "$start")
read -r _ _ second < <(ours)

fetched=$(megabytes "$wheels/files")
unpacked=$(($(megabytes "$work/venv") - empty))
version=$(sed -n 's/^qlora \(v[^,]*\),.*/\1/p' "$work/log")
versions=$(grep -E "^($(IFS='|' && echo "${peer[*]}"))==" "$wheels/cpu.txt" | sed 's/==/ /' | paste -sd, | sed 's/,/, /g')
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.0f", b / a }'; }
cat <<END
# Installing

The Debian packages \`qlora\` and \`qlora-cuda\`, by \`dpkg --install\` in a bare Debian, next to \`pip install\` in a fresh virtual environment. Both install from files on the disk.
\`bench/install.sh\` does it.

| | qlora, for CPU and GPU | peer, what a CPU needs | ratio |
|---|--:|--:|--:|
| to download, MB | $packed | $fetched | $(ratio "$packed" "$fetched") |
| installed, MB | $installed | $unpacked | $(ratio "$installed" "$unpacked") |
| seconds to install | $first; after the peer $second | $theirs | $(awk -v a="$first" -v b="$second" -v c="$theirs" 'BEGIN { printf "%.0f", c / (a > b ? a : b) }') |

Peer: $versions, and what they need: $few packages. What \`pip install\` would fetch for them by itself is $all packages and
$((bytes / 1000000)) MB: those for GPUs, NVIDIA's and Triton, are left out here. PyTorch's own index has a smaller wheel for CPUs. Python and the bare Debian are not counted.

$(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(. /etc/os-release && echo "$PRETTY_NAME"), $(python3 --version), $(date -u +%F); the packages are of $version.
END
