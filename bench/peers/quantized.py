"""Compares a folder written by `qlora quantize` with bitsandbytes' quantization of the same model, on the CPU.

    qlora quantize --model DIR --output_dir OUT [--bnb_4bit_quant_type fp4] [--bnb_4bit_use_double_quant=false]
    python bench/peers/quantized.py --model DIR --quantized OUT

transformers quantizes DIR with OUT's settings and saves it; every tensor of the two folders is compared: bytes and
shapes, codes, scales and quant_state. Then transformers loads OUT, and the weights that bitsandbytes dequantizes
from both are compared in float32. Exits with 1 if anything differs.
"""
import argparse
import json
import pathlib
import sys
import tempfile

import bitsandbytes.functional as bnb
import torch
from safetensors import safe_open

import reference


def tensors(folder):
    return {name: file for path in sorted(folder.glob("*.safetensors")) for file in [safe_open(path, "pt")] for name in file.keys()}


def compare_files(ours, theirs):
    differ = sorted(set(ours) ^ set(theirs))
    for name in set(ours) & set(theirs):
        x, y = ours[name].get_tensor(name), theirs[name].get_tensor(name)
        if x.dtype != y.dtype or not torch.equal(x, y):
            differ.append(name)
    return differ


def weights(model):
    return {name: module.weight for name, module in model.named_modules() if type(module).__name__ == "Linear4bit"}


def dequantized(weight):
    return bnb.dequantize_4bit(weight.data, weight.quant_state)


def size(folder):
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", required=True, type=pathlib.Path)
    arguments.add_argument("--quantized", required=True, type=pathlib.Path)
    a = arguments.parse_args()

    settings = json.loads((a.quantized / "config.json").read_text())["quantization_config"]
    kind, double = settings["bnb_4bit_quant_type"], settings["bnb_4bit_use_double_quant"]
    how = reference.quantization(kind, double)
    how.llm_int8_skip_modules = settings["llm_int8_skip_modules"]
    theirs = reference.load(a.model, quantize=how, dtype="auto")
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        differ = compare_files(tensors(a.quantized), tensors(pathlib.Path(folder)))
        bytes_theirs = size(pathlib.Path(folder))
    print(f"{kind}, double quantization {double}: {len(tensors(a.quantized))} tensors, {len(differ)} differ {differ[:3]}")
    print(f"bytes of safetensors: {size(a.quantized)} by qlora, {bytes_theirs} by transformers, {size(a.model)} of the base")

    found, wanted = weights(reference.load(a.quantized)), weights(reference.compute_in_float32(theirs))
    largest = max(float((dequantized(found[n]) - dequantized(wanted[n])).abs().max()) for n in wanted)
    print(f"{len(found)} of {len(wanted)} layers loaded in 4 bits; largest difference of a dequantized weight {largest:.3g}")
    sys.exit(bool(differ or largest or set(found) != set(wanted)))


main()
