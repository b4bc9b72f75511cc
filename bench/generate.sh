#!/bin/bash
# Measures generation beside transformers: generate.sh MODEL PYTHON [ROUNDS] [NAME COMMAND...] [-- NAME COMMAND...]...
#
# MODEL is a Hugging Face folder, PYTHON a Python with transformers and bitsandbytes. COMMAND
# is another program, for example bench/peers/llamacpp.mjs with a GGUF file of the same model,
# that writes 128 tokens to standard output as it generates them. All take turns, in one
# scheduling group of their own (root; elsewhere the machine must be idle). Prints the tokens/s
# of one sequence, greedy, and the peak resident memory.
set -euo pipefail
model=$1 python=$2 rounds=${3:-3}
shift $(($# < 3 ? $# : 3))
prompt="Once upon a time" tokens=128
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
go build -trimpath -o "$out/qlora" ./cmd/qlora
(echo -19 > /proc/self/autogroup) 2>/dev/null || echo "no scheduling group of its own: other processes count as load" >&2

streamed() { # NAME COMMAND...
  local name=$1
  shift
  "$python" bench/peers/streamed.py "$name" $tokens "$@"
}
others() { # NAME COMMAND... -- NAME COMMAND...
  local command=()
  for word in "$@" --; do
    if [ "$word" != -- ]; then
      command+=("$word")
    elif [ ${#command[@]} -gt 0 ]; then
      streamed "${command[@]}"
      command=()
    fi
  done
}
ours() { # NAME OPTION...
  local name=$1
  shift
  streamed "qlora $name" "$out/qlora" generate --model "$model" --device cpu --prompt "$prompt" --max_new_tokens $tokens "$@"
}

echo "                             tokens/s     GiB"
for _ in $(seq "$rounds"); do
  ours nf4-bf16 --bnb_4bit_compute_dtype bfloat16
  ours nf4-fp32 --bnb_4bit_compute_dtype float32
  ours bf16 --bnb_4bit_compute_dtype bfloat16 --load_in_4bit=false
  for mode in nf4-bf16 bf16; do
    streamed "transformers $mode" "$python" bench/peers/generate.py "$model" "$prompt" $tokens $mode "$(nproc)"
  done
  others "$@"
done
