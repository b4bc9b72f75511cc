#!/bin/bash
# Measures training steps beside busy processes: loaded.sh MODEL DATASET [ROUNDS]
#
# A quiet run and runs beside 2 and 4 busy processes alternate, all in one scheduling group
# of their own (root; elsewhere the machine must be idle). Prints the median tokens/s of each
# and its ratio to the quiet run's, next to the share that the scheduler owes it:
# cores / (cores + busy processes).
set -euo pipefail
model=$1 dataset=$2 rounds=${3:-2}
out=$(mktemp -d)
go build -o "$out/qlora" ./cmd/qlora
cores=$(nproc)
(echo -19 > /proc/self/autogroup) 2>/dev/null || echo "no scheduling group of its own: other processes count as load" >&2

step() { # BUSY
  local busy=()
  for _ in $(seq "$1"); do
    sh -c 'while :; do :; done' &
    busy+=($!)
  done
  rm -rf "$out/run"
  "$out/qlora" train --model "$model" --dataset "$dataset" --output_dir "$out/run" --device cpu --max_steps 6 \
    --per_device_train_batch_size 4 --lora_r 8 --lora_dropout 0 --logging_steps 1 --save_strategy no --report_to none 2> "$out/log" || { cat "$out/log" >&2; exit 1; }
  [ ${#busy[@]} -eq 0 ] || { kill "${busy[@]}"; wait "${busy[@]}" 2>/dev/null || true; }
  grep -o '"tokens_per_second":[0-9.]*' "$out/run/metrics.jsonl" | cut -d: -f2 | tail -n +2 | sort -g | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'
}

echo "busy  tokens/s  ratio  share"
for _ in $(seq "$rounds"); do
  quiet=$(step 0)
  echo "0 $quiet $quiet $cores" | awk '{printf "%4d  %8.1f  %5.2f  %5.2f\n", $1, $2, 1, 1}'
  for n in 2 4; do
    echo "$n $(step $n) $quiet $cores" | awk '{printf "%4d  %8.1f  %5.2f  %5.2f\n", $1, $2, $2/$3, $4/($4+$1)}'
  done
done
rm -rf "$out"
