"""Builds Trainer's optimizer from the settings of a recorded run, and records its state."""
import torch
from peft.optimizers import create_loraplus_optimizer
from transformers import Trainer

KEPT = {"state1": "exp_avg", "absmax1": "exp_avg.absmax", "state2": "exp_avg_sq", "absmax2": "exp_avg_sq.absmax"}


def options(settings):
    """Returns optim_args as a dictionary."""
    return dict(pair.split("=") for pair in settings.get("optim_args", "").split(",") if pair)


def arguments(settings):
    """Returns the arguments for TrainingArguments, which ignores bitsandbytes' min_8bit_size: see class_and_arguments."""
    given = {"optim": settings.get("optim", "adamw_torch")}
    if given["optim"] == "sgd":
        given["optim_args"] = settings.get("optim_args")
    return given


def class_and_arguments(settings, args, model):
    """Returns the result of Trainer.get_optimizer_cls_and_kwargs, with min_8bit_size."""
    kind, given = Trainer.get_optimizer_cls_and_kwargs(args, model)
    if "min_8bit_size" in options(settings):
        given["min_8bit_size"] = int(options(settings)["min_8bit_size"])
    return kind, given


def lora_plus(settings, model):
    """Returns peft's optimizer with LoRA+'s groups, or None without LoRA+."""
    if not settings.get("loraplus_lr_ratio"):
        return None
    return create_loraplus_optimizer(
        model, torch.optim.AdamW, lr=settings["learning_rate"], loraplus_lr_ratio=settings["loraplus_lr_ratio"],
        loraplus_weight_decay=settings["weight_decay"], betas=(settings["adam_beta1"], settings["adam_beta2"]), eps=settings["adam_epsilon"],
        **{k: settings[k] for k in ("loraplus_lr_embedding",) if k in settings})


def codes(optimizer, names):
    """Returns the codes and absmax of the 8-bit moments, by parameter."""
    state = getattr(optimizer, "optimizer", optimizer).state  # accelerate wraps it
    kept = {}
    for parameter, name in names.items():
        if state[parameter].get("absmax1") is not None:
            kept |= {f"{name}.{ours}": state[parameter][theirs] for theirs, ours in KEPT.items() if state[parameter].get(theirs) is not None}
    return kept
