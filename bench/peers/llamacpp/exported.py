"""Compares llama.cpp on exported GGUF files with this program on the Hugging Face folder.

usage: exported.py QLORA LOGITS JUDGE MODEL [ADAPTER] [--types f32,q8_0,…] [--out DIR]

QLORA is the program, LOGITS bench/peers/logits built, JUDGE judge.c built. For each type the
base with the adapter is exported and its logits are compared with the program's for base and
adapter in float32: the largest and the mean difference, the mean Kullback-Leibler divergence,
and the share of positions with the same first token. Then the adapter is exported alone
(--adapter_only) and put on the exported base.

--back also reads each file back with this program. Python's gguf dequantizes every tensor of
it, and the values must be those of the file exported again in f32, bit by bit. llama.cpp
multiplies quantized weights with activations that it rounds to 8 bits; on the f32 file it
does not, and has the logits that the program computes from the quantized one.
"""

import argparse
import json
import os
import struct
import subprocess
import tempfile

import gguf
import numpy as np

TEXTS = [
    "The capital of France is Paris, and the capital of Germany is",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "What does Walter wear? Walter wears a green hat and",
    "3.14159 is roughly 22/7; 1,000,000 is a million. Größe, naïve, 你好",
]


def run(*args, **more):
    return subprocess.run(args, check=True, capture_output=True, **more).stdout


def tensors(path):
    with open(path, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(size))
        data = f.read()
    out = {}
    for name, t in header.items():
        if name != "__metadata__":
            lo, hi = t["data_offsets"]
            out[name] = np.frombuffer(data[lo:hi], np.float32).reshape(t["shape"])
    return out


def softmax(x):
    x = x.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def compare(name, want, got):
    d = np.abs(want - got)
    p, q = softmax(want), softmax(got)
    kl = (np.exp(p) * (p - q)).sum(-1).mean()
    same = (want.argmax(-1) == got.argmax(-1)).mean()
    print(f"| {name} | {d.max():.2g} | {d.mean():.2g} | {kl:.2g} | {100 * same:.0f} % |", flush=True)


def same_values(path, plain):
    read = [{t.name: t for t in gguf.GGUFReader(p).tensors} for p in (path, plain)]
    assert read[0].keys() == read[1].keys(), path
    for name, t in read[0].items():
        values = gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32)
        assert np.array_equal(values, read[1][name].data), f"{path}: {name}"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("qlora"), p.add_argument("logits"), p.add_argument("judge"), p.add_argument("model")
    p.add_argument("adapter", nargs="?")
    p.add_argument("--types", default="f32,f16,bf16,q8_0,q6_k,q5_k_m,q4_k_m,q4_0")
    p.add_argument("--out")
    p.add_argument("--back", action="store_true", help="read each file back")
    p.add_argument("--ids", help="texts as token ids, for a model without a tokenizer for text")
    a = p.parse_args()
    out = a.out or tempfile.mkdtemp()
    os.makedirs(out, exist_ok=True)
    ids = os.path.join(out, "ids.txt")

    def export(name, *more, model=a.model):
        path = os.path.join(out, name + ".gguf")
        if os.path.exists(path):
            os.remove(path)
        run(a.qlora, "export", "--model", model, "--outfile", path, *more)
        return path

    def theirs(gguf, *adapter):
        raw = os.path.join(out, "logits.bin")
        run(a.judge, "logits", gguf, ids, raw, *adapter)
        return np.fromfile(raw, np.float32).reshape(-1, words)

    merged = ["--adapter", a.adapter] if a.adapter else []
    first = export("base-f32", "--outtype", "f32")
    if a.ids:
        lines = [json.loads(line) for line in open(a.ids)]
    else:
        said = run(a.judge, "tokens", first, input="\0".join(TEXTS).encode()).decode()
        lines = [[int(i) for i in line.split()] for line in said.splitlines()]
    with open(ids, "w") as f:
        f.writelines(" ".join(map(str, line)) + "\n" for line in lines)
    jsonl = os.path.join(out, "ids.jsonl")
    with open(jsonl, "w") as f:
        f.writelines(json.dumps(line) + "\n" for line in lines)

    def ours(*adapter, model=a.model):
        path = os.path.join(out, "ours.safetensors")
        run(a.logits, "-model", model, *adapter, "-ids", jsonl, "-out", path)
        t = tensors(path)
        return np.concatenate([t[str(i)] for i in range(len(lines))])

    base = ours()
    words = base.shape[1]
    print("| file | largest difference | mean | KL | same first token |\n|---|---|---|---|---|")
    compare("base, f32", base, theirs(first))
    want = base
    if a.adapter:
        want = ours("-adapter", a.adapter)
        compare("(base instead of base and adapter)", want, base)
    for kind in a.types.split(","):
        path = export(kind, *merged, "--outtype", kind)
        got = theirs(path)
        compare(f"merged, {kind}" if a.adapter else kind, want, got)
        if a.back:
            back = ours(model=path)
            compare("its own logits", back, got)
            plain = export("plain", "--outtype", "f32", model=path)
            same_values(path, plain)
            compare("dequantized", back, theirs(plain))
    if a.adapter:
        for kind in ("f32", "f16"):
            alone = export("adapter-" + kind, *merged, "--adapter_only", "--outtype", kind)
            compare(f"base f32, adapter {kind}", want, theirs(first, alone))


main()
