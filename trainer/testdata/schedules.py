"""Records schedules.json from transformers' get_scheduler: learning rates of the schedules that read lr_scheduler_kwargs, by step."""

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


def rates(name, kwargs, warmup, steps):
    """Returns the learning rate of each step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=steps, scheduler_specific_kwargs=kwargs)
    for step in range(steps):
        yield scheduler.get_last_lr()[0]
        optimizer.step()
        if step + 1 < steps:  # polynomial divides by 0 after the last step when all steps are warm-up
            scheduler.step()


def main():
    rows = [
        {"Name": name, "Args": kwargs, "Warmup": warmup, "Steps": steps, "Rates": list(rates(name, kwargs, warmup, steps))}
        for name, kwargs in CASES
        for warmup, steps in [(0, 11), (4, 17), (5, 5)]
    ]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (pathlib.Path(__file__).parent / "schedules.json").write_text(f"[\n{lines}\n]\n")


main()
