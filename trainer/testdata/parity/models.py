"""The tiny random models of the parity data: one per family and per rope scaling that qlora reads.

Weights are drawn with a fixed seed at scales that keep signals near one, so that a wrong norm, bias, window or
rotation moves the loss visibly. Weights stored in bfloat16 are rounded before any computation.
"""
import json
import pathlib

import torch
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

VOCAB = 128
SMALL = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=256, bos_token_id=None, eos_token_id=None, tie_word_embeddings=False)
# Inner sizes are multiples of 64: for others bitsandbytes 0.50.2 dequantises wrongly on the CPU.
WIDE = SMALL | dict(hidden_size=64)


def rope(kind, **settings):
    return {"rope_type": kind, "rope_theta": 10000.0} | settings


# name: (config, stored dtype, dialect of config.json)
FLOAT = {
    "llama": (LlamaConfig(**SMALL, rope_parameters=rope("default")), torch.float32, "new"),
    "llama-tied": (LlamaConfig(**SMALL | dict(tie_word_embeddings=True), pad_token_id=2), torch.float32, "old"),
    "llama-llama3": (LlamaConfig(**SMALL | dict(tie_word_embeddings=True), rope_parameters=rope(
        "llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)),
        torch.bfloat16, "old"),
    "llama-linear": (LlamaConfig(**SMALL, rope_parameters=rope("linear", factor=4.0)), torch.bfloat16, "old"),
    "llama-yarn": (LlamaConfig(**SMALL, rope_parameters=rope("yarn", factor=4.0, original_max_position_embeddings=64)), torch.bfloat16, "new"),
    "llama-head-dim": (LlamaConfig(**SMALL, head_dim=16), torch.bfloat16, "new"),
    "mistral": (MistralConfig(**SMALL, sliding_window=8), torch.bfloat16, "old"),
    "qwen2": (Qwen2Config(**SMALL | dict(tie_word_embeddings=True)), torch.bfloat16, "old"),
    "qwen2-window": (Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=8, max_window_layers=1), torch.bfloat16, "new"),
    "qwen3": (Qwen3Config(**SMALL | dict(tie_word_embeddings=True), head_dim=16), torch.bfloat16, "new"),
    "llama-wide": (LlamaConfig(**WIDE), torch.bfloat16, "new"),
}
# As small as possible, for runs that store whole matrices.
NARROW = SMALL | dict(hidden_size=8, intermediate_size=16, num_attention_heads=2, num_key_value_heads=1)
SMALLEST = {
    "narrow": LlamaConfig(**NARROW),
    "narrow-tied": LlamaConfig(**NARROW | dict(tie_word_embeddings=True)),
}
# Stored only as written by bitsandbytes: NF4 with double quantization.
NF4 = {
    "llama-nf4": LlamaConfig(**WIDE | dict(tie_word_embeddings=True)),
    "mistral-nf4": MistralConfig(**WIDE, sliding_window=8),
    "qwen2-nf4": Qwen2Config(**WIDE),
    "qwen3-nf4": Qwen3Config(**WIDE | dict(tie_word_embeddings=True), head_dim=32),
}


def quantization(quant_type, double):
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=quant_type, bnb_4bit_use_double_quant=double,
                              bnb_4bit_compute_dtype=torch.float32)


def random_model(config, seed):
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if "norm" in name:
                weight.copy_(1 + 0.2 * noise)
            elif name.endswith("bias"):
                weight.copy_(0.3 * noise)
            elif "embed" in name:
                weight.copy_(0.5 * noise)
            else:
                weight.copy_(noise / weight.shape[1] ** 0.5)
    return model


def to_old_dialect(folder):
    """Rewrites config.json as transformers 4 wrote it: rope_theta, rope_scaling and torch_dtype at the top level."""
    path = folder / "config.json"
    before = AutoConfig.from_pretrained(folder)
    config = json.loads(path.read_text())
    scaling = config.pop("rope_parameters")
    config["rope_theta"] = scaling.pop("rope_theta")
    kind = scaling.pop("rope_type")
    if kind == "linear":
        config["rope_scaling"] = {"type": kind} | scaling
    else:
        config["rope_scaling"] = None if kind == "default" else {"rope_type": kind} | scaling
    config["torch_dtype"] = config.pop("dtype")
    config.pop("layer_types", None)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    after = AutoConfig.from_pretrained(folder)
    assert {k: v for k, v in before.rope_parameters.items()} == {k: after.rope_parameters.get(k) for k in before.rope_parameters}, folder


def write_all(folder: pathlib.Path, scratch: pathlib.Path):
    for seed, (name, (config, dtype, dialect)) in enumerate(FLOAT.items()):
        random_model(config, 100 + seed).to(dtype).save_pretrained(folder / name)
        if dialect == "old":
            to_old_dialect(folder / name)
        (folder / name / "generation_config.json").unlink(missing_ok=True)
    for seed, (name, config) in enumerate(SMALLEST.items()):
        random_model(config, 300 + seed).save_pretrained(folder / name)
        (folder / name / "generation_config.json").unlink(missing_ok=True)
    for seed, (name, config) in enumerate(NF4.items()):
        random_model(config, 200 + seed).save_pretrained(scratch / name)
        model = AutoModelForCausalLM.from_pretrained(scratch / name, dtype=torch.float32, device_map="cpu",
                                                     quantization_config=quantization("nf4", True))
        model.save_pretrained(folder / name)
        (folder / name / "generation_config.json").unlink(missing_ok=True)


def load(path, quantize=None):
    """Loads a folder for computing in float32; bitsandbytes' bfloat16 shortcut of newer CPUs is switched off."""
    extra = {"quantization_config": quantize} if quantize is not None else {}
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, device_map="cpu", attn_implementation="eager", **extra)
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.support_avx512bf16_for_cpu = False
            module.compute_dtype = torch.float32
    return model
