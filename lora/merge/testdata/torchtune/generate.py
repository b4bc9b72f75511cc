"""Writes llama/, dora/, qwen/, old/ and meta/: adapters that torchtune's checkpointers save, each with fused.safetensors,
the weights of torchtune's own merge that differ from the model's, under transformers' names.

    python generate.py        (made with torchtune 0.6.1, torchao 0.10, torch 2.15)
"""
import pathlib
import shutil
import tempfile

import torch
import yaml
from safetensors.torch import load_file, save_file
from torchtune import training
from torchtune.models.convert_weights import tune_to_hf
from torchtune.models.llama3 import lora_llama3
from torchtune.models.qwen2 import lora_qwen2
from torchtune.models.qwen2._convert_weights import qwen2_tune_to_hf
from torchtune.modules.peft import get_adapter_state_dict, get_lora_module_names, get_merged_lora_ckpt

HERE = pathlib.Path(__file__).parent
MODELS = HERE.parents[3] / "trainer" / "testdata" / "parity" / "models"
LLAMA = dict(vocab_size=128, num_layers=2, num_heads=4, num_kv_heads=2, embed_dim=64, intermediate_dim=64, max_seq_len=256, norm_eps=1e-6, rope_base=10000)
QWEN = dict(vocab_size=128, num_layers=2, num_heads=4, num_kv_heads=2, embed_dim=32, intermediate_dim=64, max_seq_len=256, tie_word_embeddings=True)
# name: (model, its type, component, builder, sizes, adapters, files that are kept)
CASES = {
    "llama": ("llama-wide", "LLAMA3", "torchtune.models.llama3.lora_llama3", lora_llama3, LLAMA,
              dict(lora_attn_modules=["q_proj", "k_proj", "output_proj"], apply_lora_to_mlp=True, apply_lora_to_output=True, lora_rank=4, lora_alpha=8),
              ["adapter_model.pt", "adapter_model.safetensors", "adapter_config.json", "torchtune_config.yaml"]),
    "dora": ("llama-wide", "LLAMA3", "torchtune.models.llama3.lora_llama3", lora_llama3, LLAMA,
             dict(lora_attn_modules=["q_proj", "v_proj"], lora_rank=2, lora_alpha=4, use_dora=True), ["adapter_model.pt", "torchtune_config.yaml"]),
    "qwen": ("qwen2", "QWEN2", "torchtune.models.qwen2.lora_qwen2", lora_qwen2, QWEN,
             dict(lora_attn_modules=["q_proj", "k_proj"], lora_rank=4, lora_alpha=8), ["adapter_model.pt", "adapter_model.safetensors", "adapter_config.json", "torchtune_config.yaml"]),
    "old": ("llama-wide", "LLAMA3", "torchtune.models.llama3.lora_llama3", lora_llama3, LLAMA,
            dict(lora_attn_modules=["q_proj", "v_proj"], lora_rank=4, lora_alpha=8), ["adapter_model.bin", "adapter_config.json"]),
}


def make(name):
    model_name, kind, component, builder, sizes, how, kept = CASES[name]
    torch.manual_seed(3)
    with tempfile.TemporaryDirectory() as out:
        checkpointer = training.FullModelHFCheckpointer(
            checkpoint_dir=str(MODELS / model_name), checkpoint_files=["model.safetensors"], model_type=kind, output_dir=out,
            safe_serialization=name != "old")
        base = {k: v.float() for k, v in checkpointer.load_checkpoint()["model"].items()}
        model = builder(**sizes, **how)
        print(name, model.load_state_dict(base, strict=False).unexpected_keys)
        for module in model.modules():
            if hasattr(module, "initialize_dora_magnitude"):
                module.initialize_dora_magnitude()
        adapter = get_adapter_state_dict(model.state_dict())
        for key, value in adapter.items():  # few significant bits: products are exact in float32
            if "magnitude" in key:
                value.mul_(1 + torch.randint(-8, 9, value.shape) / 64)
            else:
                value.copy_(torch.randint(-8, 9, value.shape) / 64)
        model.load_state_dict(adapter, strict=False)
        state = {"model": base, "adapter": adapter, "adapter_config": {
            "r": how["lora_rank"], "lora_alpha": how["lora_alpha"], "peft_type": "LORA",
            "target_modules": get_lora_module_names(how["lora_attn_modules"], how.get("apply_lora_to_mlp", False), how.get("apply_lora_to_output", False))}}
        checkpointer.save_checkpoint(dict(state), epoch=0, adapter_only=True)
        merged = get_merged_lora_ckpt({k: v.clone() for k, v in model.state_dict().items()}, rank=how["lora_rank"], alpha=how["lora_alpha"])
        to = HERE / name
        to.mkdir(exist_ok=True)
        for file in pathlib.Path(out).rglob("*"):
            if file.name in kept and file.is_file():
                shutil.copy(file, to / file.name)
        if "torchtune_config.yaml" in kept:
            config = {"output_dir": "out", "model": {"_component_": component, **how, **sizes}, "checkpointer": {"model_type": kind, "output_dir": "${output_dir}"}}
            (to / "torchtune_config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        heads = dict(num_heads=4, num_kv_heads=2, dim=sizes["embed_dim"])
        fused = qwen2_tune_to_hf(merged, **heads, tie_word_embeddings=True) if name == "qwen" else tune_to_hf(merged, **heads)
        original = load_file(MODELS / model_name / "model.safetensors")
        save_file({k: v.contiguous() for k, v in fused.items() if k in original and not torch.equal(v, original[k].float())}, to / "fused.safetensors")


for name in CASES:
    make(name)
