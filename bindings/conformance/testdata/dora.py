"""Writes dora.json: results of PEFT's DoRA layer in float64, with a given dropout mask and without dropout.

    python dora.py        (torch and peft; made with peft 0.21.2)
"""
import json
import pathlib

import torch
from peft import LoraConfig, inject_adapter_in_model

TOKENS, IN, OUT, RANK = 3, 5, 4, 2


class Given(torch.nn.Module):
    """A dropout with a given mask."""

    def __init__(self, mask):
        super().__init__()
        self.mask = mask

    def forward(self, x):
        return x * self.mask


def run(probability):
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    model = inject_adapter_in_model(LoraConfig(r=RANK, lora_alpha=3, use_dora=True, lora_dropout=probability, target_modules=["0"]),
                                    torch.nn.Sequential(torch.nn.Linear(IN, OUT))).train()
    layer = model[0]
    weights = {"a": layer.lora_A["default"].weight, "b": layer.lora_B["default"].weight, "magnitude": layer.lora_magnitude_vector["default"].weight}
    with torch.no_grad():
        for w in weights.values():
            w.copy_(torch.randn(w.shape))
    mask = torch.ones(TOKENS, IN)
    if probability > 0:
        mask = (torch.rand(TOKENS, IN) >= probability) / (1 - probability)
        layer.lora_dropout["default"] = Given(mask)
    x, dy = torch.randn(TOKENS, IN, requires_grad=True), torch.randn(TOKENS, OUT)
    y = model(x)
    y.backward(dy)
    row = dict(dropout=probability, scale=layer.scaling["default"], mask=mask, x=x, dy=dy, y=y, dx=x.grad, w=layer.base_layer.weight,
               bias=layer.base_layer.bias, **weights, **{"d" + k: w.grad for k, w in weights.items()})
    return {k: v.detach().flatten().tolist() if torch.is_tensor(v) else v for k, v in row.items()}


def main():
    rows = [run(0.0), run(0.4)]
    (pathlib.Path(__file__).parent / "dora.json").write_text(json.dumps(rows).replace("], ", "],\n ") + "\n")


main()
