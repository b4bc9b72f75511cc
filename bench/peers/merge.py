"""Holds `qlora merge` against transformers + peft: what the merged folder computes is what base and adapter compute.

    go build ./cmd/qlora
    python bench/peers/merge.py --qlora ./qlora --model DIR --adapter DIR [--max_new_tokens 64]

transformers computes in float32: once with peft's adapter on the base, once on the folder that qlora merged into the
base's own type, once on what peft's merge_and_unload makes in that type. The yardstick for the rounding of the merged
weights is peft's own. Exits with 1 where qlora's folder is further off than 1.5 times that, or greedy text differs from
that of base and adapter where peft's does not.
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
    a = arguments.parse_args()

    tokenizer = reference.tokenizer(a.model)
    ids = [tokenizer.encode(prompt).ids for prompt in PROMPTS]
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "merged")
        subprocess.run([a.qlora, "merge", "--model", a.model, "--adapter", a.adapter, "--output_dir", out], check=True)
        ours = reference.load(out)
    stored = AutoModelForCausalLM.from_pretrained(a.model, dtype="auto", device_map="cpu", attn_implementation="eager")
    theirs = PeftModel.from_pretrained(stored, a.adapter).merge_and_unload()
    equal = total = 0
    for (name, x), (_, y) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        equal, total = equal + int((x == y.float()).sum()), total + x.numel()
    print(f"{equal} of {total} merged weights are the same as peft's")
    theirs = theirs.float().eval()
    apart = reference.load(a.model, a.adapter)
    base = logits(reference.load(a.model), ids)

    wanted = logits(apart, ids)
    far = lambda got: max(float((x - y).abs().max()) for x, y in zip(got, wanted))
    mine, yardstick = far(logits(ours, ids)), far(logits(theirs, ids))
    print(f"largest difference of a logit from base + adapter: qlora's folder {mine:.4f}, peft's {yardstick:.4f}, the base alone {far(base):.4f}")
    texts = [greedy(m, ids, a.max_new_tokens) for m in (apart, ours, theirs)]
    worse = 0
    for prompt, wanted_text, my_text, their_text in zip(PROMPTS, *texts):
        worse += my_text != wanted_text and their_text == wanted_text
        print(f"greedy {len(wanted_text)} tokens: qlora {'same' if my_text == wanted_text else 'DIFFERENT'}, peft "
              f"{'same' if their_text == wanted_text else 'different'}: {prompt!r} -> {tokenizer.decode(my_text)[:50]!r}")
    sys.exit(worse > 0 or not mine <= 1.5 * yardstick)


main()
