"""Records torch's random permutations for generator_test.go.

usage: generate.py > torch.json        (torch 2.15.0)
"""
import json
import zlib

import torch

out = []
for seed in (0, 1, 42, 2**31, 2**32 + 5, 12345678901234):
    for n in (0, 1, 2, 7, 100, 5000):
        g = torch.Generator().manual_seed(seed)
        first = torch.randperm(n, generator=g).tolist()
        second = torch.randperm(n, generator=g).tolist()
        crc = lambda p: zlib.crc32(",".join(map(str, p)).encode())
        out.append({"seed": seed, "n": n, "first": first[:8], "first_crc32": crc(first), "second_crc32": crc(second)})
print(json.dumps(out, indent=1))
