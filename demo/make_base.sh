#!/bin/sh
# Rebuilds the demonstration's base from scratch: texts, tokenizer, initial weights, and 2000 steps of full training. The same seeds and
# machine give the same bits. It takes ten minutes on one processor.
#
#   demo/make_base.sh          writes everything to build/demo-base
#   demo/make_base.sh -commit  also copies the base and its training log to demo/base
set -eu
cd "$(dirname "$0")/.."
work=build/demo-base
rm -rf "$work"
go build -o build/ ./cmd/qlora
go run ./demo/generate -out "$work/texts"
build/qlora train --method full --model "$work/texts" --dataset "$work/texts/corpus.jsonl" --output_dir "$work/trained" \
	--num_train_epochs 1 --per_device_train_batch_size 16 --learning_rate 2e-3 --lr_scheduler_type cosine --warmup_steps 100 \
	--adam_beta2 0.98 --weight_decay 0.01 --seed 1 --logging_steps 50 --save_strategy no --report_to none \
	>"$work/train.log" 2>&1 || { cat "$work/train.log" >&2; exit 1; }
if [ "${1-}" = -commit ]; then
	mkdir -p demo/base
	cp "$work/texts/config.json" "$work/texts/tokenizer.json" "$work/texts/tokenizer_config.json" demo/base/
	cp "$work/trained/model.safetensors" "$work/trained/loss.png" "$work/train.log" demo/base/
fi
