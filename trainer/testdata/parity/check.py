"""Checks the recorded runs against plain torch: no Trainer, no accelerate, and bitsandbytes' weights decoded from their codes.

usage: python check.py               (about a minute; exit status 1 if something differs)

Replayed here: data order, accumulation windows, loss per predicted token, clipping, decay groups, optimizers, schedules, holes.
Not replayed: the order of group_by_length, eval_loss, and 8-bit moments (bindings/cpu/testdata/optimize.py records their steps). The models' forward and backward are still transformers' and peft's.
"""
import json
import math
import sys

import torch
from bitsandbytes.functional import dequantize_4bit
from peft import PeftModel
from safetensors.torch import load_file

from generate import HERE, base_model, collate, name_in_file, read_data
from optimizers import options

NF4 = torch.tensor([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0])


def multiplier(settings, step, total):
    warmup = settings["warmup_steps"]
    warmup = math.ceil(total * warmup) if 0 < warmup < 1 else int(warmup)
    kind = settings["lr_scheduler_type"]
    if kind == "constant":
        return 1.0
    if step < warmup:
        return step / max(1, warmup)
    if kind == "constant_with_warmup":
        return 1.0
    progress = (step - warmup) / max(1, total - warmup)
    return 1 - progress if kind == "linear" else 0.5 * (1 + math.cos(math.pi * progress))


def windows(settings, records):
    """Yields the micro-batches of each optimizer step, epoch after epoch."""
    size, accumulation = settings["per_device_train_batch_size"], settings["gradient_accumulation_steps"]
    epoch = 0
    while True:
        generator = torch.Generator().manual_seed(settings.get("data_seed", settings["seed"]) + epoch)
        order = torch.randperm(len(records), generator=generator).tolist()
        batches = [collate([records[i] for i in order[at:at + size]]) for at in range(0, len(order), size)]
        for at in range(0, len(batches), accumulation):
            yield batches[at:at + accumulation]
        epoch += 1


def dequantized_error(model):
    """Returns the largest difference between NF4 weights decoded from their codes and the layers' effective weights."""
    worst = 0.0
    for module in model.modules():
        if type(module).__name__ != "Linear4bit" or module.weight.quant_state.quant_type != "nf4":
            continue
        state = module.weight.quant_state
        absmax = state.absmax
        if state.nested:
            inner = state.state2
            absmax = inner.code[absmax.long()] * inner.absmax.repeat_interleave(inner.blocksize)[:absmax.numel()] + state.offset
        packed = module.weight.data.flatten()
        codes = torch.stack([packed >> 4, packed & 15], dim=1).flatten().long()
        weight = (NF4[codes] * absmax.repeat_interleave(state.blocksize)).view(state.shape)
        used = dequantize_4bit(module.weight.data, state)
        identity = torch.eye(module.in_features)
        multiplied = (module(identity) - (module.bias if module.bias is not None else 0)).T
        worst = max(worst, float((weight - used).abs().max()), float((weight - multiplied).abs().max()) / 4)
    return worst


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, algorithm 2."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * torch.sign(beta1 * m + (1 - beta1) * p.grad))
                m.copy_(beta2 * m + (1 - beta2) * p.grad)


def make_optimizer(settings, trained):
    """Groups parameters by name and shape. With LoRA+, B and vectors get a higher rate, and norms decay, too."""
    faster = settings.get("loraplus_lr_ratio", 0)
    stays = lambda n: n.endswith("bias") or "norm" in n and not faster
    groups = [{"params": [p], "weight_decay": 0.0 if stays(n) else settings["weight_decay"],
               "lr": settings["learning_rate"] * (faster if faster and ("lora_B" in n or p.ndim == 1) else 1)} for n, p in trained.items()]
    betas, name, given = (settings["adam_beta1"], settings["adam_beta2"]), settings.get("optim", "adamw_torch"), options(settings)
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=float(given.get("momentum", 0)), nesterov=given.get("nesterov") == "true")
    if "lion" in name:
        return Lion(groups, dict(betas=betas))
    return torch.optim.AdamW(groups, betas=betas, eps=settings["adam_epsilon"])


