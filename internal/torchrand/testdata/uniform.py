"""Records torch's uniform numbers for uniform_test.go.

usage: uniform.py > uniform.json        (torch 2.15.0)
"""
import json
import math
import zlib

import numpy as np
import torch

out = []


def record(seed, x, **how):
    x = x.numpy().flatten()
    out.append({"seed": seed, "n": x.size, **how, "first": x[:4].view(np.uint32).tolist(), "crc32": zlib.crc32(x.tobytes())})


for seed in (0, 42, 2**32 + 5):
    for n in (1, 15, 16, 1000, 40000):
        g = torch.Generator().manual_seed(seed)
        record(seed, torch.empty(n).uniform_(generator=g), low=0, high=1)
    g = torch.Generator().manual_seed(seed)
    record(seed, torch.empty(1000).uniform_(-0.3, 1.7, generator=g), low=-0.3, high=1.7)
    for rows, columns in ((8, 64), (16, 100), (3, 576)):
        g = torch.Generator().manual_seed(seed)
        weight = torch.nn.init.kaiming_uniform_(torch.empty(rows, columns), a=math.sqrt(5), generator=g)
        record(seed, weight, **{"in": columns})
print(json.dumps(out, indent=1))
