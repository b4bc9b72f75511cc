#!/usr/bin/env bash
# Installs the program's Debian packages in a Debian that has nothing else, without a network, and runs the demo there.
#
#   tools/bare.sh build/dist
#
# It needs root. The bare Debian is made once, by debootstrap, which apt-get fetches if the machine has none (100 MB, minutes), and kept in build/bare.
# Where it cannot be made, this says why and does nothing.
set -euo pipefail

skip() {
	echo "dist-check: skipped: $*"
	exit 0
}

dist=${1:?usage: tools/bare.sh build/dist}
[ "$(id -u)" = 0 ] || skip "a bare Debian is made and entered by root only"
for tool in dpkg-deb dpkg unshare chroot; do
	type -p $tool >/dev/null || skip "there is no $tool"
done
shopt -s nullglob
packages=("$dist"/qlora{,-cuda}_*_"$(dpkg --print-architecture)".deb)
[ ${#packages[@]} -gt 0 ] || skip "$dist has no package for this processor"
unshare --mount --pid --net --fork true 2>/dev/null || skip "this machine does not let root make namespaces"

suite=${DEBIAN_SUITE:-bookworm}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
home=$(dirname "$dist")/bare
base=$home/$suite
mkdir -p "$home"
home=$(realpath "$home")
if [ ! -e "$base" ]; then
	bootstrap=$(type -p debootstrap) || {
		bootstrap=$home/tool/usr/sbin/debootstrap
		export DEBOOTSTRAP_DIR=$home/tool/usr/share/debootstrap
		[ -e "$bootstrap" ] || (cd "$home" && apt-get download debootstrap >/dev/null && dpkg-deb --extract debootstrap_*.deb tool && rm debootstrap_*.deb) ||
			skip "there is no debootstrap, and apt-get cannot fetch it"
	}
	rm -rf "$base.partial"
	"$bootstrap" --variant=minbase "$suite" "$base.partial" "$mirror" >"$home/debootstrap.log" 2>&1 ||
		skip "debootstrap of $suite from $mirror: $(tail -n 1 "$home/debootstrap.log")"
	mv "$base.partial" "$base"
fi

root=$(mktemp -d "$home/root.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
cp -a "$base/." "$root"
mkdir "$root/packages"
cp "${packages[@]}" "$root/packages"

# inside runs a command in the bare Debian, without a network; its mounts end with it.
inside() {
	# shellcheck disable=SC2016 # the inner shell expands them
	unshare --mount --pid --net --fork bash -euc '
		mount -t proc proc "$0/proc"
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot "$0" "$@"' "$root" "$@"
}
seconds() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }

start=$EPOCHREALTIME
inside sh -c 'dpkg --install /packages/*' >/dev/null
installed=$(seconds "$start")
inside qlora version
start=$EPOCHREALTIME
inside sh -c 'cd /root && qlora demo' >"$home/demo.log" || {
	tail -n 20 "$home/demo.log"
	exit 1
}
tuned=$(seconds "$start")
grep -E '^(before|after) tuning' "$home/demo.log" | sort -u
right=$(sed -nE 's/^after tuning +([0-9]+) of 160 .*/\1/p' "$home/demo.log")
[ "${right:-0}" -ge 155 ] || {
	echo "dist-check: the tuned model answered ${right:-0} of 160 questions exactly, not at least 155"
	exit 1
}
for file in bin/qlora share/man/man1/qlora-train.1.gz share/bash-completion/completions/qlora share/doc/qlora/copyright; do
	[ -s "$root/usr/$file" ] || {
		echo "dist-check: the package has no $file"
		exit 1
	}
done
names=("${packages[@]##*/}")
names=("${names[@]%%_*}")
size=$(inside dpkg-query --show --showformat '${Installed-Size}\n' "${names[@]}" | awk '{ n += $1 } END { printf "%.1f", n * 1024 / 1e6 }')
inside dpkg --purge "${names[@]}" >/dev/null
left=$(inside find / -xdev \( -path /root -o -path /packages \) -prune -o -name '*qlora*' -print)
[ -z "$left" ] || {
	echo "dist-check: purging the packages leaves $left"
	exit 1
}
packed=$(stat -c %s "${packages[@]}" | awk '{ n += $1 } END { printf "%.1f", n / 1e6 }')
echo "dist-check: ${names[*]} in $suite, minbase: $packed MB of packages, $size MB installed in $installed s; the demo in $tuned s"
