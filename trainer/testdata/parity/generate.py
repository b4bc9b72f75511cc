"""Records runs of the real tools for the parity tests: transformers' Trainer, peft and bitsandbytes on the CPU.

usage: python generate.py            (about a minute; rewrites everything in this folder except the scripts)
       python generate.py CASE ...   (these cases only)
needs: torch 2.15.0 transformers 5.23.0 peft 0.21.2 bitsandbytes 0.50.2 accelerate 1.15.0 datasets 5.2.0 safetensors 0.8.0
       (index.json has the versions used)

  index.json            versions and the list of cases, with a line on each
  models/NAME/          config.json + model.safetensors: float32, bfloat16, or a bitsandbytes 4-bit folder (NAME-nf4)
  data/NAME.jsonl       pretokenized records of varying length, labels partly -100
  dequantized.json      dequantized 4-bit weights: SHA-256 of each one's float32 values, of the 4-bit folders and of bases quantized on loading
  forward/NAME.*        NAME.safetensors: logits [tokens, vocabulary] of input_ids; NAME.json: greedy text
  init/KIND/            fresh adapters by peft, for the distribution of init_lora_weights
  CASE/settings.json    the run under qlora's option names; model, dataset, eval_dataset and adapter relative to this folder
  CASE/log_history.json Trainer's log, logging_steps 1, without times
  CASE/initial/         the adapter the run starts from (a PEFT folder; B is not zero, so that every gradient is nonzero)
  CASE/gradients.safetensors  of the first optimizer step: accumulated, before clipping, named as in the adapter's file
  CASE/optimizer.safetensors  codes and absmax of the 8-bit moments after the last step, if any
  CASE/final/           the adapter after the last step; for method full: final.safetensors, all weights in float32
"""
import hashlib
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"

import accelerate, bitsandbytes, datasets, peft, safetensors, torch, transformers  # noqa: E401
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import Trainer, TrainingArguments, set_seed

import models
import optimizers

HERE = pathlib.Path(__file__).resolve().parent

BASE = dict(method="lora", dataset="data/train.jsonl", learning_rate=5e-3, lr_scheduler_type="linear", warmup_steps=0, weight_decay=0.0,
            adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-4, max_grad_norm=1.0, per_device_train_batch_size=2,
            gradient_accumulation_steps=1, max_steps=32, num_train_epochs=3, seed=42, logging_steps=1, save_strategy="no",
            eval_strategy="no", lora_r=4, lora_alpha=8, lora_dropout=0.0, target_modules="all-linear", use_rslora=False, bias="none")
QLORA = dict(method="qlora", bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_blocksize=64, bnb_4bit_compute_dtype="float32")
OWN = QLORA | dict(bnb_4bit_use_double_quant=False)
EPOCHS = dict(max_steps=-1)
EIGHT_BIT = dict(optim_args="min_8bit_size=256", target_modules="q_proj,down_proj", lora_r=9, max_steps=16)
DORA = dict(use_dora=True, lora_r=2, max_steps=8)
TOKENS = dict(target_modules="q_proj,v_proj", lora_r=2, learning_rate=2e-3, max_steps=8)
MODULES = dict(target_modules="v_proj", lora_r=2, learning_rate=2e-3, max_steps=8)

