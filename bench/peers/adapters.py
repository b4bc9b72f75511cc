"""Creates adapters with peft for qlora to start from, on any base. B is random, so that ignoring the adapter shows.

    python bench/peers/adapters.py --model DIR --output_dir OUT
    qlora train --model DIR --adapter OUT/regex --method lora --dataset FILE --output_dir NEXT
    python bench/peers/logits.py --logits ./logits --model DIR --adapter NEXT

OUT gets rslora, regex, list, dora, modules and half (tensors in bfloat16).
"""
import argparse
import pathlib

import torch
from peft import LoraConfig, get_peft_model

import reference

CONFIGS = {
    "rslora": dict(r=8, lora_alpha=16, use_rslora=True, target_modules="all-linear"),
    "regex": dict(r=4, lora_alpha=6, target_modules=r".*\.layers\.[1-3]\.(self_attn\.[qv]|mlp\.down)_proj"),
    "list": dict(r=5, lora_alpha=10, lora_dropout=0.1, target_modules=["o_proj", "layers.0.mlp.up_proj"]),
    "dora": dict(r=8, lora_alpha=16, use_dora=True, target_modules="all-linear"),
    "modules": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], modules_to_save=["lm_head", "embed_tokens", "norm"]),
    "half": dict(r=8, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--output_dir", required=True, type=pathlib.Path)
    a = arguments.parse_args()
    for name, settings in CONFIGS.items():
        model = get_peft_model(reference.load(a.model), LoraConfig(task_type="CAUSAL_LM", **settings))
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for key, p in model.named_parameters():
                if "lora_B" in key:
                    p.copy_(0.02 * torch.randn(p.shape, generator=generator))
                elif "lora_magnitude_vector" in key or "modules_to_save" in key:
                    p.mul_(1 + 0.02 * torch.randn(p.shape, generator=generator))
                if "lora_" in key and name == "half":
                    p.data = p.data.bfloat16()
        model.save_pretrained(a.output_dir / name)
        print(a.output_dir / name)


main()
