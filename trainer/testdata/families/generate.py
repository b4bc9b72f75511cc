"""Records a small run of the real tools for every model family: transformers' Trainer, peft and bitsandbytes on the CPU.

usage: python generate.py                      (rewrites all cases in this folder)
       python generate.py CASE ...             (these cases only)
       python generate.py --variants SEED DIR [CASE ...]
                                               (the cases at other sizes, into DIR; read by QLORA_FAMILIES=DIR go test ./trainer -run TestFamilies)
needs: the packages of ../parity/generate.py (index.json has the versions used)

index.json             versions and the list of cases, with a line on each
  data/train.jsonl       pretokenized records; first labels are -100, because Trainer counts GPT-2's labels without the shift
  CASE/config.json       as save_pretrained writes it, or in an older dialect if the purpose says so
  CASE/weights.json      the base under the names of its file, and the adapter under peft's; formula.py computes the values
  CASE/adapter_config.json  of the adapter that runs start from; nf4/ has its own if peft writes a different one
  CASE/forward.json      ids, and greedy tokens after a prompt
  CASE/forward.safetensors  logits [tokens, vocabulary]: row i is the model's output for the first i + 1 ids alone
  CASE/stored/           the base in 4 bits, written by bitsandbytes, for the same run as nf4/
  CASE/RUN/              lora (float32), nf4 (with double quantization, quantized on loading), full:
    settings.json        the run under qlora's option names
    log_history.json     Trainer's log, logging_steps 1, without times
    gradients.safetensors  of the first step, before clipping
    final.safetensors    the trained tensors after the last step
  Files of tensors with "stride" in their metadata hold every stride-th element of each, from the first on.
"""
import importlib.util
import json
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "parity"))

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, set_seed

import models

sys.path.insert(0, str(HERE))
import formula
import variants

spec = importlib.util.spec_from_file_location("parity_generate", HERE.parent / "parity/generate.py")  # it has the same name as this file
parity = importlib.util.module_from_spec(spec)
spec.loader.exec_module(parity)

BASE = dict(method="lora", learning_rate=5e-3, lr_scheduler_type="linear", warmup_steps=0, weight_decay=0.0, adam_beta1=0.9, adam_beta2=0.999,
            adam_epsilon=1e-4, max_grad_norm=1.0, per_device_train_batch_size=2, gradient_accumulation_steps=1, max_steps=6, seed=42, logging_steps=1,
            save_strategy="no", eval_strategy="no", lora_r=2, lora_alpha=4, lora_dropout=0.0, target_modules="all-linear")
NF4 = dict(method="qlora", bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_blocksize=64, bnb_4bit_compute_dtype="float32")
FULL = {k: v for k, v in BASE.items() if not k.startswith("lora_") and k != "target_modules"} | dict(method="full", learning_rate=1e-3, weight_decay=0.1, max_steps=4)
# The stride for gradients and trained tensors. Odd, so that both columns of a two-column matrix are sampled.
STRIDES = {"lora": (3, 3), "nf4": (None, 5), "full": (11, 11)}
TOKENS, GREEDY = 24, 12


def write_data(folder, seed):
    rng = random.Random(seed)
    lengths = [9, 30, 4, 13, 16, 26, 3, 14, 21, 7, 11, 15, 28, 5]
    if seed != 1:
        lengths = [rng.randrange(3, 38) for _ in lengths]
    records = [parity.record(rng, length) for length in lengths]
    for r in records:
        r["labels"][0] = -100
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


def auto(config):
    return AutoModelForImageTextToText if hasattr(config, "vision_config") else AutoModelForCausalLM


def attention(config):
    """Eager attention of Falcon adds ALiBi twice, in the mask and to the scores; sdpa, which transformers takes by default, once."""
    return "sdpa" if getattr(config, "alibi", False) else "eager"


def load(path, quantize=None):
    """models.load for vision-language folders, too. Requires that the file has exactly the model's tensors, except for buffers."""
    config = AutoConfig.from_pretrained(path)
    extra = {"quantization_config": quantize} if quantize is not None else {}
    model, info = auto(config).from_pretrained(path, dtype=torch.float32, device_map="cpu", attn_implementation=attention(config), output_loading_info=True, **extra)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        bad = [key for key in info.get(kind, ()) if not re.search(r"attn\.bias$|attention\.(bias|masked_bias|rotary_emb\.inv_freq)$", str(key))]
        assert not bad, (path, kind, bad)
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.support_avx512bf16_for_cpu = False
            module.compute_dtype = torch.float32
    return model


