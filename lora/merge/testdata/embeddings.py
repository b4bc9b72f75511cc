"""Writes embeddings/NAME: adapters of PEFT on the ends of a model, each with the logits of the model that it makes.

    python embeddings.py [NAME ...]      (torch, transformers, peft; made with peft 0.21.2, transformers 5.23.0)

adapter_model.safetensors is what save_pretrained wrote for a model whose trained values, and the rows that were added to
its vocabulary, were moved first. logits.safetensors has input_ids and PEFT's logits [tokens, vocabulary].
"""
import json
import pathlib
import shutil
import sys
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
MODELS = HERE.parents[2] / "trainer" / "testdata" / "parity" / "models"

WHOLE = dict(modules_to_save=["embed_tokens", "lm_head"])
TOGETHER = WHOLE | dict(ensure_weight_tying=True)
ENDS = dict(target_modules=["q_proj", "embed_tokens", "lm_head"])
APART = {"embed_tokens": [1, 5], "lm_head": [2, 5, 9]}

# name: (model, rows of a resized vocabulary, save_embedding_layers, settings)
CASES = {
    "saved": ("narrow", None, True, {}),
    "saved-tied": ("narrow-tied", None, True, {}),
    "resized": ("narrow", 5, "auto", {}),
    "resized-tied": ("narrow-tied", 5, "auto", {}),
    "shrunk": ("narrow", -8, "auto", {}),
    "whole-resized": ("narrow", 5, "auto", WHOLE),
    "whole-resized-tied": ("narrow-tied", 5, "auto", WHOLE),
    "whole-resized-together": ("narrow-tied", 5, "auto", TOGETHER),
    "embedding-resized": ("narrow", 5, "auto", dict(modules_to_save=["embed_tokens"])),
    "embedding-resized-tied": ("narrow-tied", 5, "auto", dict(modules_to_save=["embed_tokens"])),
    "tokens": ("narrow", None, "auto", dict(trainable_token_indices=[1, 5, 3])),
    "tokens-tied": ("narrow-tied", None, "auto", dict(trainable_token_indices=[1, 5, 3])),
    "tokens-resized": ("narrow", 5, "auto", dict(trainable_token_indices=[128, 130, 3])),
    "tokens-resized-tied": ("narrow-tied", 5, "auto", dict(trainable_token_indices=[128, 130, 3])),
    "tokens-both": ("narrow", None, "auto", dict(trainable_token_indices=APART)),
    "tokens-apart-tied": ("narrow-tied", None, "auto", dict(trainable_token_indices=APART)),
    "tokens-head": ("narrow", None, "auto", dict(trainable_token_indices={"lm_head": [7]})),
    "tokens-head-tied": ("narrow-tied", None, "auto", dict(trainable_token_indices={"lm_head": [7]})),
    "tokens-same-tied": ("narrow-tied", None, "auto", dict(trainable_token_indices={"embed_tokens": [1, 5], "lm_head": [1, 5]})),
    "lora-embedding": ("narrow", None, "auto", dict(target_modules=["q_proj", "embed_tokens"])),
    "lora-embedding-tied": ("narrow-tied", None, "auto", dict(target_modules=["q_proj", "embed_tokens"])),
    "lora-head": ("narrow", None, "auto", dict(target_modules=["q_proj", "lm_head"])),
    "lora-head-tied": ("narrow-tied", None, "auto", dict(target_modules=["q_proj", "lm_head"])),
    "lora-ends": ("narrow", None, False, ENDS | dict(use_rslora=True, rank_pattern={"lm_head": 3}, alpha_pattern={"embed_tokens": 6})),
    "lora-ends-tied": ("narrow-tied", None, False, ENDS),
    "lora-ends-together": ("narrow-tied", None, False, dict(target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=True)),
    "lora-ends-resized": ("narrow", 5, "auto", ENDS),
    "alpha-zero": ("narrow", None, "auto", dict(lora_alpha=0)),
}


def base(model, more):
    m = AutoModelForCausalLM.from_pretrained(MODELS / model, dtype=torch.float32, device_map="cpu", attn_implementation="eager")
    if more:
        before = m.config.vocab_size
        torch.manual_seed(1)
        m.resize_token_embeddings(before + more)
    return m


def move(model, seed):
    """Moves everything that is trained, and added rows, so that a value that is not read shows."""
    generator = torch.Generator().manual_seed(seed)
    noise = lambda p: torch.randn(p.shape, generator=generator)
    with torch.no_grad():
        for key, p in model.named_parameters():
            if "lora_" in key:
                p.copy_(0.3 * noise(p))
            elif p.requires_grad:
                p.mul_(1 + 0.2 * noise(p))


def write(name, seed):
    model, more, how, settings = CASES[name]
    m = base(model, more)
    if more and more > 0:
        with torch.no_grad():
            generator = torch.Generator().manual_seed(100 + seed)
            for p in {id(e.weight): e.weight for e in (m.get_input_embeddings(), m.get_output_embeddings())}.values():
                p[-more:] += 0.3 * torch.randn(p[-more:].shape, generator=generator)
    if how is True:
        with torch.no_grad():
            m.get_input_embeddings().weight.mul_(1.25)
    m.config._name_or_path = str(MODELS / model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuned = get_peft_model(m, LoraConfig(**dict(task_type="CAUSAL_LM", r=2, lora_alpha=4, target_modules=["q_proj"]) | settings))
        move(tuned, seed)
        folder = HERE / "embeddings" / name
        shutil.rmtree(folder, ignore_errors=True)
        tuned.save_pretrained(folder, save_embedding_layers=how)
    (folder / "README.md").unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = model
    for key in ("target_modules", "modules_to_save"):
        if isinstance(config[key], list):
            config[key].sort()
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    # Read back: what a file lacks is not part of the model.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = PeftModel.from_pretrained(base(model, more), folder).eval()
    ids = torch.tensor([[3, 17, 1, 4, 50, 2, 5, 31, 8, 9] + ([m.config.vocab_size - 1, 128, 130] if more and more > 0 else [7])])
    with torch.no_grad():
        logits = read(input_ids=ids).logits[0].contiguous()
        assert torch.allclose(logits, tuned.eval()(input_ids=ids).logits[0], atol=1e-5), name
    save_file({"input_ids": ids[0].to(torch.int32), "logits": logits}, folder / "logits.safetensors")
    print(name, tuple(logits.shape))


for seed, name in enumerate(CASES):
    if not sys.argv[1:] or name in sys.argv[1:]:
        write(name, seed)
