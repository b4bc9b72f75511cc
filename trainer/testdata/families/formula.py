"""Weights by a formula, so that no weights need to be stored. Package formulaweights does the same in Go.

Element i of a tensor is offset + scale * u, in float64, rounded to float32 and then to the tensor's type. u is in [-1, 1): the
top 24 bits of splitmix64(fnv1a64(SEED + "/" + NAME) + i), divided by 2^23, less 1.
"""
import hashlib
import json
import re

import numpy
import torch

GAMMA, MASK = numpy.uint64(0x9E3779B97F4A7C15), (1 << 64) - 1


def fnv1a64(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK
    return h


def splitmix64(state):
    z = state + GAMMA
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return z ^ (z >> numpy.uint64(31))


def tensor(seed, row):
    count = int(numpy.prod(row["shape"], dtype=numpy.int64))
    with numpy.errstate(over="ignore"):
        drawn = splitmix64(numpy.uint64(fnv1a64(f"{seed}/{row['name']}")) + numpy.arange(count, dtype=numpy.uint64)) >> numpy.uint64(40)
    u = drawn.astype(numpy.float64) / 2**23 - 1
    values = torch.from_numpy((row["offset"] + row["scale"] * u).astype(numpy.float32))
    return values.to(getattr(torch, row["dtype"])).reshape(row["shape"]).contiguous()


def digest(values):
    """Returns the first 16 hexadecimal digits of the bytes' SHA-256."""
    return hashlib.sha256(values.reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()[:16]


def fill(seed, tensors, dtype, rule):
    """Returns the rows of weights.json for tensors' names and shapes, and the tensors themselves."""
    rows, values = [], {}
    for name, like in sorted(tensors.items()):
        offset, scale = rule(name, list(like.shape))
        row = {"name": name, "shape": list(like.shape), "dtype": dtype, "offset": offset, "scale": float(f"{scale:.4g}")}
        values[name] = tensor(seed, row)
        rows.append(row | {"sha256": digest(values[name])})
    return rows, values


def write(path, seed, **lists):
    """Writes one line per tensor."""
    parts = [f'"seed": {json.dumps(seed)}'] + [f'"{key}": [\n' + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]" for key, rows in lists.items()]
    path.write_text("{\n " + ",\n ".join(parts) + "\n}\n")


NORM = re.compile(r"norm|(^|\.)ln_\w+\.")
EMBEDDING = re.compile(r"embed_tokens|embed_in|embed_positions|wte|wpe|word_embeddings|position_embedding")


def base_rule(model, names):
    """Returns offset and scale by name and shape: signals and logits stay near one, no norm is 1 and no bias 0."""
    around = 0.1 if model.startswith(("gemma", "nemotron")) else 1.0  # those multiply by 1 + w
    tied = not any("lm_head" in name or "embed_out" in name for name in names)
    embedding = 0.35 if tied else 1.0

    def rule(name, shape):
        if name.endswith("bias"):
            return 0.05, 0.4
        if NORM.search(name):
            return around, 0.4
        if EMBEDDING.search(name):
            return 0.0, embedding
        conv1d = model == "gpt2"
        inner = shape[0] if conv1d else int(numpy.prod(shape[1:]))
        return 0.0, (3 / max(1, inner)) ** 0.5
    return rule


def adapter_rule(name, shape):
    return (0.0, (1 / shape[1]) ** 0.5) if "lora_A" in name else (0.0, 0.1)
