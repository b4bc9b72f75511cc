"""Records schedules.json from transformers' get_scheduler: learning rates by step of the schedules that read lr_scheduler_kwargs."""

import json
import pathlib

import torch
from transformers import get_scheduler

PEAK = 3e-4

CASES = [
    ("cosine", {"num_cycles": 1.25}),
    ("cosine", {"num_cycles": 7}),
    ("cosine_with_restarts", {}),
    ("cosine_with_restarts", {"num_cycles": 3}),
    ("cosine_with_min_lr", {"min_lr": 1e-5}),
    ("cosine_with_min_lr", {"min_lr_rate": 0.1, "num_cycles": 1.5}),
    ("cosine_warmup_with_min_lr", {"min_lr_rate": 0.1}),
    ("cosine_warmup_with_min_lr", {"min_lr": 2e-5, "warmup_lr_rate": 0.2, "num_cycles": 1}),
    ("polynomial", {}),
    ("polynomial", {"lr_end": 1e-5, "power": 2}),
    ("polynomial", {"lr_end": 0, "power": 0.5}),
    ("polynomial", {"power": 1.3}),
    ("inverse_sqrt", {}),
    ("inverse_sqrt", {"timescale": 6}),
    ("warmup_stable_decay", {"num_decay_steps": 4}),
    ("warmup_stable_decay", {"num_decay_steps": 4, "num_stable_steps": 2, "min_lr_ratio": 0.1}),
    ("warmup_stable_decay", {"num_decay_steps": 5, "decay_type": "linear", "warmup_type": "cosine", "min_lr_ratio": 0.05}),
    ("warmup_stable_decay", {"num_decay_steps": 20, "decay_type": "1-sqrt", "warmup_type": "1-sqrt"}),
    ("warmup_stable_decay", {"num_decay_steps": 6, "num_cycles": 1.5}),
]

LOSSES = [2.0, 1.5, 1.5, 1.4999, 1.6, 1.2, 1.21, 1.19, 1.3, 1.25, 1.2, 1.4, 1.4, 1.1, 1.3, 1.5, 1.5, 1.5]

PLATEAUS = [
    {},
    {"patience": 1},
    {"patience": 0, "factor": 0.5, "cooldown": 2, "min_lr": 5e-5},
    {"patience": 1, "factor": 0.3, "threshold": 0.05, "threshold_mode": "abs"},
    {"patience": 0, "factor": 0.7, "mode": "max", "threshold": 0.01},
    {"patience": 1, "factor": 0.9, "eps": 2.9e-5, "mode": "max", "threshold_mode": "abs"},
]


def rates(name, kwargs, warmup, steps):
    """Returns the learning rate of each step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=steps, scheduler_specific_kwargs=kwargs)
    for step in range(steps):
        yield scheduler.get_last_lr()[0]
        optimizer.step()
        if step + 1 < steps:  # polynomial divides by 0 after the last step when all steps are warm-up
            scheduler.step()


def plateau(kwargs):
    """Returns the learning rate of each step, with an evaluation after each."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = get_scheduler("reduce_lr_on_plateau", optimizer, scheduler_specific_kwargs=kwargs)
    for loss in LOSSES:
        yield optimizer.param_groups[0]["lr"]
        scheduler.step(loss)


def main():
    rows = [
        {"Name": name, "Args": kwargs, "Warmup": warmup, "Steps": steps, "Rates": list(rates(name, kwargs, warmup, steps))}
        for name, kwargs in CASES
        for warmup, steps in [(0, 11), (4, 17), (5, 5)]
    ]
    rows += [
        {"Name": "reduce_lr_on_plateau", "Args": kwargs, "Warmup": 0, "Steps": len(LOSSES), "Losses": LOSSES, "Rates": list(plateau(kwargs))}
        for kwargs in PLATEAUS
    ]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (pathlib.Path(__file__).parent / "schedules.json").write_text(f"[\n{lines}\n]\n")


main()
