"""Writes adapters/ and cases.json: results of PEFT's merge_and_unload on the models of trainer/testdata/parity.

    python generate.py        (torch, transformers, peft and bitsandbytes; made with peft 0.21.2, transformers 5.24, bitsandbytes 0.50.2)

A and B have few significant bits, so that their product is exact in float32 and the merged weights have the same bits
in any order of summation. DoRA's norms are not exact: their weights are stored as values, all others as a SHA-256.
"""
import hashlib
import json
import pathlib
import shutil
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

HERE = pathlib.Path(__file__).parent
MODELS = HERE.parents[2] / "trainer" / "testdata" / "parity" / "models"
NAMES = {torch.bfloat16: "bfloat16", torch.float16: "float16", torch.float32: "float32"}

# name: (its model, settings)
ADAPTERS = {
    "qv": ("llama-wide", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    "rslora": ("llama-wide", dict(r=4, lora_alpha=4, use_rslora=True, target_modules="all-linear")),
    "patterns": ("llama-wide", dict(r=2, lora_alpha=4, target_modules=["q_proj", "down_proj"], rank_pattern={"down_proj": 4},
                                    alpha_pattern={"layers.1.self_attn.q_proj": 8})),
    "tied": ("llama-nf4", dict(r=4, lora_alpha=8, target_modules=["k_proj", "up_proj"])),
    "dora": ("llama-wide", dict(r=4, lora_alpha=8, target_modules=["o_proj"], use_dora=True)),
    "head": ("llama-tied", dict(r=4, lora_alpha=8, target_modules=["q_proj"], modules_to_save=["lm_head"])),
    "embedding": ("llama-tied", dict(r=4, lora_alpha=8, target_modules=["q_proj"], modules_to_save=["embed_tokens"])),
    "both": ("llama-tied", dict(r=4, lora_alpha=8, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"],
                                ensure_weight_tying=True)),
    "biased": ("qwen2", dict(r=4, lora_alpha=6, target_modules=["q_proj", "v_proj"], lora_bias=True, alpha_pattern={"v_proj": 8})),
    "biases": ("qwen2", dict(r=2, lora_alpha=4, target_modules=["k_proj"], lora_bias=True, bias="lora_only")),
}
# name: (model, type to load it in, adapters, their factors, quantized to 4 bits after merging)
CASES = {
    "bfloat16": ("llama-wide", torch.bfloat16, ["qv"], None, None),
    "float16": ("llama-wide", torch.float16, ["qv"], None, None),
    "float32": ("llama-wide", torch.float32, ["qv"], None, None),
    "rslora": ("llama-wide", torch.bfloat16, ["rslora"], None, None),
    "patterns": ("llama-wide", torch.bfloat16, ["patterns"], None, None),
    "two": ("llama-wide", torch.float32, ["qv", "rslora"], None, None),
    "weighted": ("llama-wide", torch.float32, ["qv"], [0.5], None),
    "to 4 bits": ("llama-wide", torch.bfloat16, ["rslora"], None, dict(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)),
    "to fp4": ("llama-wide", torch.bfloat16, ["qv"], None, dict(bnb_4bit_quant_type="fp4", bnb_4bit_use_double_quant=False)),
    "stays in 4 bits": ("llama-nf4", torch.float32, ["tied"], None, None),
    "dora": ("llama-wide", torch.bfloat16, ["dora"], None, None),
    "head": ("llama-tied", torch.float32, ["head"], None, None),
    "embedding": ("llama-tied", torch.float32, ["embedding"], None, None),
    "both": ("llama-tied", torch.float32, ["both"], None, None),
    "biased": ("qwen2", torch.bfloat16, ["biased"], None, None),
    "own biases": ("qwen2", torch.bfloat16, ["biases"], None, None),
    "weighted biases": ("qwen2", torch.float32, ["biased"], [0.5], None),
}


def load(model, dtype, **extra):
    return AutoModelForCausalLM.from_pretrained(model, dtype=dtype, device_map="cpu", **extra)


def write_adapter(name, seed):
    base, settings = ADAPTERS[name]
    model = get_peft_model(load(MODELS / base, torch.float32), LoraConfig(task_type="CAUSAL_LM", **settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, p in model.named_parameters():
            if "lora_A" in key or "lora_B" in key or key.endswith("base_layer.bias") and p.requires_grad:
                p.copy_(torch.randint(-16, 17, p.shape, generator=generator) / 64)
            elif "magnitude" in key:
                p.mul_(1 + 0.2 * torch.randn(p.shape, generator=generator))
            elif "modules_to_save" in key and not ("lm_head" in key and settings.get("ensure_weight_tying")):
                p.add_(torch.randint(-16, 17, p.shape, generator=generator) / 64)
    folder = HERE / "adapters" / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = base
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def merged(case, scratch):
    base, dtype, adapters, weights, quantize = CASES[case]
    model = load(MODELS / base, dtype)
    model = PeftModel.from_pretrained(model, HERE / "adapters" / adapters[0], adapter_name=adapters[0])
    for name in adapters[1:]:
        model.load_adapter(HERE / "adapters" / name, adapter_name=name)
    if weights:
        for module in model.modules():
            for name, weight in zip(adapters, weights):
                if hasattr(module, "lora_A") and name in module.scaling:
                    module.scaling[name] *= weight
    model = model.merge_and_unload(adapter_names=adapters)
    if quantize:
        model.save_pretrained(scratch)
        model = load(scratch, dtype, quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32, **quantize))
    # Not save_pretrained: it refuses a model loaded from a 4-bit folder.
    tensors = model.state_dict()
    if model.config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    return tensors, model.config.tie_word_embeddings


def digest(tensor):
    return hashlib.sha256(tensor.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


def main():
    for seed, name in enumerate(ADAPTERS):
        write_adapter(name, seed)
    cases, kept = [], {}
    for name, (base, dtype, adapters, weights, quantize) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            tensors, tied = merged(name, pathlib.Path(folder, "merged"))
        digests = {}
        for key, tensor in sorted(tensors.items()):
            if "quant_state" in key:
                # PEFT quantizes the float32 sum and records float32; the dtype that the base records is ignored.
                continue
            if name == "dora" and "o_proj" in key:
                kept[key] = tensor
            else:
                digests[key] = digest(tensor.reshape(-1))
        cases.append(dict(name=name, model=base, dtype=NAMES[dtype], adapters=adapters, weights=weights, quantize=quantize,
                          tied=tied, sha256=digests))
    (HERE / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
    save_file(kept, HERE / "dora.safetensors", metadata={"format": "pt"})


main()
