"""Writes the files of this folder with torch.save (made with torch 2.15).

    python generate.py
"""
import collections
import os
import pathlib
import pickle

import torch

HERE = pathlib.Path(__file__).parent
count = torch.arange(24, dtype=torch.float32)


def save(name, value, **how):
    torch.save(value, HERE / name, **how)


class Runs:
    """A class that a pickle can name, with a call."""

    def __reduce__(self):
        return os.system, ("touch /tmp/torchfile-ran",)


layer = torch.nn.Linear(3, 2)
with torch.no_grad():
    layer.weight.copy_(count[:6].view(2, 3))
    layer.bias.copy_(count[6:8])

save("state_dict.pt", layer.state_dict())
save("types.pt", {"f32": count[:2], "f16": count[2:4].half().clone(), "bf16": count[4:6].bfloat16(), "f64": count[:2].double(), "i64": count[:3].long(),
                  "u8": count[:5].byte(), "scalar": torch.tensor(7.0), "empty": torch.zeros(0, 4)})
save("views.pt", collections.OrderedDict(whole=count.view(4, 6), transposed=count.view(4, 6).t(), part=count[10:14], column=count.view(4, 6)[:, 2]))
save("parameters.pt", {"w": torch.nn.Parameter(count[:4].clone())})
save("protocol4.pt", {"w": count[:4].clone()}, pickle_protocol=4)
save("runs.pt", {"w": Runs()})
save("nested.pt", {"model": {"w": count[:4].clone()}})
save("number.pt", {"step": 7})
save("list.pt", [count[:4].clone()])
save("old.pt", {"w": count[:4].clone()}, _use_new_zipfile_serialization=False)
