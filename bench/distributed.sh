#!/bin/bash
# Measures what sharing a step among ranks costs: distributed.sh MODEL [ROUNDS] [STEPS]
#
# The same steps (2 sequences of 256 random ids for each core, NF4, rank 16 on all linear
# layers, AdamW) are trained by one rank with a thread for each core, and by as many ranks
# with one thread: threads of one process, and processes under each MPI that `make mpi` has
# fetched. The sides alternate for ROUNDS rounds, and the order turns around every round.
# Prints the median tokens/s of each without its first step, its ratio to one rank's, with
# the lowest and the highest of a round, and the processor time that it takes for a step.
# Nothing else may run: ranks of MPICH are a session, and a scheduling group, of their own.
# RANKS (default: the cores) and TOKENS (default 256) select others.
set -euo pipefail
model=$1 rounds=${2:-3} steps=${3:-5}
here=$(cd "$(dirname "$0")/.." && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
(cd "$here" && go build -o "$out/qlora" ./cmd/qlora)
ranks=${RANKS:-$(nproc)} tokens=${TOKENS:-256}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1

vocabulary=$(grep -o '"vocab_size": *[0-9]*' "$model/config.json" | grep -o '[0-9]*$')
awk -v n="$tokens" -v v="$vocabulary" 'BEGIN {
  srand(1)
  for (r = 0; r < 64; r++) {
    s = ""
    for (i = 0; i < n; i++) s = s (i ? "," : "") int(rand() * v)
    print "{\"input_ids\":[" s "],\"labels\":[" s "]}"
  }
}' > "$out/ids.jsonl"

train() { # SIDE COMMAND... -- OPTION...: adds "tokens/s, seconds of the processors a step" to the side's rows
  local side=$1 command=()
  shift
  while [ "$1" != -- ]; do command+=("$1"); shift; done
  shift
  rm -rf "$out/run"
  local before after
  before=$(spent)
  "${command[@]}" "$out/qlora" train --model "$model" --dataset "$out/ids.jsonl" --output_dir "$out/run" --device cpu --world_size "$ranks" --max_steps "$steps" \
    --per_device_train_batch_size 2 --lora_r 16 --lora_dropout 0 --logging_steps 1 --save_strategy no --report_to none --dataset_cache=false "$@" > "$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }
  after=$(spent)
  echo "$(grep -o '"tokens_per_second":[0-9.]*' "$out/run/metrics.jsonl" | cut -d: -f2 | tail -n +2 | median) $(awk "BEGIN {print ($after - $before) / $steps}")" >> "$out/row.$side"
}

# spent prints the seconds that the commands so far have taken of the processors.
spent() { awk '{print ($16 + $17) / 100}' "/proc/$$/stat"; }

median() { sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

library() { echo "$here/build/toolchain/$1"; }

alone() { train "1 rank of $ranks threads" -- --threads "$ranks"; }
process() { train "$ranks ranks of one process" -- --threads "$ranks" --ranks "$ranks"; }
mpich() {
  [ ! -e "$(library mpich/bin/mpirun)" ] ||
    train "$ranks ranks of MPICH" env QLORA_MPI_LIBRARY="$(library mpich/lib/libmpi.so.12)" "$(library mpich/bin/mpirun)" -n "$ranks" -- --threads 1
}
openmpi() {
  [ ! -e "$(library openmpi/bin/mpirun)" ] ||
    train "$ranks ranks of Open MPI" env QLORA_MPI_LIBRARY="$(library openmpi/lib/libmpi.so.40)" "$(library openmpi/bin/mpirun)" --oversubscribe --bind-to none -n "$ranks" -- --threads 1
}

sides=(alone process mpich openmpi)
for round in $(seq "$rounds"); do
  for i in "${!sides[@]}"; do
    [ $((round % 2)) = 1 ] || i=$((${#sides[@]} - 1 - i))
    "${sides[$i]}"
  done
done
printf '| side | tokens/s | of one rank | processor s a step |\n|---|--:|--:|--:|\n'
base=$out/row.$(basename "$(ls "$out"/row.1\ rank*)" | cut -d. -f2)
for f in "$base" "$out"/row."$ranks ranks"*; do
  ratios=$(paste -d' ' "$f" "$base" | awk '{print $1 / $3}')
  printf '| %s | %.1f | %.3f (%.3f to %.3f) | %.2f |\n' "${f#"$out"/row.}" "$(cut -d' ' -f1 "$f" | median)" "$(median <<< "$ratios")" \
    "$(sort -g <<< "$ratios" | head -n 1)" "$(sort -g <<< "$ratios" | tail -n 1)" "$(cut -d' ' -f2 "$f" | median)"
done
