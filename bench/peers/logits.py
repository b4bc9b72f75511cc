"""Compares qlora's logits with those of transformers and peft, in float32.

    go build -o logits ./bench/peers/logits
    python bench/peers/logits.py --logits ./logits --model DIR [--adapter DIR] [--load_in_4bit] [--base DIR] [--texts FILE]

--load_in_4bit quantizes DIR in both, without double quantization: bitsandbytes' search for the 8-bit scales on the
CPU is not exact. To compare a double-quantized base, write it with `qlora quantize` and name that folder.
--base gives transformers another folder than qlora. FILE has one text per line. Exits with 1 above --tolerance.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file

import reference

TEXTS = [
    "Question: A farmer has 12 hens. Each lays 5 eggs a week. How many eggs are that in 4 weeks?\nAnswer:",
    "The quick brown fox jumps over the lazy dog, and then it rests under an old oak tree until the evening comes.",
    "def mean(values):\n    return sum(values) / len(values)\n",
    "Water boils at 100 degrees Celsius at sea level; on a mountain of 3000 metres it boils at about 90.",
    "Grüße aus Köln! Ça va? 你好，世界 😀",
]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--logits", required=True, help="the program built from bench/peers/logits")
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--base", help="the folder for transformers, if it is another one")
    arguments.add_argument("--adapter")
    arguments.add_argument("--load_in_4bit", action="store_true")
    arguments.add_argument("--quant_type", default="nf4")
    arguments.add_argument("--texts", type=pathlib.Path)
    arguments.add_argument("--tolerance", type=float, default=1e-3, help="largest difference of a logit")
    a = arguments.parse_args()

    texts = a.texts.read_text().splitlines() if a.texts else TEXTS
    ids = [reference.tokenizer(a.model).encode(text).ids for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        path, out = pathlib.Path(folder, "ids.jsonl"), pathlib.Path(folder, "logits.safetensors")
        path.write_text("".join(json.dumps(line) + "\n" for line in ids))
        command = [a.logits, "-model", a.model, "-ids", path, "-out", out]
        if a.adapter:
            command += ["-adapter", a.adapter]
        if a.load_in_4bit:
            command += ["-load_in_4bit", "-bnb_4bit_quant_type", a.quant_type, "-bnb_4bit_use_double_quant=false"]
        subprocess.run(command, check=True)
        ours = load_file(out)

    model = reference.load(a.base or a.model, a.adapter, reference.quantization(a.quant_type, False) if a.load_in_4bit else None)
    worst = 0.0
    print("tokens  largest |logit|  largest difference  same argmax  loss       its difference")
    for i, line in enumerate(ids):
        with torch.no_grad():
            theirs = model(input_ids=torch.tensor([line])).logits[0].float()
        difference = float((theirs - ours[str(i)]).abs().max())
        same = float((theirs.argmax(-1) == ours[str(i)].argmax(-1)).float().mean())
        loss = float(torch.nn.functional.cross_entropy(theirs[:-1], torch.tensor(line[1:])))
        print(f"{len(line):6d}  {float(theirs.abs().max()):15.4f}  {difference:18.2e}  {same:11.4f}  {loss:.6f}  {abs(loss - float(ours['losses'][i])):.2e}")
        worst = max(worst, difference, abs(loss - float(ours["losses"][i])))
    print(f"largest difference {worst:.2e}, tolerance {a.tolerance:.0e}")
    sys.exit(not worst <= a.tolerance)


main()
