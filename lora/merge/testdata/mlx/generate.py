"""Writes lora/, dora/ and head/: adapters of mlx-lm on a model of trainer/testdata/parity, each with fused.safetensors,
the weights of MLX's own fuse() that differ from the model's.

    python generate.py        (mlx[cpu] and mlx-lm on Linux; made with mlx 0.32.4, mlx-lm 0.32.2)

    python generate.py check DIR MODEL OUT      puts the adapter DIR on MODEL with mlx-lm's loader, writes the fused weights
"""
import json
import pathlib
import sys

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters
from mlx_lm.utils import load_model

HERE = pathlib.Path(__file__).parent
MODEL = HERE.parents[3] / "trainer" / "testdata" / "parity" / "models" / "llama-wide"
CASES = {
    "lora": ("lora", 1, {"rank": 4, "dropout": 0.0, "scale": 3.0}),
    "dora": ("dora", 2, {"rank": 2, "dropout": 0.05, "scale": 2.5, "keys": ["self_attn.o_proj", "mlp.up_proj"]}),
    "head": ("lora", 1, {"rank": 4, "dropout": 0.0, "scale": 0.5, "keys": ["self_attn.q_proj", "lm_head"]}),
}


def fused(model):
    """The fused weights of all adapters."""
    weights = {}
    for name, module in model.named_modules():
        if hasattr(module, "fuse") and hasattr(module, "lora_a"):
            weights[name + ".weight"] = module.fuse().weight.astype(mx.float32)
    return weights


def model_of(path):
    model, _ = load_model(pathlib.Path(path))
    model.set_dtype(mx.float32)
    return model


def make(name):
    kind, layers, parameters = CASES[name]
    model = model_of(MODEL)
    model.freeze()
    mx.random.seed(7)
    linear_to_lora_layers(model, layers, dict(parameters), use_dora=kind == "dora")
    for _, module in model.named_modules():
        if hasattr(module, "lora_a"):  # few significant bits: products are exact in float32
            module.lora_a = mx.random.randint(-8, 9, module.lora_a.shape).astype(mx.float32) / 64
            module.lora_b = mx.random.randint(-8, 9, module.lora_b.shape).astype(mx.float32) / 64
            if kind == "dora":
                module.m = module.m * (1 + mx.random.randint(-8, 9, module.m.shape) / 64)
    out = HERE / name
    out.mkdir(exist_ok=True)
    weights = dict(tree_flatten(model.trainable_parameters()))
    mx.save_safetensors(str(out / "adapters.safetensors"), weights)
    config = {"adapter_path": "adapters", "batch_size": 4, "fine_tune_type": kind, "iters": 1000, "lora_parameters": parameters,
              "mask_prompt": False, "model": "llama-wide", "num_layers": layers, "optimizer": "adam", "seed": 0}
    (out / "adapter_config.json").write_text(json.dumps(config, indent=4) + "\n")
    mx.save_safetensors(str(out / "fused.safetensors"), fused(model))


def check(adapter, model, out):
    model = model_of(model)
    load_adapters(model, adapter)
    mx.save_safetensors(out, fused(model))


if sys.argv[1:2] == ["check"]:
    check(*sys.argv[2:])
else:
    for name in CASES:
        make(name)
