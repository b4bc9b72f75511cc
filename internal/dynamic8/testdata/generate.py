"""Writes golden.json: bitsandbytes' dynamic maps, and its CPU back end's codes of known blocks.

Needs torch and bitsandbytes. Run it in this folder. Arrays are base64 of little-endian numbers.
"""

import base64
import json

import bitsandbytes.functional as bnb
import numpy as np
import torch


def text(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def blocks(signed):
    rng = np.random.default_rng(8)
    code = bnb.create_dynamic_map(signed).numpy()
    x = (rng.standard_normal(700) * 10.0 ** rng.integers(-7, 2, 700)).astype(np.float32)
    yield "random", x if signed else np.abs(x)
    ties = (code[1:] + code[:-1]) / np.float32(2)
    yield "ties", np.concatenate([ties, [np.float32(1)]])
    yield "values", code * np.float32(3.7)
    yield "short", np.float32([0.25, 0, 1e-9])
    yield "zeros", np.zeros(7, np.float32)
    yield "zeros and others", np.concatenate([np.zeros(256), code[200:240]]).astype(np.float32)
    yield "subnormal", np.float32([1e-38, 1e-40, 1e-45, 0, -0.0])
    yield "not finite", np.float32([np.nan, 1, 0.5, 1e-3])
    yield "infinite", np.float32([np.inf, 1, 0.5])


golden = {}
for signed in (True, False):
    code = bnb.create_dynamic_map(signed)
    cases = []
    for name, x in blocks(signed):
        codes, state = bnb.quantize_blockwise(torch.from_numpy(x.astype(np.float32)), code=code, blocksize=256)
        back = bnb.dequantize_blockwise(codes, state)
        cases.append({"name": name, "x": text(x.astype(np.float32)), "codes": text(codes.numpy()),
                      "absmax": text(state.absmax.numpy()), "back": text(back.numpy())})  # fmt: skip
    golden["signed" if signed else "unsigned"] = {"map": text(code.numpy()), "cases": cases}

with open("golden.json", "w") as file:
    json.dump(golden, file, indent=0)
    file.write("\n")
