#!/bin/bash
# Teaches SmolLM2-135M-Instruct brief answers by DPO, on its own answers, and measures it on other questions: smollm2.sh MODEL [OUT]
#
# MODEL is its folder in the Hugging Face format. 72 questions to tune on and 40 about other things, three answers of up to 96 tokens to each. Prints a table:
# how often the shorter of two answers is given, before and after; lengths; how likely the kept and the rejected answers of held-out pairs are. OUT
# (out/prefer-smollm2) gets it as figures.json, the pairs, the adapter, and the pictures lengths.png and adapter/rewards.png. Some six minutes on two idle
# cores. The program's options follow OUT, and override: smollm2.sh MODEL OUT -steps 10 -heldout 5
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,/^set/s/^# \?//p' "$0"; exit 2; }
model=$(realpath "$1") out=$(realpath -m "${2:-out/prefer-smollm2}")
shift $(($# > 1 ? 2 : 1))
cd "$(dirname "$0")/../.."
mkdir -p "$out"
go build -o "$out/prefer" ./demo/prefer
TIMEFORMAT=$'\ntime      %0R s, of which the processors worked %0U s'
time "$out/prefer" -model "$model" -out "$out" -prompts 72 -heldout 40 -samples 3 -tokens 96 -temperature 0.8 -steps 32 -batch 4 -rate 2e-4 "$@"
