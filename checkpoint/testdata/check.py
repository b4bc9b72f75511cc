"""Loads two 4-bit model folders in transformers and bitsandbytes and fails unless all their weights are equal.

    go test ./checkpoint -run TestRewritten -out /some/folder
    python check.py nf4-double /some/folder/nf4-double
"""

import sys

import torch
from bitsandbytes.functional import dequantize_4bit
from transformers import AutoModelForCausalLM


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, device_map="cpu", dtype=torch.bfloat16)


want, got = (dict(load(folder).named_parameters()) for folder in sys.argv[1:3])
assert want.keys() == got.keys(), set(want) ^ set(got)
in_4_bits = 0
for name, w in want.items():
    g = got[name]
    if hasattr(w, "quant_state"):
        in_4_bits += 1
        w, g = (dequantize_4bit(p.data, p.quant_state) for p in (w, g))
    assert w.dtype == g.dtype and torch.equal(w, g), name
assert in_4_bits
print(f"{len(want)} weights are equal, {in_4_bits} of them in 4 bits")
