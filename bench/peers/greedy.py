"""Compares `qlora generate` with transformers' greedy generation in float32, text for text.

    go build ./cmd/qlora
    python bench/peers/greedy.py --qlora ./qlora --model DIR [--adapter DIR] [--max_new_tokens 64]

Exits with 1 if a completion differs.
"""
import argparse
import subprocess
import sys

import torch

import reference

PROMPTS = [
    "Once upon a time",
    "The capital of France is",
    "Question: Tom has 3 boxes with 12 pencils each. He gives away 7. How many are left?\n",
    "def fibonacci(n):\n",
    "Water is made of",
]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--qlora", required=True)
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--adapter")
    arguments.add_argument("--max_new_tokens", type=int, default=64)
    a = arguments.parse_args()

    tokenizer, model = reference.tokenizer(a.model), reference.load(a.model, a.adapter)
    differ = 0
    for prompt in PROMPTS:
        command = [a.qlora, "generate", "--model", a.model, "--load_in_4bit=false", "--prompt", prompt, "--max_new_tokens", str(a.max_new_tokens)]
        ours = subprocess.run(command + (["--adapter", a.adapter] if a.adapter else []), check=True, capture_output=True, text=True).stdout
        ids = torch.tensor([tokenizer.encode(prompt).ids])
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, repetition_penalty=1.0,
                             max_new_tokens=a.max_new_tokens)
        whole = tokenizer.decode(out[0].tolist(), skip_special_tokens=True)
        theirs = whole.removeprefix(tokenizer.decode(ids[0].tolist(), skip_special_tokens=True)) + "\n"
        same = ours == theirs
        differ += not same
        print(f"{'same' if same else 'DIFFERENT'} {len(out[0]) - ids.shape[1]} tokens: {prompt!r} -> {ours[:60]!r}" + ("" if same else f"\n  expected {theirs!r}\n  got      {ours!r}"))
    sys.exit(differ > 0)


main()
