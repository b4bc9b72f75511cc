"""Records runs of TRL's trainers of preferences for the parity tests: DPO, KTO, ORPO and CPO on the CPU, in float32.

usage: python generate.py            (about a minute; rewrites everything in this folder except this script)
       python generate.py CASE ...   (these cases only)
needs: trl 1.16.0 and the packages of ../parity/generate.py, whose models it trains (index.json has the versions used)

  index.json               versions and the list of cases, with a line on each
  tokenizer/               a byte-level BPE of single ASCII characters, without BOS
  data/NAME.jsonl          pairs and judged completions, as texts of ragged lengths; chats
  adapter/, adapter-nf4/   what the runs continue from (B is not 0, so that the reference is not the base); their dropout of 0.1 must not act
  adapter-modules/         the same, with an embedding that is trained whole
  adapter-new/             B is 0, as in a new adapter, where TRL's reference is the base
  CASE/settings.json       the run under qlora's option names; model and adapter relative to ../parity and this folder
  CASE/log_history.json    TRL's log, logging_steps 1, without times and what the head costs
  CASE/final.safetensors   the adapter, or the model, after the last step

TRL casts the adapters of a quantized model to bfloat16; that is undone, as qlora's are float32.
"""
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import datasets, peft, torch, transformers, trl  # noqa: E401
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models as tokenizer_models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, set_seed
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

HERE = pathlib.Path(__file__).resolve().parent
PARITY = HERE.parent / "parity"
sys.path.insert(0, str(PARITY))
import models  # noqa: E402

BASE = dict(model="models/llama", adapter="adapter", method="lora", objective="dpo", dataset="data/pairs.jsonl", max_length=64, learning_rate=3e-3,
            lr_scheduler_type="linear", warmup_steps=0, weight_decay=0.0, adam_epsilon=1e-4, max_grad_norm=1.0, per_device_train_batch_size=3,
            gradient_accumulation_steps=1, max_steps=8, seed=42, logging_steps=1, save_strategy="no", eval_strategy="no", beta=0.5)
NF4 = dict(model="models/llama-wide", adapter="adapter-nf4", method="qlora", bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
           bnb_4bit_compute_dtype="float32")
WINDOWS = dict(per_device_train_batch_size=2, gradient_accumulation_steps=4)  # 13 pairs: windows of 4 and 3 micro-batches, the last of one pair
KTO = dict(objective="kto", train_sampling_strategy="sequential", dataset="data/judged.jsonl", per_device_train_batch_size=4)
ORPO = dict(objective="orpo")
CPO = dict(objective="cpo", beta=0.3)
SIMPO = dict(objective="simpo", beta=2.0)
FULL = dict(method="full", adapter="", learning_rate=1e-3, precompute_ref_log_probs=True)
EVAL = dict(eval_dataset="data/more.jsonl", eval_strategy="steps", eval_steps=4, per_device_eval_batch_size=2)


def dpo(*losses, **more):
    return dict(loss_type=list(losses)) | more


