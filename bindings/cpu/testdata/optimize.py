"""Writes optimize.json: steps of torch.optim's (foreach and fused off) and bitsandbytes' optimizers on the CPU.

Needs torch and bitsandbytes. Run: python optimize.py > optimize.json
Arrays are base64 of little-endian float32, or of the codes of 8-bit moments.
"""

import base64
import json

import bitsandbytes
import numpy as np
import torch
from bitsandbytes.optim.optimizer import Optimizer1State, Optimizer2State

STATES = {"m": ("exp_avg", "momentum_buffer", "state1"), "v": ("exp_avg_sq", "state2"), "m_absmax": ("absmax1",), "v_absmax": ("absmax2",)}


def text(t):
    return base64.b64encode(np.ascontiguousarray(t.detach().numpy()).tobytes()).decode()


def case(rule, make, seed, lr, decay, clip, n=67, steps=4):
    g = torch.Generator().manual_seed(seed)
    w = torch.nn.Parameter(torch.randn(n, generator=g))
    opt = make([w], lr, decay)
    out = {"rule": rule, "lr": lr, "decay": decay, "start": text(w), "steps": []}
    for _ in range(steps):
        grad = torch.randn(n, generator=g) * 10 ** torch.randint(-6, 2, (n,), generator=g).float()
        grad[n // 3] = 0
        factor = torch.tensor(clip, dtype=torch.float32)
        w.grad = grad.clone().mul_(factor)
        opt.step()
        row = {"grad": text(grad), "clip": text(factor.reshape(1)), "w": text(w)}
        for name, keys in STATES.items():
            for key in keys:
                if opt.state[w].get(key) is not None:
                    row[name] = text(opt.state[w][key])
        out["steps"].append(row)
    return out


def adamw(seed, lr, betas, eps, decay, clip):
    make = lambda p, lr, decay: torch.optim.AdamW(p, lr=lr, betas=betas, eps=eps, weight_decay=decay, foreach=False, fused=False)
    return case({"AdamW": {"Beta1": betas[0], "Beta2": betas[1], "Eps": eps}}, make, seed, lr, decay, clip)


def sgd(seed, lr, decay, clip, **kwargs):
    make = lambda p, lr, decay: torch.optim.SGD(p, lr=lr, weight_decay=decay, foreach=False, fused=False, **kwargs)
    return case({"SGD": {k.capitalize(): v for k, v in kwargs.items()}}, make, seed, lr, decay, clip)


def bnb_adamw(seed, lr, betas, eps, decay, clip, bits, n):
    """In 32 bits it equals torch's except for rounding (`apart`): m = b1*m + (1-b1)*g instead of m + (1-b1)*(g-m)."""
    make = lambda p, lr, decay: Optimizer2State("adam", p, lr, betas, eps, decay, bits, min_8bit_size=1)
    return case({"AdamW": {"Beta1": betas[0], "Beta2": betas[1], "Eps": eps}}, make, seed, lr, decay, clip, n) | {"apart": bits == 32}


def lion(seed, lr, betas, decay, clip, bits, n):
    make = lambda p, lr, decay: Optimizer1State("lion", p, lr, betas, 0.0, decay, bits, min_8bit_size=1)
    return case({"Lion": {"Beta1": betas[0], "Beta2": betas[1]}}, make, seed, lr, decay, clip, n)


torch.set_num_threads(1)
cases = [
    adamw(1, 2e-4, (0.9, 0.999), 1e-8, 0.0, 1.0),
    adamw(2, 1e-3, (0.9, 0.95), 1e-6, 0.1, 0.3),
    adamw(3, 0.05, (0.3, 0.7), 1e-8, 0.01, 0.7),
    bnb_adamw(4, 1e-3, (0.9, 0.999), 1e-8, 0.1, 0.7, 32, 67),
    bnb_adamw(5, 1e-3, (0.9, 0.999), 1e-8, 0.1, 0.7, 8, 300),
    bnb_adamw(6, 0.05, (0.8, 0.95), 1e-6, 0.0, 1.0, 8, 255),
    lion(7, 1e-3, (0.9, 0.999), 0.1, 0.7, 32, 67),
    lion(8, 1e-3, (0.9, 0.99), 0.1, 0.7, 8, 300),
    lion(9, 0.05, (0.95, 0.98), 0.0, 1.0, 8, 1),
    sgd(10, 0.1, 0.0, 1.0),
    sgd(11, 0.1, 0.1, 0.7, momentum=0.9),
    sgd(12, 0.1, 0.01, 0.3, momentum=0.9, dampening=0.2),
    sgd(13, 0.1, 0.01, 0.3, momentum=0.8, nesterov=True),
]
print(json.dumps({"torch": torch.__version__, "bitsandbytes": bitsandbytes.__version__, "cases": cases}, indent=0))
