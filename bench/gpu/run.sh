#!/usr/bin/env bash
# The GPU check: correctness, cost and speed of the kernels on this machine's GPU. It runs in the folder that
# `make gpu-bundle` fills, and needs the driver, bash and python3; no Go, no CUDA toolkit. PyTorch (for the peers) and
# compute-sanitizer are used if present.
#
# usage: run.sh [--device cuda|emu] [--small] [--only PART[,PART]] [--out FOLDER]
#
#   --device emu  the same on the emulator, at small sizes; times are meaningless
#   --small       a tiny model, small shapes and fewer repetitions on a GPU, too: a smoke test
#   --only        these parts alone: conformance training kernels peers steps memcheck racecheck
#   --out         the folder for results; default $OUT, or out in the working folder
#
# A part that fails or exceeds its time limit does not stop the others. All parts together take less than 9 minutes.
# The folder then contains results.md and results.json (all figures and the outcome of each part), log.txt, and the
# output of the parts. The exit status is 0 if every part that could run passed.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
all='conformance training kernels peers steps memcheck racecheck'

fail() { echo "run.sh: $1" >&2; exit 2; }
usage() { sed -n '/^# usage/,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

device=cuda small='' parts=$all out=${OUT:-out}
while [ $# -gt 0 ]; do
	case $1 in
	--small) small=yes ;;
	--device | --only | --out)
		[ $# -gt 1 ] || fail "$1 wants a value; --help has the options"
		case $1 in --device) device=$2 ;; --only) parts=${2//,/ } ;; --out) out=$2 ;; esac
		shift
		;;
	-h | --help) usage; exit 0 ;;
	*) fail "$1 is no option; --help has them" ;;
	esac
	shift
done
case $device in cuda) ;; emu) small=yes ;; *) fail "--device is $device, but it can be cuda or emu" ;; esac
for part in $parts; do
	case " $all " in *" $part "*) ;; *) fail "--only names $part; the parts are $all" ;; esac
done
mkdir -p "$out" && out=$(cd "$out" && pwd) || fail "no folder $out"
rm -f "$out"/{checks.jsonl,log.txt,machine.txt,kernels.txt,steps.txt,peers.jsonl,results.md,results.json}
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

wants() { case " $parts " in *" $1 "*) return 0 ;; esac; return 1; }

# note PART STATUS SECONDS DETAIL: reports the outcome of a part, for people and for results.json.
note() {
	printf '%-12s %-10s %4s s  %s\n' "$1" "$2" "$3" "$4"
	python3 -c '
import json, sys
device, part, status, seconds, detail = sys.argv[1:]
print(json.dumps({"device": device, "part": part, "status": status, "seconds": int(seconds), "detail": detail}))' \
		"$device" "$@" >>"$out/checks.jsonl"
}

# part NAME LIMIT DETAIL COMMAND...: runs a part for at most LIMIT seconds. Its output goes to the log. DETAIL is a
# command that reads the output and summarizes it in a few words; it fails if there is nothing to summarize.
part() {
	local name=$1 limit=$2 detail=$3 began=$SECONDS code status=passed came
	shift 3
	wants "$name" || return 0
	printf '\n==== %s: %s\n' "$name" "$*" >>"$out/log.txt"
	timeout --kill-after=5 "$limit" "$@" >"$work/$name" 2>&1
	code=$?
	{ cat "$work/$name"; printf '==== %s: exit status %s\n' "$name" $code; } >>"$out/log.txt"
	came=$($detail <"$work/$name") || status=failed
	case $code in
	0) ;;
	124 | 137) if [ $((SECONDS - began)) -lt "$limit" ]; then status=killed; else status='timed out'; fi ;;
	*) status=failed came="$came; $(first_error <"$work/$name")" ;;
	esac
	note "$name" "$status" $((SECONDS - began)) "$came"
}

skip() { wants "$1" && note "$1" skipped 0 "$2"; }

# Summaries of the parts' output.
rows() { awk '/^=== RUN/ {n++} /^ *--- FAIL/ {f++} /^ *--- SKIP/ {s++} / rows in all/ && !r {sub(/.*go:[0-9]+: /, ""); r = $0 ", "} / kernels, each launched/ {sub(/.*go:[0-9]+: /, ""); k = $0 ", "} END {printf "%s%s%d tests begun, %d failed, %d skipped", r, k, n, f, s; exit !n}'; }
losses() { awk '/steps, losses from/ {sub(/.*go:[0-9]+: /, ""); printf "%s%s", n++ ? "; " : "", $0} END {if (!n) printf "no run came to its end"; exit !n}'; }
benchmarks() { awk '/^Benchmark.*ns\/op/ {n++} /^ *--- SKIP/ {s++} END {printf "%d results, %d skipped", n, s; exit !n}'; }
peer_lines() { awk '/"ms"/ {n++} /"skipped"/ {s++} END {printf "%d results, %d skipped", n, s; exit !n}' "$out/peers.jsonl"; }
sanitizer() { awk '/^=+ (ERROR|RACECHECK) SUMMARY/ {sub(/^=+ */, ""); printf "%s, ", $0}' "$work/$tool"; rows <"$work/$tool"; }
first_error() { grep -m1 -E '\.go:[0-9]+: [^ ]|Error:|panic:|not found|ERROR' | sed -E 's/^[[:space:]]*([a-z_]+\.go:[0-9]+: )?//' | cut -c1-200; }