# name: (purpose, settings that differ from BASE)
CASES = {
    "dpo-sigmoid": ("a continued adapter, whose frozen copy is the reference", {}),
    "dpo-new": ("a new adapter: the base is the reference", dict(adapter="adapter-new")),
    "dpo-windows": ("accumulation with a short last window and a short last micro-batch; clipping that bites", dict(WINDOWS, max_grad_norm=0.3)),
    "dpo-cut": ("sequences cut by max_length, long prompts dropped", dict(max_length=22)),
    "dpo-eval": ("evaluation, the last batch short", dict(EVAL)),
    "dpo-nf4": ("NF4 + double quantization", dict(NF4)),
    "dpo-chats": ("chats, later turns included: nothing is added to what the template renders", dict(dataset="data/chats.jsonl", max_length=128)),
    "dpo-before": ("the reference's log-probabilities computed before; evaluation; ld_alpha", dict(EVAL, precompute_ref_log_probs=True, ld_alpha=0.4, **WINDOWS)),
    "dpo-full": ("all weights, with the reference computed before; evaluation", dict(FULL, **EVAL)),
    "dpo-modules": ("an embedding trained whole, with the reference computed before", dict(adapter="adapter-modules", precompute_ref_log_probs=True)),
    "dpo-hinge": ("", dpo("hinge", learning_rate=1e-2)),
    "dpo-ipo": ("", dpo("ipo")),
    "dpo-sigmoid-norm": ("", dpo("sigmoid_norm", beta=5.0)),
    "dpo-robust": ("", dpo("robust", label_smoothing=0.2)),
    "dpo-exo-pair": ("", dpo("exo_pair", label_smoothing=1e-3)),
    "dpo-nca-pair": ("", dpo("nca_pair")),
    "dpo-bco-pair": ("", dpo("bco_pair")),
    "dpo-sppo-hard": ("", dpo("sppo_hard")),
    "dpo-aot": ("smoothed; whole micro-batches are sorted", dpo("aot", label_smoothing=0.1, per_device_train_batch_size=5)),
    "dpo-aot-unpaired": ("", dpo("aot_unpaired", per_device_train_batch_size=5)),
    "dpo-apo-zero": ("", dpo("apo_zero")),
    "dpo-apo-down": ("", dpo("apo_down")),
    "dpo-discopop": ("", dpo("discopop", discopop_tau=0.2)),
    "dpo-sft": ("the chosen completions' loss alone, of unlike lengths", dpo("sft", **WINDOWS)),
    "dpo-two": ("two losses with weights: RPO", dpo("sigmoid", "sft", loss_weights=["1", "0.2"], **WINDOWS)),
    "dpo-three": ("three losses with weights: MPO", dpo("sigmoid", "bco_pair", "sft", loss_weights=["0.8", "0.2", "1"])),
    "dpo-smoothed-two": ("label_smoothing acts in robust, not in sigmoid", dpo("sigmoid", "robust", label_smoothing=0.2)),
    "dpo-ld": ("ld_alpha: the tail of the longer completion counts less, in the reference, too", dict(ld_alpha=0.4)),
    "dpo-ld-ipo": ("ld_alpha with a loss that divides by lengths, cut by max_length", dpo("ipo", ld_alpha=0.0, max_length=22)),
    "kto": ("the last block is one record, paired with itself", dict(KTO)),
    "kto-weights": ("both weights; accumulation; cut by max_length", dict(KTO, desirable_weight=1.5, undesirable_weight=0.7, max_length=22, gradient_accumulation_steps=3)),
    "kto-pairs": ("pairs, taken apart; evaluation", dict(KTO, dataset="data/pairs.jsonl", eval_dataset="data/judged.jsonl", eval_strategy="steps", eval_steps=4, per_device_eval_batch_size=4)),
    "kto-new": ("a new adapter: the base is the reference", dict(KTO, adapter="adapter-new")),
    "kto-nf4": ("NF4 + double quantization", dict(KTO, **NF4)),
    "kto-before": ("the reference's log-probabilities computed before; evaluation", dict(KTO, eval_dataset="data/judged.jsonl", eval_strategy="steps", eval_steps=4, per_device_eval_batch_size=4, precompute_ref_log_probs=True)),
    "kto-full": ("all weights, with the reference computed before", dict(KTO, **FULL)),
    "kto-apo-zero": ("no estimate of the KL; both weights", dict(KTO, loss_type=["apo_zero_unpaired"], desirable_weight=0.8, undesirable_weight=1.3)),
    "orpo": ("", dict(ORPO)),
    "orpo-windows": ("accumulation with a short last window; cut by max_length", dict(ORPO, max_length=30, **WINDOWS)),
    "orpo-nf4": ("NF4 + double quantization", dict(ORPO, **NF4)),
    "cpo-sigmoid": ("smoothed", dict(CPO, label_smoothing=0.1)),
    "cpo-hinge": ("", dict(CPO, loss_type=["hinge"], cpo_alpha=0.3)),
    "cpo-ipo": ("", dict(CPO, loss_type=["ipo"], **WINDOWS)),
    "cpo-simpo": ("with the chosen completions' loss", dict(CPO, loss_type=["simpo"], simpo_gamma=0.8)),
    "simpo": ("", dict(SIMPO, simpo_gamma=1.2)),
    "simpo-cut": ("smoothed; cut by max_length; accumulation", dict(SIMPO, label_smoothing=0.1, max_length=30, **WINDOWS)),
    "simpo-alpha": ("AlphaPO", dict(SIMPO, alpha=0.25)),
    "cpo-alpha": ("AlphaPO of means, with the chosen completions' loss", dict(CPO, loss_type=["ipo"], alpha=-0.4)),
}

CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"

TRAINERS = {"dpo": (DPOTrainer, DPOConfig), "kto": (KTOTrainer, KTOConfig), "orpo": (ORPOTrainer, ORPOConfig),
            "cpo": (CPOTrainer, CPOConfig), "simpo": (CPOTrainer, CPOConfig)}
# qlora's alone, or what is given to TRL otherwise.
OURS = ("model", "adapter", "method", "objective", "dataset", "eval_dataset", "bnb_4bit_quant_type", "bnb_4bit_use_double_quant", "bnb_4bit_compute_dtype",
        "loss_type", "loss_weights")
UNREAD = ("runtime", "per_second", "total_flos", "logits/chosen", "logits/rejected", "entropy", "mean_token_accuracy", "num_tokens")


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def write_tokenizer(folder):
    characters = sorted(pre_tokenizers.ByteLevel.alphabet(), key=ord)[:94] + ["Ġ", "Ċ"]
    vocabulary = {"</s>": 0} | {c: i + 1 for i, c in enumerate(characters)}
    tokenizer = Tokenizer(tokenizer_models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="</s>")
    fast.chat_template = CHAT
    fast.save_pretrained(folder)


def words(rng, most):
    return "".join(rng.choice("abcdefgh .") for _ in range(rng.randrange(2, most)))


