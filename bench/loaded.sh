#!/bin/bash
# Measures training steps beside busy processes and on one core:
# loaded.sh MODEL DATASET [ROUNDS] [STEPS]
#
# A round has a quiet run, runs beside 2 and 4 busy processes, and the ways of having one
# core: --threads 1, GOMAXPROCS=1, an affinity mask and a control group's quota. All are in
# one scheduling group of their own (root; elsewhere the machine must be idle). Prints the
# median tokens/s of each, its ratio to the quiet run's, or to --threads 1 for one core, and
# for busy processes the share that the scheduler owes it: cores / (cores + busy processes).
set -euo pipefail
model=$1 dataset=$2 rounds=${3:-2} steps=${4:-6}
out=$(mktemp -d)
group=
trap '[ -z "$group" ] || rmdir "$group"; rm -rf "$out"' EXIT
go build -o "$out/qlora" ./cmd/qlora
cores=$(nproc)
(echo -19 > /proc/self/autogroup) 2>/dev/null || echo "no scheduling group of its own: other processes count as load" >&2

# A control group of version 1 or 2 with the time of one core and, so that other processes
# matter little, the largest share.
for mount in /sys/fs/cgroup/cpu /sys/fs/cgroup; do
  dir=$mount/qlora-loaded-$$
  [ -z "$group" ] && mkdir "$dir" 2>/dev/null || continue
  if [ -e "$dir/cpu.cfs_quota_us" ]; then
    echo 100000 > "$dir/cpu.cfs_period_us"; echo 100000 > "$dir/cpu.cfs_quota_us"; echo 262144 > "$dir/cpu.shares"
    group=$dir
  elif [ -e "$dir/cpu.max" ]; then
    echo "100000 100000" > "$dir/cpu.max"; echo 10000 > "$dir/cpu.weight"
    group=$dir
  else
    rmdir "$dir"
  fi
done

train() { # [OPTION...]: the median tokens/s without the first step
  rm -rf "$out/run"
  "$out/qlora" train --model "$model" --dataset "$dataset" --output_dir "$out/run" --device cpu --max_steps "$steps" \
    --per_device_train_batch_size 4 --lora_r 8 --lora_dropout 0 --logging_steps 1 --save_strategy no --report_to none "$@" 2> "$out/log" || { cat "$out/log" >&2; exit 1; }
  grep -o '"tokens_per_second":[0-9.]*' "$out/run/metrics.jsonl" | cut -d: -f2 | tail -n +2 | sort -g | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'
}

beside() { # BUSY
  local busy=()
  for _ in $(seq "$1"); do
    sh -c 'while :; do :; done' &
    busy+=($!)
  done
  train
  kill "${busy[@]}"
  wait "${busy[@]}" 2>/dev/null || true
}

quota() { (echo "$BASHPID" > "$group/cgroup.procs" && train); }

row() { # NAME TOKENS/S BASE SHARE
  awk -v name="$1" -v n="$2" -v base="$3" -v share="$4" 'BEGIN {printf "%-16s  %8.1f  %5.2f  %5s\n", name, n, n/base, share}'
}

printf '%-16s  %8s  %5s  %5s\n' "" tokens/s ratio share
for _ in $(seq "$rounds"); do
  quiet=$(train)
  row quiet "$quiet" "$quiet" 1.00
  for n in 2 4; do
    row "$n busy" "$(beside $n)" "$quiet" "$(awk "BEGIN {printf \"%.2f\", $cores/($cores+$n)}")"
  done
  one=$(train --threads 1)
  row "--threads 1" "$one" "$one" ""
  row GOMAXPROCS=1 "$(GOMAXPROCS=1 train)" "$one" ""
  row "taskset, 1 core" "$(taskset -c "$((cores - 1))" bash -c "$(declare -f train); out=$out model=$model dataset=$dataset steps=$steps train")" "$one" ""
  [ -z "$group" ] || row "quota, 1 core" "$(quota)" "$one" ""
done
