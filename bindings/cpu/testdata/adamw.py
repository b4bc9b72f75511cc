"""Writes adamw.json: steps of torch.optim.AdamW (foreach and fused off) on the
CPU, every number as the bits of its float32. Run: python adamw.py > adamw.json"""

import json

import torch


def bits(t):
    return [v & 0xFFFFFFFF for v in t.detach().view(torch.int32).tolist()]


def case(seed, lr, betas, eps, weight_decay, clip, steps=4, n=67):
    g = torch.Generator().manual_seed(seed)
    w = torch.nn.Parameter(torch.randn(n, generator=g))
    opt = torch.optim.AdamW([w], lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=False, fused=False)
    out = {"lr": lr, "beta1": betas[0], "beta2": betas[1], "eps": eps, "decay": weight_decay, "start": bits(w), "steps": []}
    for _ in range(steps):
        grad = torch.randn(n, generator=g) * 10 ** torch.randint(-6, 2, (n,), generator=g).float()
        factor = torch.tensor(clip, dtype=torch.float32)
        w.grad = grad.clone().mul_(factor)
        opt.step()
        s = opt.state[w]
        out["steps"].append({
            "grad": bits(grad), "clip": bits(factor.reshape(1))[0],
            "w": bits(w), "m": bits(s["exp_avg"]), "v": bits(s["exp_avg_sq"]),
        })
    return out


torch.set_num_threads(1)
print(json.dumps({"torch": torch.__version__, "cases": [
    case(1, 2e-4, (0.9, 0.999), 1e-8, 0.0, 1.0),
    case(2, 1e-3, (0.9, 0.95), 1e-6, 0.1, 0.3),
    case(3, 0.05, (0.3, 0.7), 1e-8, 0.01, 0.7),
]}))
