#!/bin/bash
# Measures steps of DPO on the CPU next to TRL's, and next to supervised steps of as many tokens: preference.sh MODEL PYTHON [ROUNDS] [STEPS]
#
# MODEL is a folder in the Hugging Face format, PYTHON an interpreter with trl, peft and bitsandbytes. NF4 with double quantization, rank 8 on all linear
# layers, 2 pairs whose sides have 256 tokens each, AdamW, all cores. The sides take turns for ROUNDS rounds; prints the medians as a table. The tokens
# of both sides count once, though the reference reads them, too. Two rounds of four steps take about 5 minutes on two idle cores.
#
# PROMPT (default 60) is how many words, of a token or more, both sides of a pair begin with.
# PEERS (default "nf4-bf16") lists the peer's modes; one that ends in -checkpointed recomputes activations, which is TRL's default and slower.
set -euo pipefail
model=$1 python=$2 rounds=${3:-2} steps=${4:-4}
here=$(cd "$(dirname "$0")" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
(cd "$here/.." && go build -o "$out/qlora" ./cmd/qlora)
cores=$(nproc)

median() { sort -g | awk '{v[NR]=$1} END {print v[int((NR+1)/2)]}'; }

ours() { # OBJECTIVE BATCH RECORDS TYPE: "tokens/s GiB"
  rm -rf "$out/run"
  /usr/bin/time -f %M -o "$out/peak" "$out/qlora" train --objective "$1" --model "$model" --dataset "$3" --output_dir "$out/run" --device cpu --method qlora \
    --bnb_4bit_compute_dtype "$4" --recompute none --max_length 256 --max_steps "$steps" --per_device_train_batch_size "$2" --lora_r 8 --lora_dropout 0 \
    --logging_steps 1 --save_strategy no --report_to none 2> "$out/log" || { cat "$out/log" >&2; exit 1; }
  grep -o '"tokens_per_second":[0-9.]*' "$out/run/metrics.jsonl" | cut -d: -f2 | tail -n +2 | median | tr '\n' ' '
  awk '{printf "%.2f\n", $1/2^20}' "$out/peak"
}

peer() { # MODE: "tokens/s GiB"
  local checkpointing=0
  [ "$1" = "${1%-checkpointed}" ] || checkpointing=1
  CHECKPOINTING=$checkpointing TRL_EXPERIMENTAL_SILENCE=1 "$python" "$here/peers/preference.py" "$model" "$out/pairs.jsonl" "${1%-checkpointed}" 2 256 "$steps" "$cores" 2> "$out/log" |
    tail -1 | cut -d' ' -f2,3 || { cat "$out/log" >&2; exit 1; }
}

# Texts of words that are a token or more: each side fills 256 tokens.
awk -v out="$out" -v prompt="${PROMPT:-60}" 'BEGIN {
  srand(1)
  n = split("the a of and river stone light house green under moves slowly every morning paper wind over small table quiet road", word, " ")
  for (r = 0; r < 32; r++) {
    for (part = 0; part < 3; part++) {
      s[part] = ""
      for (i = 0; i < (part ? 300 : prompt); i++) s[part] = s[part] word[int(rand() * n) + 1] " "
    }
    print "{\"prompt\":\"" s[0] "\",\"chosen\":\"" s[1] "\",\"rejected\":\"" s[2] "\"}" > out "/pairs.jsonl"
    print "{\"prompt\":\"" s[0] "\",\"completion\":\"" s[1] "\"}" > out "/records.jsonl"
    print "{\"prompt\":\"" s[0] "\",\"completion\":\"" s[2] "\"}" > out "/records.jsonl"
  }
}'
for _ in $(seq "$rounds"); do
  for type in bfloat16 float32; do
    ours dpo 2 "$out/pairs.jsonl" $type >> "$out/row.1 qlora, dpo, $type"
    ours sft 4 "$out/records.jsonl" $type >> "$out/row.2 qlora, sft, $type"
    [ $type = float32 ] || for mode in ${PEERS:-nf4-bf16}; do peer "$mode" >> "$out/row.3 trl, dpo, $mode"; done
  done
done
printf '| side | tokens/s | GiB |\n|---|--:|--:|\n'
for f in "$out"/row.*; do
  name=${f##*/row.}
  printf '| %s | %.1f | %s |\n' "${name#* }" "$(cut -d' ' -f1 "$f" | median)" "$(cut -d' ' -f2 "$f" | median)"
done
value() { cut -d' ' -f"$2" "$out/row.$1" | median; } # ROW COLUMN
best=$(for f in "$out"/row.3*; do echo "$(cut -d' ' -f1 "$f" | median) $f"; done | sort -g | tail -1 | cut -d' ' -f2-)
echo
awk -v a="$(value '1 qlora, dpo, bfloat16' 1)" -v b="$(cut -d' ' -f1 "$best" | median)" 'BEGIN {printf "speed, of the best peer: %.2f\n", a/b}'
awk -v a="$(value '1 qlora, dpo, bfloat16' 2)" -v b="$(cut -d' ' -f2 "$best" | median)" 'BEGIN {printf "memory, of that peer: %.2f\n", a/b}'
awk -v a="$(value '1 qlora, dpo, bfloat16' 2)" -v b="$(value '2 qlora, sft, bfloat16' 2)" 'BEGIN {printf "memory, of sft with as many tokens: %.2f\n", a/b}'
