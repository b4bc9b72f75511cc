"""Writes golden.json: bitsandbytes' quantization of known weights on the CPU.

Needs torch and bitsandbytes. Run it in this folder, with OMP_NUM_THREADS=1 on a
machine without AVX-512: torch's order of addition in mean() depends on both.

Weights come from a linear congruential generator that the Go test repeats, so that the
file holds only results; the weights of the odd cases are stored.
"""

import base64
import hashlib
import json

import bitsandbytes.functional as bnb
import numpy as np
import torch

MASK = (1 << 64) - 1


def made(n, block, seed):
    """Returns n near-normal weights, exact in float32: a different scale in each block, every fifth block zero."""
    state, out = seed, np.zeros(n, np.float32)
    for i in range(n):
        total = -4 * 32767
        for _ in range(4):
            state = (state * 6364136223846793005 + 1442695040888963407) & MASK
            total += state >> 48
        scale = (i // block + 1) % 5
        out[i] = np.float32(total // 2 * scale) * np.float32(2**-18)
    return out


def text(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array, dtype=np.float32).tobytes()).hexdigest()


def unpack(packed, n):
    nibbles = torch.empty(2 * packed.numel(), dtype=torch.int64)
    nibbles[::2], nibbles[1::2] = packed.flatten() >> 4, packed.flatten() & 15
    return nibbles[:n]


def quantize(name, x, kind, block, stored, seed=0):
    n = len(x)
    packed, state = bnb.quantize_4bit(torch.from_numpy(x), blocksize=block, quant_type=kind)
    # Not bitsandbytes' own dequantize_4bit alone: on the CPU it is wrong if the inner
    # size is not a multiple of the block size.
    weights = state.code[unpack(packed, n)] * state.absmax.repeat_interleave(block)[:n]
    if n % block == 0 and np.isfinite(x).all():
        theirs = bnb.dequantize_4bit(packed, state).flatten()
        assert torch.equal(theirs, weights), name
    case = {
        "name": name, "kind": kind, "block_size": block, "n": n, "seed": seed,
        "codes": text(packed.numpy()), "absmax": text(state.absmax.numpy()),
        "dequantized_sha256": digest(weights.numpy()) if np.isfinite(x).all() else "",
    }  # fmt: skip
    if stored:
        case["x"] = text(x)
    return case


def odd_cases(kind):
    code = bnb.get_4bit_type(kind, device="cpu")
    ordered = code.sort().values
    ties = ((ordered[1:] + ordered[:-1]) / 2).numpy()
    up, down = np.nextafter(ties, np.float32(2)), np.nextafter(ties, np.float32(-2))
    row = np.concatenate([[np.float32(1)], ties, up, down, code.numpy(), [-0.0, 1e-20]]).astype(np.float32)
    row = np.pad(row, (0, 64 - len(row)))
    yield "ties", row
    yield "ties, scaled", np.concatenate([row * np.float32(s) for s in (0.75, 3.1, 1e-30, 1e30)])
    yield "ties, short block", row[:63]
    yield "ties, scaled short block", (row * np.float32(0.3))[:50]
    tiny = np.array([1e-38, -1e-39, 1e-40, 1e-45, 0.0, -0.0, 5e-39, -1e-38] * 8, np.float32)
    yield "subnormal", np.concatenate([tiny, tiny / 4])
    yield "subnormal, short block", tiny[1:6]
    yield "zeros, short block", np.zeros(5, np.float32)
    yield "one", np.array([-3.0], np.float32)
    bad = np.concatenate([row, row, row, row])
    bad[3], bad[70], bad[140] = np.nan, np.inf, -np.inf
    yield "not finite", bad[:-5]
    yield "not finite, short block", bad[64:120]


def nested(blocks, seed):
    """absmax of several blocks, quantized again."""
    absmax = torch.from_numpy(np.abs(made(blocks, 1 << 40, seed)) + np.float32(0.5))
    offset = absmax.mean()
    codes, state = bnb.quantize_blockwise(absmax - offset, blocksize=256)
    expanded = bnb.dequantize_blockwise(codes, state)
    expanded += offset
    return {
        "blocks": blocks, "seed": seed, "offset": text(offset.numpy()), "absmax": text(state.absmax.numpy()),
        "codes": text(codes.numpy()), "expanded_sha256": digest(expanded.numpy()),
    }  # fmt: skip


golden = {"quantize": [], "nested": [], "mean": [], "codebook": {}}
for kind in ("nf4", "fp4"):
    golden["codebook"][kind] = text(bnb.get_4bit_type(kind, device="cpu").numpy())
    for block in (32, 64, 128, 256, 512, 1024, 2048, 4096):
        for n in (6 * block, 5 * block + block // 2 - 1, 6 * block + 2):
            n = min(n, 8192 if block < 4096 else 12289)
            seed = block * 10 + n
            golden["quantize"].append(quantize("made", made(n, block, seed), kind, block, False, seed))
    for name, x in odd_cases(kind):
        golden["quantize"].append(quantize(name, x, kind, 64, True))
for blocks in (1, 2, 255, 256, 257, 1000, 3000):
    golden["nested"].append(nested(blocks, blocks))
x = made(1_100_000, 64, 7)
for n in (1, 7, 8, 31, 32, 33, 100, 511, 512, 513, 4096, 40_000, 65_536, 100_003, 524_288, 1_100_000):
    golden["mean"].append({"n": n, "mean": text(torch.from_numpy(x[:n]).mean().numpy())})

with open("golden.json", "w") as file:
    json.dump(golden, file, indent=0)
    file.write("\n")
