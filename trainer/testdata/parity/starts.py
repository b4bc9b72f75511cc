"""Records adapters initialized from their base, as created and trained by peft on the CPU: PiSSA, OLoRA, LoftQ.

usage: python starts.py              (half a minute; rewrites starts/; models/ and data/ are generate.py's)
needs: the packages of generate.py

  starts/CASE/settings.json    the run under qlora's option names
  starts/CASE/initial/         the adapter as initialized by peft, with its own configuration: a reader recomputes what is subtracted from the base
  starts/CASE/...              of the run from there: log_history.json, gradients.safetensors, final/ as generate.py has them
  starts/CASE/plain/           final/ as save_pretrained(path_initial_model_for_weight_conversion=...) converts it (where peft does that)

With method qlora the base is made as peft documents it: the residual base is saved, and quantized when it is loaded again.
LoftQ's own loftq_init requires a GPU; "cuda" is mapped to the CPU while it runs, and nothing else is changed.
"""
import json
import shutil
import tempfile
import pathlib
from unittest import mock

import bitsandbytes
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import set_seed

import models
from generate import BASE, HERE, OWN, RecordingTrainer, arguments, collate, read_data, save_adapter, write_json

SHORT = dict(lora_r=2, lora_alpha=3, target_modules="q_proj,down_proj", max_steps=6, learning_rate=2e-3)
ONE = dict(lora_alpha=2, target_modules="v_proj,down_proj")  # scale 1: peft's LoftQ omits the scale

# name: (model, settings that differ from BASE, whether the run is recorded too)
CASES = {
    "pissa": ("llama", SHORT | dict(init_lora_weights="pissa", lora_alpha=5, rank_pattern={"down_proj": 3}, alpha_pattern={"q_proj": 1.5}), True),
    "pissa-rslora": ("llama", SHORT | dict(init_lora_weights="pissa", use_rslora=True, max_steps=2), True),
    "pissa-niter": ("llama-wide", SHORT | dict(init_lora_weights="pissa_niter_16"), False),
    "olora": ("llama", SHORT | dict(init_lora_weights="olora"), True),
    "pissa-nf4": ("llama-wide", OWN | SHORT | dict(init_lora_weights="pissa"), True),
    "loftq": ("llama-wide", OWN | SHORT | ONE | dict(init_lora_weights="loftq", loftq_bits=4, loftq_iter=1), True),
    "loftq-twice": ("llama-wide", OWN | SHORT | ONE | dict(init_lora_weights="loftq", loftq_bits=4, loftq_iter=3), True),
}


def on_the_cpu(to):
    def move(self, *args, **kwargs):
        args = ["cpu" if a == "cuda" else a for a in args]
        kwargs = {k: "cpu" if v == "cuda" else v for k, v in kwargs.items()}
        return to(self, *args, **kwargs)
    return move


def begun(settings):
    """Returns a model in float32 with peft's fresh adapters."""
    extra = {}
    if settings["init_lora_weights"] == "loftq":
        extra["loftq_config"] = {"loftq_bits": settings["loftq_bits"], "loftq_iter": settings["loftq_iter"]}
    config = LoraConfig(
        task_type="CAUSAL_LM", r=settings["lora_r"], lora_alpha=settings["lora_alpha"], lora_dropout=0.0, bias="none",
        target_modules=settings["target_modules"].split(","), use_rslora=settings["use_rslora"], init_lora_weights=settings["init_lora_weights"],
        rank_pattern=settings.get("rank_pattern", {}), alpha_pattern=settings.get("alpha_pattern", {}), **extra)
    with mock.patch.object(torch.Tensor, "to", on_the_cpu(torch.Tensor.to)), \
         mock.patch.object(bitsandbytes.nn.Params4bit, "to", on_the_cpu(bitsandbytes.nn.Params4bit.to)):
        return get_peft_model(models.load(HERE / settings["model"]), config)


def quantized(model, settings, scratch):
    """Returns model's adapters on the residual base, which is quantized on loading."""
    model.save_pretrained(scratch / "adapter")
    path = scratch / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"init_lora_weights": True, "loftq_config": {}}))
    model.unload().save_pretrained(scratch / "rest")
    rest = models.load(scratch / "rest", models.quantization(settings["bnb_4bit_quant_type"], settings["bnb_4bit_use_double_quant"]))
    return PeftModel.from_pretrained(rest, scratch / "adapter", is_trainable=True)


def run_case(name, model_name, changes, trains, scratch):
    folder = HERE / "starts" / name
    settings = {"model": f"models/{model_name}"} | BASE | changes
    set_seed(5)
    model = begun(settings)
    save_adapter(model, folder / "initial", settings["model"])
    write_json(folder / "settings.json", settings | {"adapter": f"starts/{name}/initial"})
    if not trains:
        return
    plain = settings["method"] == "lora" and not (settings["use_rslora"] and settings.get("rank_pattern"))
    if plain:
        model.peft_config["default"].init_lora_weights = True  # else the conversion would subtract the initialization a second time
        model.save_pretrained(scratch / "first")
        model.peft_config["default"].init_lora_weights = settings["init_lora_weights"]
    else:
        model = quantized(model, settings, scratch)
    trainer = RecordingTrainer(model=model, args=arguments(settings, scratch / "run"), data_collator=collate, train_dataset=read_data(HERE / settings["dataset"]))
    trainer.settings = settings
    trainer.train()
    timed = ("runtime", "per_second", "total_flos")
    write_json(folder / "log_history.json", [{k: v for k, v in row.items() if not k.endswith(timed)} for row in trainer.state.log_history])
    save_file({k: v.contiguous() for k, v in trainer.first_gradients.items()}, folder / "gradients.safetensors")
    save_adapter(model, folder / "final", settings["model"])
    if plain:
        save_adapter(model, folder / "plain", settings["model"], path_initial_model_for_weight_conversion=str(scratch / "first"))
    print(name, [round(row["loss"], 4) for row in trainer.state.log_history if "loss" in row], flush=True)


def main():
    torch.set_num_threads(1)
    shutil.rmtree(HERE / "starts", ignore_errors=True)
    for name, (model, changes, trains) in CASES.items():
        with tempfile.TemporaryDirectory() as scratch:
            run_case(name, model, changes, trains, pathlib.Path(scratch))


if __name__ == "__main__":
    main()
