"""Writes dtypes.safetensors with the safetensors package: a tensor of every type.

Needs torch and safetensors. Run it in this folder.
"""

import torch
from safetensors.torch import save_file

TYPES = [
    "bool", "uint8", "int8", "float8_e5m2", "float8_e4m3fn", "int16", "uint16", "float16",
    "bfloat16", "int32", "uint32", "float32", "complex64", "float64", "int64", "uint64",
]  # fmt: skip

tensors = {f"model.{name}": torch.tensor([1.0, 0.0, 1.0]).to(getattr(torch, name)) for name in TYPES}
tensors["a.empty"] = torch.zeros(0, 5, dtype=torch.uint8)
tensors["scalar"] = torch.tensor(1.5)
tensors['quoted "name" <&> \\ é'] = torch.tensor([7], dtype=torch.int32)
save_file(tensors, "dtypes.safetensors", {"format": "pt"})
