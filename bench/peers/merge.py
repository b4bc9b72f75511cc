"""Compares `qlora merge` with transformers + peft: the merged folder must compute the same as base and adapter.

    go build ./cmd/qlora
    python bench/peers/merge.py --qlora ./qlora --model DIR --adapter DIR [--max_new_tokens 64]

transformers computes in float32: with peft's adapter on the base, on the folder that qlora merged in float32, on the one
merged in the base's own type, and on the result of peft's merge_and_unload in that type. Exits with 1 if the float32 folder
differs from base and adapter by more than --tolerance or in its greedy text, or if more than one in 10,000 weights in the
base's type differ from peft's.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

import reference

PROMPTS = [
    "Question: Tom has 3 boxes with 12 pencils each. He gives away 7. How many are left?\n",
    "Natalia bought 5 apples for 2 dollars each and 3 pears for 1 dollar each. How much did she spend?\n",
    "Once upon a time",
    "The capital of France is",
    "A train goes 60 miles an hour. How far does it go in 3 hours?\n",
]


def logits(model, ids):
    with torch.no_grad():
        return [model(input_ids=torch.tensor([line])).logits[0].float() for line in ids]


def greedy(model, ids, n):
    return [model.generate(input_ids=torch.tensor([line]), attention_mask=torch.ones(1, len(line), dtype=torch.long), do_sample=False,
                           repetition_penalty=1.0, max_new_tokens=n)[0, len(line):].tolist() for line in ids]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--qlora", required=True)
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--adapter", required=True)
    arguments.add_argument("--max_new_tokens", type=int, default=64)
    arguments.add_argument("--tolerance", type=float, default=1e-3, help="largest difference of a logit of the float32 folder")
    a = arguments.parse_args()

    tokenizer = reference.tokenizer(a.model)
    ids = [tokenizer.encode(prompt).ids for prompt in PROMPTS]

    def merged(*options):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder, "merged")
            subprocess.run([a.qlora, "merge", "--model", a.model, "--adapter", a.adapter, "--output_dir", out, *options], check=True)
            return reference.load(out)

    whole, ours, apart = merged("--dtype", "float32"), merged(), reference.load(a.model, a.adapter)
    stored = AutoModelForCausalLM.from_pretrained(a.model, dtype="auto", device_map="cpu", attn_implementation="eager")
    theirs = PeftModel.from_pretrained(stored, a.adapter).merge_and_unload().float().eval()
    equal = total = 0
    for (_, x), (_, y) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        equal, total = equal + int((x == y).sum()), total + x.numel()
    print(f"{equal} of {total} weights merged in the base's type are the same as peft's")

    wanted = logits(apart, ids)
    far = lambda model: max(float((x - y).abs().max()) for x, y in zip(logits(model, ids), wanted))
    exact = far(whole)
    print(f"largest difference of a logit from base + adapter: merged in float32 {exact:.2e}, in the base's type {far(ours):.4f} (peft's {far(theirs):.4f}), "
          f"the base alone {far(reference.load(a.model)):.4f}")
    differ = 0
    for prompt, want, got in zip(PROMPTS, greedy(apart, ids, a.max_new_tokens), greedy(whole, ids, a.max_new_tokens)):
        differ += got != want
        print(f"greedy {'same' if got == want else 'DIFFERENT'} {len(want)} tokens: {prompt!r} -> {tokenizer.decode(got)[:60]!r}")
    sys.exit(differ > 0 or not exact <= a.tolerance or total - equal > total / 10_000)


main()
