"""Writes sampling.json: a small vocabulary's probabilities after transformers' warpers. Run: python sampling.py"""
import json
import pathlib

import torch
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

LOGITS = [1.25, -0.5, 2.0, 0.75, -3.0, 1.0, 1.75, 0.0, -1.25, 1.5]

cases = []
for temperature, top_k, top_p in [(1.0, 0, 1.0), (0.5, 0, 1.0), (1.7, 0, 1.0), (1.0, 3, 1.0), (1.0, 0, 0.6), (0.7, 0, 0.85),
                                  (0.8, 5, 0.7), (2.0, 4, 0.8), (1.3, 50, 0.95), (1.0, 1, 0.5), (1.0, 0, 0.05)]:
    # The order in which generation applies them.
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    left = warpers(torch.zeros(1, 1, dtype=torch.long), torch.tensor([LOGITS], dtype=torch.float64))
    cases.append({"logits": LOGITS, "temperature": temperature, "top_k": top_k, "top_p": top_p, "probabilities": left.softmax(-1)[0].tolist()})
text = ",\n".join(json.dumps(case) for case in cases)
pathlib.Path(__file__).with_name("sampling.json").write_text(f"[\n{text}\n]\n")
