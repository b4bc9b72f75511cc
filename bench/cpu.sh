#!/bin/bash
# Measures training steps on the CPU next to the peer's: cpu.sh MODEL PYTHON [ROUNDS] [STEPS]
#
# MODEL is a folder in the Hugging Face format, PYTHON an interpreter with torch,
# transformers, peft and bitsandbytes. NF4 with double quantization, rank 8 on all linear
# layers, 4 sequences of random ids, AdamW, all cores. For each class of processor and each
# length the sides alternate for ROUNDS rounds; prints the medians as a table, with the ratio
# to the peer's best mode.
#
# CLASSES (default "all avx512 avx2") limits both sides: ours by QLORA_CPU_KERNELS, the peer
# by the variables of oneDNN, ATen and MKL. "all" limits neither. LENGTHS (default "256 512")
# and PEERS (default "fp32 nf4-fp32 nf4-bf16 bf16") select the rest.
set -euo pipefail
model=$1 python=$2 rounds=${3:-3} steps=${4:-5}
here=$(cd "$(dirname "$0")" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
(cd "$here/.." && go build -o "$out/qlora" ./cmd/qlora)
cores=$(nproc)
(echo -19 > /proc/self/autogroup) 2>/dev/null || echo "no scheduling group of its own: the machine must be idle" >&2

ours() { # CLASS LENGTH TYPE: "tokens/s GiB"
  local kernels=$1
  [ "$kernels" != all ] || kernels=
  rm -rf "$out/run"
  QLORA_CPU_KERNELS=$kernels /usr/bin/time -f %M -o "$out/peak" "$out/qlora" train --model "$model" --dataset "$out/ids$2.jsonl" --output_dir "$out/run" \
    --device cpu --bnb_4bit_compute_dtype "$3" --recompute none --max_steps "$steps" --per_device_train_batch_size 4 --lora_r 8 --lora_dropout 0 \
    --logging_steps 1 --save_strategy no --report_to none 2> "$out/log" || { cat "$out/log" >&2; exit 1; }
  grep -o '"tokens_per_second":[0-9.]*' "$out/run/metrics.jsonl" | cut -d: -f2 | tail -n +2 | median | tr '\n' ' '
  awk '{printf "%.2f\n", $1/2^20}' "$out/peak"
}

peer() { # CLASS LENGTH MODE: "tokens/s GiB"
  local limits=()
  case $1 in
  avx2) limits=(ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2) ;;
  avx512) limits=(ONEDNN_MAX_CPU_ISA=AVX512_CORE ATEN_CPU_CAPABILITY=avx512 MKL_ENABLE_INSTRUCTIONS=AVX512) ;;
  esac
  env "${limits[@]}" "$python" "$here/peers/step.py" "$model" "$3" 4 "$2" "$steps" "$cores" 2> "$out/log" | cut -d' ' -f2,3
}

median() { sort -g | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }

vocabulary=$(grep -o '"vocab_size": *[0-9]*' "$model/config.json" | grep -o '[0-9]*$')
printf '| class | tokens | side | tokens/s | GiB | of the best peer |\n|---|--:|---|--:|--:|--:|\n'
for class in ${CLASSES:-all avx512 avx2}; do
  for length in ${LENGTHS:-256 512}; do
    awk -v n="$length" -v v="$vocabulary" 'BEGIN {
      srand(1)
      for (r = 0; r < 64; r++) {
        s = ""
        for (i = 0; i < n; i++) s = s (i ? "," : "") int(rand() * v)
        print "{\"input_ids\":[" s "],\"labels\":[" s "]}"
      }
    }' > "$out/ids$length.jsonl"
    rm -f "$out"/row.*
    for _ in $(seq "$rounds"); do
      for type in float32 bfloat16; do ours "$class" "$length" "$type" >> "$out/row.qlora, $type"; done
      for mode in ${PEERS:-fp32 nf4-fp32 nf4-bf16 bf16}; do peer "$class" "$length" "$mode" >> "$out/row.peer, $mode"; done
    done
    best=$(for f in "$out"/row.peer*; do cut -d' ' -f1 "$f" | median; done | sort -g | tail -1)
    for f in "$out"/row.*; do
      printf '| %s | 4 x %d | %s | %.1f | %s | %s |\n' "$class" "$length" "${f#"$out"/row.}" "$(cut -d' ' -f1 "$f" | median)" "$(cut -d' ' -f2 "$f" | median)" \
        "$(awk "BEGIN {printf \"%.2f\", $(cut -d' ' -f1 "$f" | median)/$best}")"
    done
  done
done