# ---- the machine ------------------------------------------------------------------------------------------------
commit=$(cat "$here/commit" 2>/dev/null || echo unknown)
{
	date -u '+%Y-%m-%d %H:%M:%S UTC'
	echo "commit $commit"
	uname -srm
	nvidia-smi 2>&1 || true
	nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.limit,temperature.gpu --format=csv 2>/dev/null || true
	python3 -c 'import sys, torch; print("python", sys.version.split()[0], "torch", torch.__version__, torch.version.cuda)' 2>&1 | tail -1
	command -v compute-sanitizer || true
} >"$out/machine.txt"
cat "$out/machine.txt" >"$out/log.txt"

export PYTHONUNBUFFERED=1
conformance='^Test(Conformance|SampledProject)OnGPU$' patience=80 benchmark='^BenchmarkKernels$' times=10x tiny=()
[ -z "$small" ] || { times=2x tiny=(-tiny); }
if [ "$device" = cuda ]; then
	export QLORA_REQUIRE_CUDA=1 QLORA_CUDA_LIBRARY=$work/libqlora_cuda.so
	python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' \
		"$here/lib/libqlora_cuda.so.xz" "$QLORA_CUDA_LIBRARY" || fail "the kernels' library cannot be unpacked"
else
	export QLORA_REQUIRE_EMU=1 QLORA_EMU_LIBRARY=$here/lib/libqlora_emu.so
	conformance='^TestConformance$/^schedule_0$' patience=300 benchmark='^BenchmarkKernelsSmallOnEmulator$' times=1x
fi

# ---- the parts; the seconds of all add up to 505 ----------------------------------------------------------------
part conformance $patience rows "$here/bin/cuda.test" -test.v -test.run "$conformance"

part training 50 losses "$here/bin/bench.test" -test.v -test.run '^TestLosses$' -device "$device" "${tiny[@]}" \
	-recorded "$here/losses.json" -demo "$here/demo"

part kernels 90 benchmarks "$here/bin/cuda.test" -test.run '^$' -test.bench "$benchmark" -test.benchtime "$times"

if ! python3 -c 'import torch' 2>/dev/null; then
	skip peers "python3 has no PyTorch"
elif [ "$device" = cuda ]; then
	part peers 95 peer_lines python3 "$here/peers/peers.py" --seconds 85 ${small:+--small} --out "$out/peers.jsonl"
else
	part peers 95 peer_lines python3 "$here/peers/peers.py" --device cpu --small --out "$out/peers.jsonl"
fi

part steps 105 benchmarks "$here/bin/bench.test" -test.run '^$' -test.bench '^BenchmarkStep$' -test.benchtime 3x -device "$device" "${tiny[@]}"

# A sanitizer slows each launch many times, so these come last and have fewer operations.
sanitizer_path=$(PATH=$PATH:/usr/local/cuda/bin command -v compute-sanitizer)
for tool in memcheck racecheck; do
	if [ "$device" != cuda ]; then
		skip $tool "the emulator checks every access itself"
	elif [ -z "$sanitizer_path" ]; then
		skip $tool "there is no compute-sanitizer here"
	else
		seconds=45 operations='Project|Attend|HeadLoss|Norm|Optimize|Quantize'
		[ $tool = memcheck ] || { seconds=40 operations='Project|Attend|HeadLoss|Norm'; }
		GODEBUG=asyncpreemptoff=1 part $tool $seconds sanitizer "$sanitizer_path" --tool $tool --error-exitcode 99 --print-limit 20 \
			"$here/bin/cuda.test" -test.v -test.run "^TestConformanceOnGPU\$/^($operations)\$"
	fi
done

# ---- one table, one JSON ----------------------------------------------------------------------------------------
for part in kernels steps; do
	if [ -s "$work/$part" ]; then grep -E '^(device: |limits: |Benchmark|FAIL|--- FAIL|panic:)' "$work/$part" >"$out/$part.txt"; fi
done
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -1)
{ echo "driver: $driver"; cat "$out/kernels.txt" "$out/steps.txt" 2>/dev/null; } >"$work/ours"
arguments=(-out "$out" -commit "$commit" -checks "$out/checks.jsonl")
grep -q '^Benchmark' "$work/ours" && arguments+=(-ours "$work/ours")
[ -s "$out/peers.jsonl" ] && arguments+=(-peers "$out/peers.jsonl")
"$here/bin/table" "${arguments[@]}" 2>&1 | tee -a "$out/log.txt"
[ -f "$out/results.md" ] && sed -n '/^## First targets/,/^## /{/^## /d;/^$/d;p}' "$out/results.md"

echo "results: $out/results.md and results.json, $SECONDS s in all"
! grep -qE '"status": "(failed|killed|timed out)"' "$out/checks.jsonl"
