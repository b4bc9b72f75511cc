#!/bin/bash
# Measures `qlora serve` beside llama.cpp: serve.sh MODEL GGUF NODE_MODULES [ROUNDS] [TOKENS]
#
# MODEL is a Hugging Face folder, GGUF the same model for llama.cpp, NODE_MODULES a folder
# in which npm has installed node-llama-cpp. Both sides take turns with 1 and 16 requests at
# once of TOKENS tokens each, greedy, on all cores. Prints the tokens/s of all requests
# together. The machine must be idle.
set -euo pipefail
model=$1 gguf=$2 modules=$3 rounds=${4:-3} tokens=${5:-64}
port=8431 name=$(basename "$model")
out=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$out"' EXIT
[ -x "${QLORA:-}" ] || { QLORA=$out/qlora && go build -o "$QLORA" ./cmd/qlora; }

ours() { # NAME OPTION...
  local label=$1
  shift
  "$QLORA" serve --model "$model" --device cpu --port "$port" --max_length 512 --cache_tokens 8192 "$@" 2> "$out/log" &
  server=$!
  until grep -q serving "$out/log"; do kill -0 "$server" && sleep 0.1; done
  for n in 1 16; do
    printf '%-22s %3d  %s\n' "qlora $label" "$n" "$(python3 bench/peers/requests.py "http://127.0.0.1:$port" "$name" "$n" "$tokens")"
  done
  kill "$server"
  wait "$server" || true
  server=
}

echo "                 requests  tokens/s"
for _ in $(seq "$rounds"); do
  ours nf4-bf16 --bnb_4bit_compute_dtype bfloat16
  for n in 1 16; do
    printf '%-22s %3d  %s\n' "llama.cpp" "$n" "$(node bench/peers/together.mjs "$modules" "$gguf" "$n" "$tokens" "$(nproc)")"
  done
done