def write_base(name, variant, folder, base):
    """Writes the model to base and its config.json to the case, and returns the rows of weights.json."""
    config = AutoConfig.for_model(variant.model, **variant.settings)
    set_seed(1)
    model = auto(config).from_config(config, dtype=getattr(torch, variant.dtype))
    model.save_pretrained(base)
    (base / "generation_config.json").unlink(missing_ok=True)
    made = {key.removeprefix(variant.bare): value for key, value in load_file(base / "model.safetensors").items()}
    made |= {key: torch.empty(shape) for key, shape in variant.extra.items()}
    rows, values = formula.fill(name, made, variant.dtype, formula.base_rule(variant.model, made))
    save_file(values, base / "model.safetensors", metadata={"format": "pt"})
    if variant.old:
        rewrite(base / "config.json", variant.old)
    text = json.loads((base / "config.json").read_text())
    if variant.rename:
        text["model_type"], text["architectures"] = variant.rename[0], [variant.rename[1]]
    (folder / "config.json").write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
    return rows


def rewrite(path, changes):
    """Writes config.json in an older dialect, and requires that transformers reads the same from it."""
    before = AutoConfig.from_pretrained(path.parent)
    text = json.loads(path.read_text())
    for key, value in changes.items():
        text.pop(key, None)
        if value is not ...:
            text[key] = value
    path.write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
    after = AutoConfig.from_pretrained(path.parent)
    for key in ("rope_parameters", "layer_types"):
        was, now = getattr(before, key, None), getattr(after, key, None)
        if was != now:
            print(f"  note: {path.parent.name}: {key} was {was}, the older file means {now}")


def lora_config(variant):
    return LoraConfig(task_type="CAUSAL_LM", r=BASE["lora_r"], lora_alpha=BASE["lora_alpha"], lora_dropout=0.0, bias="none",
                      target_modules=variant.targets or "all-linear")


def make_adapter(name, variant, model, folder):
    """Writes the adapter that runs start from to folder, and returns the rows of weights.json."""
    parity.save_adapter(get_peft_model(model, lora_config(variant)), folder, "")
    rows, values = formula.fill(name, load_file(folder / "adapter_model.safetensors"), "float32", formula.adapter_rule)
    save_file(values, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return rows


def collator(model):
    """Gemma 3's forward needs to know in training which tokens belong to an image."""
    def collate(batch):
        made = parity.collate(batch)
        if model.config.model_type == "gemma3":
            made["token_type_ids"] = torch.zeros_like(made["input_ids"])
        return made
    return collate


def save_tensors(tensors, stride, path):
    if stride == 1:
        save_file({k: v.detach().contiguous() for k, v in tensors.items()}, path)
    else:
        save_file({k: v.detach().flatten()[::stride].clone() for k, v in tensors.items()}, path, metadata={"stride": str(stride)})


def run(name, kind, settings, model, data, folder, scratch):
    """Trains model, records it in folder/kind, and returns the log."""
    out = folder / kind
    out.mkdir()
    records = parity.read_data(data)
    first = torch.randperm(len(records), generator=torch.Generator().manual_seed(settings["seed"])).tolist()[:2]
    expected = cross_entropy(model, collator(model)([records[i] for i in first]))
    parity.RecordingTrainer.settings = settings
    trainer = parity.RecordingTrainer(model=model, args=parity.arguments(settings, scratch / "trainer"), data_collator=collator(model), train_dataset=records)
    trainer.first_gradients = None
    trainer.train()
    parity.write_json(out / "settings.json", settings)
    timed = ("runtime", "per_second", "total_flos")
    log = [{k: v for k, v in row.items() if not k.endswith(timed)} for row in trainer.state.log_history]
    parity.write_json(out / "log_history.json", log)
    assert abs(log[0]["loss"] - expected) < 1e-5 * expected, (name, log[0]["loss"], expected)
    gradients, final = STRIDES[kind]
    if gradients:
        save_tensors(trainer.first_gradients, gradients, out / "gradients.safetensors")
    dead = [k for k, v in trainer.first_gradients.items() if not float(v.norm()) > 0]
    trained = {parity.name_in_file(k): p for k, p in model.named_parameters() if p.requires_grad}
    save_tensors(trained, final, out / "final.safetensors")
    losses, norms = [[row[key] for row in log if "loss" in row] for key in ("loss", "grad_norm")]
    print(f"  {kind}: loss {losses[0]:.4f} -> {losses[-1]:.4f}, norm {min(norms):.3f} to {max(norms):.3f}{', NO GRADIENT: ' + str(dead) if dead else ''}", flush=True)
    return log


def cross_entropy(model, batch):
    labels = batch.pop("labels")
    with torch.no_grad():
        logits = model.train()(**batch).logits
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100).item()


