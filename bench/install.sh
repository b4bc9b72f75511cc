#!/usr/bin/env bash
# Installs the program's packages and the Python packages that do the same, each from files that are on the disk, and prints both as Markdown.
#
#   make cuda dist && bench/install.sh build/dist >bench/install.md
#
# It needs root, for tools/bare.sh, and 9 GB of disk, which it leaves as it was. The program is installed before and after the peer.
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
start=$EPOCHREALTIME
"$work/venv/bin/pip" download --quiet --no-cache-dir --dest "$work/wheels" "${peer[@]}" >&2
fetched=$(seconds "$start")
start=$EPOCHREALTIME
"$work/venv/bin/pip" install --quiet --no-cache-dir --no-index --find-links "$work/wheels" "${peer[@]}" >&2
theirs=$(seconds "$start")
read -r _ _ second < <(ours)

wheels=$(megabytes "$work/wheels")
unpacked=$(($(megabytes "$work/venv") - empty))
versions=$("$work/venv/bin/pip" list --format=freeze 2>/dev/null | grep -E "^($(IFS='|' && echo "${peer[*]}"))==" | sed 's/==/ /' | paste -sd, | sed 's/,/, /g')
cat <<END
# Installing

The Debian packages \`qlora\` and \`qlora-cuda\`, by \`dpkg --install\` in a bare Debian, next to \`pip install\` in a fresh virtual environment. Both install from files on the disk. Both
sides can then use a CPU and an NVIDIA GPU whose driver is there. \`bench/install.sh\` does it.

| | qlora | peer | ratio |
|---|--:|--:|--:|
| to download, MB | $packed | $wheels | $(awk -v a="$packed" -v b="$wheels" 'BEGIN { printf "%.0f", b / a }') |
| installed, MB | $installed | $unpacked | $(awk -v a="$installed" -v b="$unpacked" 'BEGIN { printf "%.0f", b / a }') |
| seconds to install | $first; after the peer $second | $theirs | $(awk -v a="$first" -v b="$theirs" 'BEGIN { printf "%.0f", b / a }') |

Peer: $versions, and what they need: $(find "$work/wheels" -type f | wc -l) packages, downloaded in $fetched s. Python itself, its packages of the system and the bare Debian are not counted.

$(nproc) cores of $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(. /etc/os-release && echo "$PRETTY_NAME"), $(python3 --version), other work on the machine; $(git describe --always --dirty), $(date -u +%F).
END
