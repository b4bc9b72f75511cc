"""Writes neftune.json: the bounds and the moments of transformers' NEFTune noise.

    python neftune.py        (torch and transformers; made with transformers 5.24)
"""
import json
import pathlib

import torch
from transformers.integrations.neftune import neftune_post_forward_hook

CASES = [(5.0, 4, 300, 64), (15.0, 1, 17, 96), (0.1, 8, 40, 576), (5.0, 3, 2, 64)]  # alpha, sequences, padded length, hidden size


def main():
    torch.manual_seed(1)
    bounds = []
    draw = torch.Tensor.uniform_

    def uniform(self, low, high):
        bounds.append(float(high))
        assert float(low) == -float(high)
        return draw(self, low, high)

    torch.Tensor.uniform_ = uniform
    rows = []
    for alpha, sequences, length, hidden in CASES:
        embedding = torch.nn.Embedding(3, hidden).train()
        embedding.neftune_noise_alpha = alpha
        noise = neftune_post_forward_hook(embedding, None, torch.zeros(sequences, length, hidden))
        rows.append(dict(alpha=alpha, length=length, hidden=hidden, bound=bounds[-1], deviation=float(noise.double().std()),
                         largest=float(noise.abs().max())))
        assert not neftune_post_forward_hook(embedding.eval(), None, torch.zeros(1, 2, 3)).any()
    (pathlib.Path(__file__).parent / "neftune.json").write_text(json.dumps(rows, indent=1) + "\n")


main()
