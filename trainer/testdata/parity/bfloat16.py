"""Records the losses of some of generate.py's cases computed in bfloat16, from the same starts: what the real tools' own rounding does to a run.

usage: python bfloat16.py    (a few minutes; rewrites bfloat16.json)
needs: generate.py's packages and recordings

Weights that are not trained are loaded in bfloat16, bnb_4bit_compute_dtype is bfloat16, adapters are float32 and Trainer runs with bf16, as QLoRA's
scripts do. Where weights of the base are trained (method full, modules_to_save, trainable_token_indices), all are loaded in float32, since Trainer
keeps no masters.

  bfloat16.json   by case: loss and grad_norm of each step, eval_loss of each evaluation
"""
import json
import pathlib
import tempfile

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

import optimizers
from generate import HERE, RecordingTrainer, arguments, collate, read_data

CASES = (
    "llama-lora", "mistral-lora", "qwen2-lora", "qwen3-lora", "llama-full", "llama-nf4-dq", "mistral-nf4-dq", "qwen2-nf4-dq", "qwen3-nf4-dq",
    "llama-fp4", "llama-dora-nf4-dq", "llama-modules", "llama-tokens-nf4-dq", "llama-head-nf4-dq", "llama-evaluate",
)


def base_model(settings, dtype):
    extra = {}
    if settings["method"] == "qlora" and not settings["model"].endswith("-nf4"):
        extra["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type=settings["bnb_4bit_quant_type"], bnb_4bit_use_double_quant=settings["bnb_4bit_use_double_quant"],
            bnb_4bit_compute_dtype=torch.bfloat16)
    model = AutoModelForCausalLM.from_pretrained(HERE / settings["model"], dtype=dtype, device_map="cpu", attn_implementation="eager", **extra)
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.support_avx512bf16_for_cpu = False  # another layout, for inference
            module.compute_dtype = torch.bfloat16
    return model


def run_case(name, scratch):
    settings = json.loads((HERE / name / "settings.json").read_text())
    trained = settings["method"] == "full" or "modules_to_save" in settings or "trainable_token_indices" in settings
    tuned = base_model(settings, torch.float32 if trained else torch.bfloat16)
    if settings["method"] != "full":
        tuned = PeftModel.from_pretrained(tuned, HERE / settings["adapter"], is_trainable=True)
    RecordingTrainer.settings = settings
    trainer = RecordingTrainer(
        optimizers=(optimizers.lora_plus(settings, tuned), None), model=tuned, args=arguments(settings, scratch / name, bf16=True), data_collator=collate, train_dataset=read_data(HERE / settings["dataset"]),
        eval_dataset=read_data(HERE / settings["eval_dataset"]) if "eval_dataset" in settings else None)
    trainer.train()
    kinds = ("loss", "grad_norm", "eval_loss")
    return {kind: rows for kind in kinds if (rows := [float(row[kind]) for row in trainer.state.log_history if kind in row])}


def main():
    torch.set_num_threads(1)
    rows = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in CASES:
            rows[name] = run_case(name, pathlib.Path(scratch))
            print(name, *(f"{x:.4f}" for x in (rows[name]["loss"][0], rows[name]["loss"][-1])), flush=True)
    (HERE / "bfloat16.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