# name: (purpose, model, settings that differ from BASE)
CASES = {
    "llama-lora": ("Llama, GQA, untied, float32 base; linear without warm-up", "llama", {}),
    "llama-accumulate": ("accumulation with a partial last window: 23 records, batch 2, 5 micro-batches; 11 epochs; linear with warm-up steps", "llama",
                         dict(EPOCHS, gradient_accumulation_steps=5, num_train_epochs=11, warmup_steps=4, seed=7, save_strategy="epoch", lora_r=2)),
    "llama-tied-cosine": ("tied head, old config.json; cosine with a warm-up ratio; data_seed differs from seed", "llama-tied",
                          dict(lr_scheduler_type="cosine", warmup_steps=0.1, seed=3, data_seed=11, lora_r=2)),
    "llama3-rope": ("llama3 rope scaling, old config.json; constant_with_warmup", "llama-llama3",
                    dict(lr_scheduler_type="constant_with_warmup", warmup_steps=6, lora_r=2, lora_alpha=4)),
    "llama-linear-rope": ("linear rope scaling with the key `type`; constant schedule", "llama-linear",
                          dict(lr_scheduler_type="constant", lora_r=2, lora_alpha=4)),
    "llama-yarn": ("yarn rope scaling; clipping off", "llama-yarn", dict(max_grad_norm=0.0, learning_rate=2e-3, lora_r=2)),
    "llama-head-dim": ("head_dim unlike hidden/heads; clipping that bites", "llama-head-dim", dict(max_grad_norm=0.05, adam_epsilon=1e-6, lora_r=2)),
    "llama-regex": ("targets by a regular expression that picks single layers; rsLoRA", "llama",
                    dict(target_modules=r".*\.layers\.1\.(self_attn\.[qk]_proj|mlp\.down_proj)", use_rslora=True)),
    "llama-list": ("a list of targets; weight decay on the adapter; eps 1e-8 (hold by its losses)", "llama",
                   dict(target_modules="q_proj,o_proj,up_proj", weight_decay=0.1, adam_epsilon=1e-8, learning_rate=1e-3, adam_beta2=0.95)),
    "llama-holes": ("records without any label, alone in their windows: loss and norm logged as 0, the step still taken; evaluation leaves them out", "llama",
                    dict(dataset="data/holes.jsonl", per_device_train_batch_size=1, target_modules="q_proj,v_proj", eval_dataset="data/holes.jsonl",
                         eval_strategy="steps", eval_steps=16, per_device_eval_batch_size=1)),
    "llama-lengths": ("group_by_length over three epochs with evaluation; data_seed differs from seed", "llama",
                      dict(EPOCHS, dataset="data/long.jsonl", eval_dataset="data/eval.jsonl", group_by_length=True, num_train_epochs=3,
                           per_device_train_batch_size=4, eval_strategy="epoch", per_device_eval_batch_size=3, target_modules="q_proj,v_proj", data_seed=5)),
    "llama-evaluate": ("evaluation every 8 steps while training, batches of 3 records, the last one short", "llama",
                       dict(eval_dataset="data/eval.jsonl", eval_strategy="steps", eval_steps=8, per_device_eval_batch_size=3,
                            target_modules="q_proj,v_proj")),
    "mistral-lora": ("Mistral, window 8 shorter than the sequences; peft's default targets q_proj and v_proj", "mistral",
                     dict(target_modules="q_proj,v_proj", gradient_accumulation_steps=2)),
    "qwen2-lora": ("Qwen2, biases on q, k, v, tied", "qwen2", dict(lora_r=2, lora_alpha=4)),
    "qwen2-window": ("Qwen2, sliding window from layer max_window_layers on", "qwen2-window", dict(lora_r=2, target_modules="k_proj,gate_proj")),
    "qwen3-lora": ("Qwen3, norms on q and k, head_dim unlike hidden/heads", "qwen3", dict(lora_r=2, lora_alpha=4)),
    "llama-full": ("method full: untied head, weight decay on matrices only", "llama",
                   dict(method="full", learning_rate=1e-3, weight_decay=0.1, gradient_accumulation_steps=3)),
    "llama-full-tied": ("method full: tied head and pad_token_id, whose embedding row has no gradient from below", "llama-tied",
                        dict(method="full", learning_rate=1e-3, lr_scheduler_type="cosine", weight_decay=0.05)),
    "llama-nf4-dq": ("NF4 + double quantization, the base in bitsandbytes' own 4-bit folder, tied", "llama-nf4",
                     dict(QLORA, gradient_accumulation_steps=3, warmup_steps=0.2)),
    "mistral-nf4-dq": ("NF4 + double quantization, Mistral", "mistral-nf4", dict(QLORA, lora_r=2, lr_scheduler_type="cosine")),
    "qwen2-nf4-dq": ("NF4 + double quantization, Qwen2", "qwen2-nf4", dict(QLORA, lora_r=2, target_modules="q_proj,k_proj,v_proj,down_proj")),
    "qwen3-nf4-dq": ("NF4 + double quantization, Qwen3; eps 1e-8 (hold by its losses)", "qwen3-nf4",
                     dict(QLORA, lora_r=2, adam_epsilon=1e-8, learning_rate=1e-3)),
    "llama-nf4": ("NF4 without double quantization, quantized from a bfloat16 base", "llama-wide", dict(OWN, lora_r=2)),
    "llama-fp4": ("FP4 without double quantization, quantized from a bfloat16 base", "llama-wide",
                  dict(OWN, bnb_4bit_quant_type="fp4", target_modules="q_proj,v_proj,down_proj", max_grad_norm=0.3)),
    "llama-dora": ("DoRA: magnitudes decay, the step clips; accumulation", "narrow",
                   dict(DORA, target_modules="q_proj,o_proj,up_proj,down_proj", weight_decay=0.1, max_grad_norm=0.3, gradient_accumulation_steps=2)),
    "qwen2-dora": ("DoRA with rsLoRA; the base's biases are no part of the direction", "qwen2",
                   dict(DORA, target_modules="q_proj,k_proj,v_proj", use_rslora=True)),
    "llama-dora-nf4-dq": ("DoRA on NF4 + double quantization", "llama-nf4", dict(QLORA | DORA, target_modules="q_proj,down_proj")),
    "llama-modules": ("modules_to_save: the embedding, an untied head and all norms; those do not decay", "narrow",
                      dict(MODULES, modules_to_save=["lm_head", "embed_tokens", "norm"], weight_decay=0.1)),
    "llama-tied-modules": ("modules_to_save: the embedding of a tied head, which stays behind; with DoRA", "narrow-tied",
                           dict(MODULES, modules_to_save=["embed_tokens"], use_dora=True)),
    "llama-tied-head": ("modules_to_save: a head that was tied, on its own from now on", "narrow-tied", dict(MODULES, modules_to_save=["lm_head"])),
    "llama-tied-together": ("modules_to_save with ensure_weight_tying: one matrix, stored under both names", "narrow-tied",
                            dict(MODULES, modules_to_save=["embed_tokens"], ensure_weight_tying=True)),
    "llama-sgd": ("sgd, whose weight decay is a part of the gradient", "llama", dict(optim="sgd", target_modules="q_proj,v_proj", lora_r=2, learning_rate=0.5, weight_decay=0.01, max_steps=16)),
    "llama-sgd-momentum": ("sgd with Nesterov's momentum", "llama",
                           dict(optim="sgd", optim_args="momentum=0.9,nesterov=true", target_modules="q_proj,v_proj", lora_r=2, learning_rate=0.1,
                                weight_decay=0.01, max_steps=16)),
    "llama-lion": ("Lion: the same bits, unless rounding decides a sign", "llama",
                   dict(optim="lion_32bit", target_modules="q_proj,v_proj", lora_r=2, learning_rate=1e-3, adam_beta2=0.99, weight_decay=0.1,
                        max_steps=16)),
    "llama-paged-adamw": ("bitsandbytes' AdamW in 32 bits", "llama",
                          dict(optim="paged_adamw_32bit", target_modules="q_proj,v_proj", lora_r=2, weight_decay=0.1, max_steps=16)),
    "llama-adamw-8bit": ("AdamW with moments in 8 bits, in blocks of which the last is short", "llama", dict(EIGHT_BIT, optim="adamw_8bit", weight_decay=0.1)),
    "llama-lion-8bit": ("Lion with its momentum in 8 bits: the same bits and codes, unless rounding decides", "llama",
                        dict(EIGHT_BIT, optim="lion_8bit", learning_rate=1e-3, weight_decay=0.1)),
    "llama-loraplus": ("LoRA+: B learns and decays faster than A", "llama", dict(loraplus_lr_ratio=8, target_modules="q_proj,v_proj", lora_r=2, learning_rate=1e-3, weight_decay=0.1, max_steps=16)),
    "llama-loraplus-dora": ("LoRA+ with vectors: magnitudes and norms learn as B does, and norms decay, too", "narrow",
                            dict(DORA, loraplus_lr_ratio=8, target_modules="q_proj,down_proj", modules_to_save=["norm", "lm_head"], learning_rate=1e-3, weight_decay=0.1)),
    "llama-full-8bit": ("method full in 8 bits as Trainer has it: the head is large enough, the embedding stays in 32 bits (only its losses)", "llama",
                        dict(method="full", optim="paged_adamw_8bit", learning_rate=1e-3, weight_decay=0.1, max_steps=16)),
    "llama-patterns": ("rank_pattern, alpha_pattern, layers_to_transform and exclude_modules together", "llama",
                       dict(target_modules="q_proj,v_proj,o_proj,down_proj", lora_r=2, lora_alpha=3, rank_pattern={r"1\.mlp.*": 5, "q_proj": 3},
                            alpha_pattern={"down_proj": 8, "0.self_attn.q_proj": 1.5}, layers_to_transform=["0", "1"],
                            exclude_modules=r".*\.0\.(mlp\.down|self_attn\.o)_proj", max_steps=8)),
    "llama-layer-rslora": ("one layer of two, its ranks scaled by their roots; 4 bits", "llama-wide",
                           dict(OWN, target_modules="k_proj,gate_proj", use_rslora=True, lora_r=2, rank_pattern={"k_proj": 4}, layers_to_transform=["1"], max_steps=8)),
    "qwen2-bias": ("bias all: also those of layers without an adapter; with DoRA; biases do not decay", "qwen2",
                   dict(DORA, bias="all", target_modules="q_proj", weight_decay=0.1)),
    "llama-smoothed": ("label smoothing, also in evaluation; accumulation with batches of unlike counts", "narrow",
                       dict(label_smoothing_factor=0.1, target_modules="q_proj,down_proj", lora_r=2, gradient_accumulation_steps=3,
                            eval_dataset="data/eval.jsonl", eval_strategy="steps", eval_steps=4, per_device_eval_batch_size=3, max_steps=12)),
    "llama-tokens": ("trainable_token_indices of an untied embedding: they decay; the step clips; accumulation", "narrow",
                     dict(TOKENS, trainable_token_indices=[1, 5, 3, 90, 91, 92], weight_decay=0.1, max_grad_norm=0.3, gradient_accumulation_steps=2)),
    "llama-tokens-both": ("trainable_token_indices of the embedding and the untied head, different ones", "narrow",
                          dict(TOKENS, trainable_token_indices={"embed_tokens": [1, 5, 90], "lm_head": [5, 6, 7, 100]})),
    "llama-tokens-tied": ("trainable_token_indices of a tied head: one delta for both; pad_token_id is among them", "llama-tied",
                          dict(TOKENS, trainable_token_indices=[2, 3, 4, 64, 70], gradient_accumulation_steps=3)),
    "llama-tokens-apart": ("trainable_token_indices of a tied embedding and head that differ: two deltas", "narrow-tied",
                           dict(TOKENS, trainable_token_indices={"embed_tokens": [1, 5], "lm_head": [2, 5, 9]})),
    "llama-tokens-nf4-dq": ("trainable_token_indices on NF4 + double quantization, tied", "llama-nf4",
                            dict(QLORA | TOKENS, trainable_token_indices=[5, 6, 99])),
    "llama-ends": ("adapters on the embedding and an untied head; the step clips; accumulation; weight decay", "narrow",
                   dict(TOKENS, target_modules="q_proj,embed_tokens,lm_head", lora_r=3, weight_decay=0.1, max_grad_norm=0.5, gradient_accumulation_steps=2)),
    "llama-ends-tied": ("an adapter on a tied embedding alone, whose pad_token_id has no gradient", "llama-tied",
                        dict(TOKENS, target_modules="q_proj,embed_tokens", use_rslora=True)),
    "llama-head-nf4-dq": ("an adapter on a tied head alone, on NF4 + double quantization", "llama-nf4",
                          dict(QLORA | TOKENS, target_modules="down_proj,lm_head", rank_pattern={"lm_head": 5}, alpha_pattern={"lm_head": 6})),
    "llama-loraplus-ends": ("LoRA+: adapters on embeddings have a rate of their own", "narrow",
                            dict(TOKENS, target_modules="q_proj,embed_tokens,lm_head", loraplus_lr_ratio=8, loraplus_lr_embedding=5e-4, learning_rate=1e-3, weight_decay=0.1)),
    "qwen2-lora-bias": ("lora_bias on layers with and without a bias of their own, which train, too; rsLoRA; the step clips; accumulation; biases do not decay", "qwen2",
                        dict(TOKENS, lora_bias=True, bias="lora_only", target_modules="q_proj,k_proj,o_proj,down_proj", use_rslora=True, lora_alpha=3, weight_decay=0.1,
                             max_grad_norm=0.5, gradient_accumulation_steps=2)),
    "qwen2-lora-bias-nf4-dq": ("lora_bias on NF4 + double quantization; LoRA+: the biases learn as B does", "qwen2-nf4",
                               dict(QLORA | TOKENS, lora_bias=True, target_modules="v_proj,gate_proj", loraplus_lr_ratio=8, learning_rate=1e-3, weight_decay=0.1)),
    "llama-weights": ("a weight column: records of 0.25 to 3, a list with one for each token, and none; label smoothing; accumulation with a partial window; unweighted in evaluation", "narrow",
                      dict(EPOCHS, dataset="data/weights.jsonl", gradient_accumulation_steps=3, num_train_epochs=2, label_smoothing_factor=0.1, target_modules="q_proj,down_proj",
                           lora_r=2, eval_dataset="data/weights.jsonl", eval_strategy="epoch", per_device_eval_batch_size=3)),
}
# Only the log of these is kept, to save space.
ONLY_LOSSES = ["llama-full-8bit"]


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def record(rng, length, unlabelled=False):
    """Counts with a step and a little noise, which a tiny adapter can start to learn. Token 2 is some models' pad."""
    start, step = rng.randrange(models.VOCAB), rng.randrange(1, 6)
    ids = [(start + step * i) % models.VOCAB if rng.random() < 0.9 else rng.randrange(models.VOCAB) for i in range(length)]
    labels = list(ids)
    for i in range(rng.randrange(0, length // 2 + 1)):
        labels[i] = -100
    if length > 12:
        labels[rng.randrange(length // 2, length - 1)] = -100
    return {"input_ids": ids, "labels": [-100] * length if unlabelled else labels}


def weighed(rng, record, i):
    """Adds a weight: of the whole record, of each token, or none."""
    if i % 4 == 1:
        return record | {"weight": [rng.choice((0.5, 1.0, 2.5)) for _ in record["labels"]]}
    return record if i % 4 == 3 else record | {"weight": rng.choice((0.25, 0.75, 1.5, 3.0))}


def write_data(folder):
    rng = random.Random(1)
    folder.mkdir(parents=True)
    sets = {
        "train": [record(rng, rng.randrange(3, 41)) for _ in range(23)],
        "eval": [record(rng, rng.randrange(3, 33)) for _ in range(7)],
        "long": [record(rng, rng.randrange(3, 49)) for _ in range(45)],
        "holes": [record(rng, rng.randrange(4, 25), unlabelled=i % 4 == 1) for i in range(14)],
        "weights": [weighed(rng, record(rng, rng.randrange(4, 25)), i) for i in range(23)],
    }
    for name, records in sets.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


def collate(batch):
    longest = max(len(r["input_ids"]) for r in batch)
    pad = lambda row, value: row + [value] * (longest - len(row))
    return {"input_ids": torch.tensor([pad(r["input_ids"], 0) for r in batch]),
            "attention_mask": torch.tensor([pad([1] * len(r["input_ids"]), 0) for r in batch]),
            "labels": torch.tensor([pad(r["labels"], -100) for r in batch])} | weights(batch, longest)


def weights(batch, longest):
    """Returns the tokens' weights of records that have a column of them."""
    if not any("weight" in r for r in batch):
        return {}
    rows = []
    for r in batch:
        w = r.get("weight", 1.0)
        row = w if isinstance(w, list) else [w] * len(r["labels"])
        rows.append(row + [0.0] * (longest - len(row)))
    return {"weights": torch.tensor(rows)}


def read_data(path):
    """Returns a Dataset or, of records with weights, whose column has no one type, a list."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return records if any("weight" in r for r in records) else datasets.Dataset.from_list(records)


def targets(value):
    """A string of bare names is a list; `all-linear` and regular expressions go to peft as they are."""
    return value.split(",") if value.replace(",", "").replace("_", "").isalnum() else value


def save_adapter(model, folder, model_path, **how):
    """Writes the PEFT folder with a relative base path, targets sorted (peft writes a set) and no model card. how is save_pretrained's."""
    model.save_pretrained(folder, **how)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = model_path
    for key in ("target_modules", "modules_to_save"):
        if isinstance(config[key], list):
            config[key].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def name_in_file(name):
    """Returns the name in peft's file of a parameter of its model."""
    name = name.replace(".modules_to_save.default.", ".").replace(".default", "")
    return name.removesuffix(".weight") if name.endswith("lora_magnitude_vector.weight") else name


class RecordingTrainer(Trainer):
    """Keeps the first step's accumulated gradients before clipping."""

    first_gradients = None
    settings = None  # of the case

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Weighs the tokens' losses in training, over the number of the window's labels, which is Trainer's divisor."""
        weights = inputs.pop("weights", None)
        if weights is None or not model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch=num_items_in_batch)
        labels = inputs["labels"][:, 1:]
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none", ignore_index=-100,
                                                   label_smoothing=self.args.label_smoothing_factor)
        return (losses * weights[:, 1:]).sum() / num_items_in_batch

    def keep(self, model):
        if self.first_gradients is None:
            self.first_gradients = {name_in_file(name): p.grad.detach().clone()
                                    for name, p in model.named_parameters() if p.requires_grad}

    def get_optimizer_cls_and_kwargs(self, args, model=None):
        return optimizers.class_and_arguments(self.settings, args, model)

    def _clip_grad_norm(self, model):
        self.keep(model)
        return super()._clip_grad_norm(model)

    def _get_grad_norm(self, model, grad_norm=None):
        self.keep(model)
        return super()._get_grad_norm(model, grad_norm=grad_norm)


def base_model(settings):
    quantize = None
    if settings["method"] == "qlora" and not settings["model"].endswith("-nf4"):
        quantize = models.quantization(settings["bnb_4bit_quant_type"], settings["bnb_4bit_use_double_quant"])
    return models.load(HERE / settings["model"], quantize)


def adapted(settings, folder, seed):
    set_seed(seed)
    model = get_peft_model(base_model(settings), LoraConfig(
        task_type="CAUSAL_LM", r=settings["lora_r"], lora_alpha=settings["lora_alpha"], lora_dropout=0.0, bias=settings["bias"],
        target_modules=targets(settings["target_modules"]), use_rslora=settings["use_rslora"], **{
            k: settings[k] for k in ("use_dora", "lora_bias", "modules_to_save", "ensure_weight_tying", "rank_pattern", "alpha_pattern", "exclude_modules",
            "trainable_token_indices") if k in settings},
        layers_to_transform=[int(n) for n in settings["layers_to_transform"]] if "layers_to_transform" in settings else None))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name or "lora_embedding_A" in name:
                weight.normal_(0, 0.05)
            elif "lora_A" not in name and weight.requires_grad:  # so that the file's values show
                weight.mul_(1 + 0.1 * torch.randn(weight.shape))
    save_adapter(model, folder / "initial", settings["model"])
    # Read back, so that the run matches one started from the files.
    return PeftModel.from_pretrained(base_model(settings), folder / "initial", is_trainable=True)


def arguments(settings, scratch, **more):
    same = ("learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm",
            "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "max_steps", "num_train_epochs", "seed",
            "data_seed", "label_smoothing_factor", "logging_steps", "save_strategy", "eval_strategy", "eval_steps")
    return TrainingArguments(output_dir=str(scratch), use_cpu=True, remove_unused_columns=False, report_to="none", disable_tqdm=True, **optimizers.arguments(settings),
                             train_sampling_strategy="group_by_length" if settings.get("group_by_length") else "random",
                             **{k: settings[k] for k in same if k in settings}, **more)


def run_case(name, model, changes, seed, scratch):
    folder = HERE / name
    settings = {"model": f"models/{model}"} | BASE | changes
    if settings["method"] == "full":
        settings = {k: v for k, v in settings.items() if not k.startswith("lora_") and k not in ("target_modules", "use_rslora", "bias")}
        tuned = base_model(settings)
    else:
        settings["adapter"] = f"{name}/initial"
        tuned = adapted(settings, folder, seed)
    RecordingTrainer.settings = settings
    trainer = RecordingTrainer(
        optimizers=(optimizers.lora_plus(settings, tuned), None), model=tuned, args=arguments(settings, scratch / name), data_collator=collate, train_dataset=read_data(HERE / settings["dataset"]),
        eval_dataset=read_data(HERE / settings["eval_dataset"]) if "eval_dataset" in settings else None)
    trainer.train()
    write_json(folder / "settings.json", settings)
    timed = ("runtime", "per_second", "total_flos")
    write_json(folder / "log_history.json", [{k: v for k, v in row.items() if not k.endswith(timed)} for row in trainer.state.log_history])
    if name in ONLY_LOSSES:
        report(name, trainer)
        return
    save_file({k: v.contiguous() for k, v in trainer.first_gradients.items()}, folder / "gradients.safetensors")
    if codes := optimizers.codes(trainer.optimizer, {p: name_in_file(n).removeprefix("base_model.model.") for n, p in tuned.named_parameters()}):
        save_file({k: v.contiguous() for k, v in codes.items()}, folder / "optimizer.safetensors")
    if settings["method"] == "full":
        save_file({k: p.detach().contiguous() for k, p in tuned.named_parameters()}, folder / "final.safetensors")
    else:
        save_adapter(tuned, folder / "final", settings["model"])
    report(name, trainer)


def report(name, trainer):
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    norms = [row["grad_norm"] for row in trainer.state.log_history if "loss" in row]
    print(f"{name}: {len(losses)} steps, loss {losses[0]:.4f} -> {losses[-1]:.4f}, norm {min(norms):.3f} to {max(norms):.3f}", flush=True)


def run_forward(name):
    """Returns logits of a short and a long sequence, and 20 greedy tokens with the smallest lead of a chosen token."""
    model = models.load(HERE / "models" / name).eval()
    generator = torch.Generator().manual_seed(5)
    tensors = {}
    with torch.no_grad():
        for label, length in (("short", 3), ("long", 32)):
            ids = torch.randint(0, models.VOCAB, (1, length), generator=generator)
            tensors[f"{label}.input_ids"] = ids[0].to(torch.int32)
            tensors[f"{label}.logits"] = model(input_ids=ids).logits[0].contiguous()
        prompt = torch.randint(3, models.VOCAB, (1, 12), generator=generator)
        ids, lead = prompt, []
        for _ in range(20):
            best = model(input_ids=ids).logits[0, -1].topk(2)
            lead.append(float(best.values[0] - best.values[1]))
            ids = torch.cat([ids, best.indices[:1].view(1, 1)], dim=1)
        text = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False)
    assert torch.equal(text, ids), name
    (HERE / "forward").mkdir(exist_ok=True)
    save_file(tensors, HERE / "forward" / f"{name}.safetensors")
    write_json(HERE / "forward" / f"{name}.json", {"prompt": prompt[0].tolist(), "greedy": ids[0, prompt.shape[1]:].tolist(), "smallest_lead": min(lead)})


def run_dequantization():
    """Returns bitsandbytes' values of every 4-bit weight; all inner sizes are multiples of the block.

    Every zero is made positive: for FP4's code 8 bitsandbytes' CPU kernel gives -0, its quant_map and torch fallback +0.
    """
    cases = [(name, None) for name in models.NF4]
    cases += [("llama-wide", settings) for settings in (("nf4", True), ("nf4", False), ("fp4", True), ("fp4", False))]
    rows = []
    for name, settings in cases:
        model = models.load(HERE / "models" / name, settings and models.quantization(*settings))
        digests = {}
        for path, module in model.named_modules():
            if type(module).__name__ == "Linear4bit":
                values = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state) + 0.0
                assert values.dtype == torch.float32 and module.in_features % 64 == 0, path
                digests[path] = hashlib.sha256(values.contiguous().numpy().tobytes()).hexdigest()
        quant_type, double = settings or ("nf4", True)
        rows.append({"model": f"models/{name}", "bnb_4bit_quant_type": quant_type, "bnb_4bit_use_double_quant": double, "weights": digests})
    write_json(HERE / "dequantized.json", rows)


