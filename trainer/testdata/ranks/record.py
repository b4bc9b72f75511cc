"""Records runs of transformers' Trainer over several processes (torch's gloo on the CPU), for the parity tests of runs with a world of ranks.

usage: python record.py           (some minutes; rewrites everything in this folder except the scripts)
       python record.py CASE ...  (these cases only)
needs: what ../parity/generate.py needs

  index.json                  versions and the cases
  initial/MODEL/              the adapter that all cases on a model start from
  CASE/settings.json          the run under qlora's option names; paths relative to ../parity
  CASE/log_history.json       rank 0's log, without times
  CASE/orders.json            the records that each rank was given: [rank][batch][record]
  CASE/gradients.safetensors  of the first step as DDP leaves them, before clipping
  CASE/final/                 the adapter after the last step
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"
HERE = pathlib.Path(__file__).resolve().parent
PARITY = HERE.parent / "parity"
sys.path.insert(0, str(PARITY))

import accelerate, generate, torch, transformers  # noqa: E401,E402
import torch.distributed as dist  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import TrainingArguments  # noqa: E402

EPOCHS = dict(max_steps=-1)
SMALL = dict(target_modules="q_proj,v_proj", lora_r=2)

# name: (purpose, processes, model, settings that differ from generate.BASE)
CASES = {
    "plain-2": ("12 batches of 2 of 23 records, the last filled up from the beginning", 2, "llama", EPOCHS | SMALL),
    "plain-3": ("the same over 3 processes", 3, "llama", EPOCHS | SMALL),
    "batch5-2": ("5 batches of 5: a whole batch is repeated", 2, "llama", EPOCHS | SMALL | dict(num_train_epochs=2, per_device_train_batch_size=5)),
    "batch5-3": ("the same over 3 processes", 3, "llama", EPOCHS | SMALL | dict(num_train_epochs=2, per_device_train_batch_size=5)),
    "accumulate-2": ("accumulation with a partial last window; warm-up", 2, "llama", EPOCHS | SMALL | dict(gradient_accumulation_steps=5, warmup_steps=4, seed=7)),
    "droplast-2": ("records that do not fill a batch of every process are left out", 2, "llama",
                   EPOCHS | SMALL | dict(num_train_epochs=2, per_device_train_batch_size=5, dataloader_drop_last=True)),
    "average-off-2": ("each process averages over its own tokens", 2, "llama",
                      EPOCHS | SMALL | dict(num_train_epochs=1, gradient_accumulation_steps=2, average_tokens_across_devices=False)),
    "average-off-3": ("the same over 3 processes", 3, "llama",
                      EPOCHS | SMALL | dict(num_train_epochs=1, gradient_accumulation_steps=2, average_tokens_across_devices=False)),
    "lengths-2": ("grouped by length, with evaluations, which draw from the same generator", 2, "llama",
                  EPOCHS | SMALL | dict(dataset="data/long.jsonl", eval_dataset="data/eval.jsonl", group_by_length=True, per_device_train_batch_size=4,
                                        gradient_accumulation_steps=2, eval_strategy="epoch", per_device_eval_batch_size=3, data_seed=5)),
    "holes-2": ("records without labels: batches, and a process's whole share of a step", 2, "llama",
                SMALL | dict(dataset="data/holes.jsonl", per_device_train_batch_size=1, max_steps=16)),
    "nf4-2": ("a 4-bit base", 2, "llama-nf4", generate.QLORA | SMALL | EPOCHS | dict(num_train_epochs=2, gradient_accumulation_steps=2)),
}

# Arguments of Trainer that have qlora's names.
SAME = ("learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm",
        "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "max_steps", "num_train_epochs", "seed",
        "data_seed", "logging_steps", "save_strategy", "eval_strategy", "dataloader_drop_last", "average_tokens_across_devices")


def record(name):
    """Runs in every process of a case."""
    _, world, model, changes = CASES[name]
    torch.set_num_threads(1)
    generate.HERE = PARITY
    settings = {"model": f"models/{model}"} | generate.BASE | changes
    settings |= {"adapter": f"../ranks/initial/{model}", "world_size": world}
    begin = pathlib.Path(tempfile.mkdtemp())
    tuned = generate.adapted(settings, begin, 1000)
    generate.RecordingTrainer.settings, generate.RecordingTrainer.first_gradients = settings, None
    train = generate.read_data(PARITY / settings["dataset"])
    evaluation = generate.read_data(PARITY / settings["eval_dataset"]) if "eval_dataset" in settings else None
    numbers = {(tuple(r["input_ids"]), tuple(r["labels"])): i for i, r in enumerate(train)}
    order = []

    def collate(batch):
        found = [numbers.get((tuple(r["input_ids"]), tuple(r["labels"]))) for r in batch]
        if None not in found:  # else it is of an evaluation
            order.append(found)
        return generate.collate(batch)

    args = TrainingArguments(output_dir=str(begin / "scratch"), use_cpu=True, report_to="none", disable_tqdm=True, optim="adamw_torch",
                             train_sampling_strategy="group_by_length" if settings.get("group_by_length") else "random",
                             **{n: settings[n] for n in SAME if n in settings})
    trainer = generate.RecordingTrainer(model=tuned, args=args, data_collator=collate, train_dataset=train, eval_dataset=evaluation)
    trainer.train()
    orders, sums = [None] * world, [None] * world
    dist.all_gather_object(orders, order)
    dist.all_gather_object(sums, [float(p.detach().double().sum()) for p in tuned.parameters() if p.requires_grad])
    assert all(s == sums[0] for s in sums), "the replicas differ"
    if dist.get_rank() == 0:
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copytree(begin / "initial", HERE / "initial" / model, dirs_exist_ok=True)
        write(folder / "settings.json", settings)
        write(folder / "orders.json", orders)
        timed = ("runtime", "per_second", "total_flos")
        write(folder / "log_history.json", [{k: v for k, v in row.items() if not k.endswith(timed)} for row in trainer.state.log_history])
        save_file({k.removeprefix("module."): v.contiguous() for k, v in trainer.first_gradients.items()}, folder / "gradients.safetensors")
        generate.save_adapter(tuned, folder / "final", settings["model"])
        (folder / "final" / "adapter_config.json").unlink()
    shutil.rmtree(begin)


def write(path, value):
    path.write_text(json.dumps(value) + "\n")


def main():
    if "RANK" in os.environ:
        return record(sys.argv[1])
    for i, name in enumerate(sys.argv[1:] or CASES):
        subprocess.run([sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(CASES[name][1]), "--master-port", str(29600 + i), __file__, name], check=True)
        print(name, flush=True)
    versions = {m.__name__: m.__version__ for m in (torch, transformers, accelerate)}
    write(HERE / "index.json", {"versions": versions, "cases": [{"name": n, "purpose": c[0]} for n, c in CASES.items()]})


main()