def write_data(folder):
    rng = random.Random(3)
    folder.mkdir(parents=True)

    def pair():
        prompt = "Q " + words(rng, 24) + "?"
        return {"prompt": prompt, "chosen": " A" + words(rng, 26), "rejected": " B" + words(rng, 18)}

    sets = {"pairs": [pair() for _ in range(13)], "more": [pair() for _ in range(5)]}
    sets["judged"] = [{"prompt": p["prompt"], "completion": p["chosen" if good else "rejected"], "label": good}
                      for p in (pair() for _ in range(13)) for good in [rng.random() < 0.5]]
    says = lambda role, text: {"role": role, "content": text}
    sets["chats"] = [{"prompt": [says("user", p["prompt"])], "chosen": [says("assistant", p["chosen"]), says("user", "so?"), says("assistant", "yes")],
                      "rejected": [says("assistant", p["rejected"])]} for p in sets["pairs"]]
    for name, records in sets.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


def base(settings):
    quantize = models.quantization("nf4", True) if settings["method"] == "qlora" else None
    model = models.load(PARITY / settings["model"], quantize)
    model.config.use_cache = False
    return model


def write_adapter(folder, settings, new=False, **more):
    set_seed(11)
    model = get_peft_model(base(settings), LoraConfig(
        task_type="CAUSAL_LM", r=2, lora_alpha=4, lora_dropout=0.1, target_modules=["q_proj", "v_proj", "down_proj"], **more))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name and not new:
                weight.normal_(0, 0.05)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = settings["model"]
    config["target_modules"].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def read_data(name):
    return datasets.Dataset.from_list([json.loads(line) for line in (HERE / name).read_text().splitlines()])


def configuration(settings, scratch):
    objective = settings["objective"]
    more = {k: v for k, v in settings.items() if k not in OURS}
    if objective == "dpo":
        more["loss_type"] = settings.get("loss_type", ["sigmoid"])
        if "loss_weights" in settings:
            more["loss_weights"] = [float(w) for w in settings["loss_weights"]]
    elif "loss_type" in settings:
        more["loss_type"] = settings["loss_type"][0]
    if objective == "simpo":
        more |= dict(loss_type="simpo", cpo_alpha=0.0)
    return TRAINERS[objective][1](output_dir=str(scratch), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", disable_tqdm=True,
                                  remove_unused_columns=objective in ("dpo", "kto"), **more)


def run_case(name, changes, scratch):
    settings = BASE | changes
    tokenizer = PreTrainedTokenizerFast.from_pretrained(HERE / "tokenizer")
    set_seed(5)
    model = base(settings)
    if settings["adapter"]:
        model = PeftModel.from_pretrained(model, HERE / settings["adapter"], is_trainable=True)
    model.warnings_issued = {}  # CPO and ORPO look for it
    before = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    trainer = TRAINERS[settings["objective"]][0](
        model=model, args=configuration(settings, scratch), processing_class=tokenizer, train_dataset=read_data(settings["dataset"]),
        eval_dataset=read_data(settings["eval_dataset"]) if "eval_dataset" in settings else None)
    for n, p in model.named_parameters():
        if p.requires_grad:
            p.data = before[n]
        if ".ref." in n:
            p.data = before[n.replace(".ref.", ".default.")].clone()
    trainer.train()
    folder = HERE / name
    write_json(folder / "settings.json", settings)
    write_json(folder / "log_history.json", [{k: v for k, v in row.items() if not k.endswith(UNREAD)} for row in trainer.state.log_history])
    if settings["adapter"]:
        model.save_pretrained(scratch / "final", selected_adapters=["default"])
    else:
        model.save_pretrained(scratch / "final")
    shutil.copyfile(scratch / "final" / ("adapter_model.safetensors" if settings["adapter"] else "model.safetensors"), folder / "final.safetensors")
    rows = [row for row in trainer.state.log_history if "loss" in row]
    print(f"{name}: {len(rows)} steps, loss {rows[0]['loss']:.4f} -> {rows[-1]['loss']:.4f}, norm {min(r['grad_norm'] for r in rows):.3f} to "
          f"{max(r['grad_norm'] for r in rows):.3f}", flush=True)


def main(only):
    torch.set_num_threads(1)
    if not only:
        for path in HERE.iterdir():
            if path.is_dir() and path.name != "__pycache__":
                shutil.rmtree(path)
        write_tokenizer(HERE / "tokenizer")
        write_data(HERE / "data")
        write_adapter(HERE / "adapter", BASE)
        write_adapter(HERE / "adapter-new", BASE, new=True)
        write_adapter(HERE / "adapter-nf4", BASE | NF4)
        write_adapter(HERE / "adapter-modules", BASE, modules_to_save=["embed_tokens"])
    write_json(HERE / "index.json", {
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, peft, trl)},
        "cases": [{"name": n, "purpose": p} for n, (p, _) in CASES.items()]})
    for name, (_, changes) in CASES.items():
        if not only or name in only:
            with tempfile.TemporaryDirectory() as scratch:
                run_case(name, changes, pathlib.Path(scratch))


if __name__ == "__main__":
    main(sys.argv[1:])