def run_initialization():
    """Records peft's fresh adapters. Their bits depend on torch's generator; only their distribution must agree."""
    for label, value in (("true", True), ("gaussian", "gaussian")):
        set_seed(9)
        model = get_peft_model(models.load(HERE / "models/llama-wide"), LoraConfig(
            task_type="CAUSAL_LM", r=8, lora_alpha=8, lora_dropout=0.0, target_modules=["q_proj", "v_proj"], init_lora_weights=value))
        save_adapter(model, HERE / "init" / label, "models/llama-wide")


def main(only):
    torch.set_num_threads(1)
    index = {"versions": versions(), "forward": [*models.FLOAT, *models.NF4], "cases": [
        {"name": n, "purpose": p} | ({"only_losses": True} if n in ONLY_LOSSES else {}) for n, (p, _, _) in CASES.items()]}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        if only:
            keep_others(index, only)
        else:
            for path in HERE.iterdir():
                if path.is_dir() and path.name != "starts":
                    shutil.rmtree(path)
            models.write_all(HERE / "models", scratch)
            write_data(HERE / "data")
            for name in [*models.FLOAT, *models.NF4]:
                run_forward(name)
            run_dequantization()
            run_initialization()
        for seed, (name, (_, model, changes)) in enumerate(CASES.items()):
            if not only or name in only:
                run_case(name, model, changes, 1000 + seed, scratch)
    write_json(HERE / "index.json", index)


def versions():
    return {m.__name__: m.__version__ for m in (torch, transformers, peft, bitsandbytes, accelerate, datasets, safetensors)}


def keep_others(index, only):
    """Keeps cases that are not recorded again, and notes the versions of the new cases if they differ."""
    before = json.loads((HERE / "index.json").read_text())
    index["versions"] = before["versions"]
    noted = {case["name"]: case["versions"] for case in before["cases"] if "versions" in case}
    other = {name: version for name, version in versions().items() if before["versions"][name] != version}
    for case in index["cases"]:
        at = other if case["name"] in only else noted.get(case["name"])
        if at:
            case["versions"] = at


if __name__ == "__main__":
    main(sys.argv[1:])