def replay(name, settings):
    log = [row for row in json.loads((HERE / name / "log_history.json").read_text()) if "loss" in row]
    model = base_model(settings)
    quantization_error = dequantized_error(model)
    if settings["method"] != "full":
        model = PeftModel.from_pretrained(model, HERE / settings["adapter"], is_trainable=True)
    model.train()
    trained = {name_in_file(n): p for n, p in model.named_parameters() if p.requires_grad}
    stored = {name_in_file(n): p for n, p in model.named_parameters(remove_duplicate=False)}  # includes a tied matrix's other name
    optimizer = make_optimizer(settings, trained)
    factors = [group["lr"] / settings["learning_rate"] for group in optimizer.param_groups]
    worst = dict(loss=0.0, norm=0.0, rate=0.0, gradient=0.0, final=0.0)
    for step, (row, window) in enumerate(zip(log, windows(settings, list(read_data(HERE / settings["dataset"]))))):
        predicted = sum(int((b["labels"][:, 1:] != -100).sum()) for b in window)
        optimizer.zero_grad()
        total = 0.0
        for batch in window:
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
            loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=-100,
                                                     label_smoothing=settings.get("label_smoothing_factor", 0.0), reduction="sum") / max(1, predicted)
            loss.backward()
            total += loss.item()
        if step == 0:
            for n, want in load_file(HERE / name / "gradients.safetensors").items():
                worst["gradient"] = max(worst["gradient"], float((trained[n].grad - want).norm() / want.norm().clamp_min(1e-12)))
        norm = torch.stack([p.grad.norm() for p in trained.values()]).norm()
        if settings["max_grad_norm"] > 0:
            for p in trained.values():
                p.grad *= min(1.0, settings["max_grad_norm"] / (float(norm) + 1e-6))
        rate = settings["learning_rate"] * multiplier(settings, step, len(log))
        for group, factor in zip(optimizer.param_groups, factors):
            group["lr"] = rate * factor
        optimizer.step()
        worst["loss"] = max(worst["loss"], abs(total - row["loss"]) / max(row["loss"], 1e-12) if row["loss"] else abs(total))
        worst["norm"] = max(worst["norm"], abs(float(norm) - row["grad_norm"]) / row["grad_norm"] if row["grad_norm"] else float(norm))
        worst["rate"] = max(worst["rate"], abs(rate - row["learning_rate"]) / settings["learning_rate"])
    full = settings["method"] == "full"
    for n, want in load_file(HERE / name / ("final.safetensors" if full else "final/adapter_model.safetensors")).items():
        worst["final"] = max(worst["final"], float((stored[n].detach() - want).abs().max() / want.abs().max()))
    return worst | {"dequantize": quantization_error}


def main():
    torch.set_num_threads(1)
    # Seen on the recording machine: losses 2.3e-7, norms 6.2e-7, final weights 4.6e-7, gradients 0, dequantized 1.5e-8.
    # The rest is margin for another CPU's order of summation.
    limits = dict(loss=5e-6, norm=1e-5, rate=1e-12, gradient=5e-6, final=1e-5, dequantize=1e-6)
    failed = False
    for case in json.loads((HERE / "index.json").read_text())["cases"]:
        settings = json.loads((HERE / case["name"] / "settings.json").read_text())
        if settings.get("group_by_length") or "8bit" in settings.get("optim", ""):
            continue
        worst = replay(case["name"], settings)
        # Adam with eps 1e-8 turns a near-zero gradient's sign into a whole step: only the losses of those runs are compared.
        over = [k for k, v in worst.items() if v > limits[k] and not (k == "final" and settings["adam_epsilon"] < 1e-5)]
        failed = failed or bool(over)
        print(case["name"], " ".join(f"{k} {v:.1e}" for k, v in worst.items()), "TOO FAR: " + ", ".join(over) if over else "", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