def run_forward(name, base, folder):
    """Returns logits without a cache, and greedy tokens with one. Tries prompts until no chosen token's lead is small."""
    model = load(base).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        ids = torch.randint(0, variants.VOCAB - 4, (1, TOKENS), generator=generator)
        logits = torch.stack([model(input_ids=ids[:, :i + 1]).logits[0, -1] for i in range(TOKENS)])
        for _ in range(50):
            prompt = torch.randint(3, variants.VOCAB - 4, (1, 10), generator=generator)
            greedy, lead = prompt, []
            for _ in range(GREEDY):
                best = model(input_ids=greedy).logits[0, -1].topk(2)
                lead.append(float(best.values[0] - best.values[1]) / float(best.values.abs().max()))
                greedy = torch.cat([greedy, best.indices[:1].view(1, 1)], dim=1)
            if min(lead) > 5e-3:
                break
        assert min(lead) > 2e-3, (name, min(lead))
        model.generation_config.eos_token_id = model.generation_config.pad_token_id = None
        text = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=GREEDY, do_sample=False)
        if not torch.equal(text, greedy):
            print(f"  note: with a cache transformers goes on otherwise: {text[0, 10:].tolist()}, not {greedy[0, 10:].tolist()}")
    save_file({"logits": logits.contiguous()}, folder / "forward.safetensors")
    text = {"ids": ids[0].tolist(), "prompt": prompt[0].tolist(), "greedy": greedy[0, 10:].tolist(), "smallest_lead": min(lead)}
    (folder / "forward.json").write_text("{\n" + ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in text.items()) + "\n}\n")


def run_nf4(name, variant, base, adapter, data, folder, scratch):
    if variant.plain:
        from transformers.models.falcon import modeling_falcon
        modeling_falcon.FalconLinear = torch.nn.Linear
    model = load(base, models.quantization("nf4", True))
    quantized = [m for m in model.modules() if type(m).__name__ == "Linear4bit"]
    assert quantized and all(m.in_features % 64 == 0 for m in quantized), name
    make_adapter(name, variant, load(base, models.quantization("nf4", True)), scratch / "nf4")
    settings = BASE | NF4 | ({"target_modules": variant.targets} if variant.targets else {})
    log = run(name, "nf4", settings, PeftModel.from_pretrained(model, scratch / "nf4", is_trainable=True), data, folder, scratch)
    text = (scratch / "nf4/adapter_config.json").read_text()
    if text != (adapter / "adapter_config.json").read_text():
        (folder / "nf4/adapter_config.json").write_text(text)
    if variant.stored:
        load(base, models.quantization("nf4", True)).save_pretrained(folder / "stored")
        (folder / "stored/generation_config.json").unlink(missing_ok=True)
        again = PeftModel.from_pretrained(load(folder / "stored"), scratch / "nf4", is_trainable=True)
        (scratch / "again").mkdir()
        assert run(name, "nf4", settings, again, data, scratch / "again", scratch) == log, f"{name}: the stored folder trains otherwise"


def record(name, variant, root, scratch):
    folder, base, adapter, data = root / name, scratch / "base", scratch / "adapter", root / "data/train.jsonl"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    base_rows = write_base(name, variant, folder, base)
    adapter_rows = make_adapter(name, variant, load(base), adapter)
    formula.write(folder / "weights.json", name, base=base_rows, adapter=adapter_rows)
    shutil.copy(adapter / "adapter_config.json", folder)
    run_forward(name, base, folder)
    settings = BASE | ({"target_modules": variant.targets} if variant.targets else {})
    run(name, "lora", settings, PeftModel.from_pretrained(load(base), adapter, is_trainable=True), data, folder, scratch)
    if variant.nf4:
        run_nf4(name, variant, base, adapter, data, folder, scratch)
    if variant.full:
        run(name, "full", FULL, load(base), data, folder, scratch)


def main(arguments):
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    root, chosen, seed = HERE, variants.VARIANTS, 1
    if arguments[:1] == ["--variants"]:
        seed, root = int(arguments[1]), pathlib.Path(arguments[2]).resolve()
        chosen, arguments = variants.others(seed), arguments[3:]
    if not arguments or not (root / "data").exists():
        write_data(root / "data", seed)
    failed = []
    for name, variant in chosen.items():
        if arguments and name not in arguments:
            continue
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            try:
                record(name, variant, root, pathlib.Path(scratch))
            except Exception as error:  # so that one family's failure does not stop the others
                if os.environ.get("STRICT"):
                    raise
                failed.append(name)
                print("  FAILED:", type(error).__name__, str(error)[:600], flush=True)
    there = [name for name in chosen if (root / name / "lora").exists()]
    parity.write_json(root / "index.json", {"versions": parity.versions(), "cases": [
        {"name": n, "purpose": chosen[n].purpose, "runs": [r for r in ("lora", "nf4", "full") if (root / n / r).exists()]} for n in there]})
    if failed:
        sys.exit("failed: " + " ".join(failed))


if __name__ == "__main__":
    main(sys.argv[1:])
