"""Records sampling.json from torch and transformers: data orders and schedules."""

import json
import pathlib

import torch
from transformers import get_scheduler
from transformers.trainer_pt_utils import get_length_grouped_indices


def random_orders():
    for seed, epoch, records in [(42, 0, 10), (42, 1, 10), (7, 2, 1), (0, 0, 33), (2**32 + 5, 3, 6)]:
        generator = torch.Generator().manual_seed(seed + epoch)
        order = torch.randperm(records, generator=generator).tolist()
        yield {"Seed": seed, "Epoch": epoch, "Records": records, "Order": order}


def grouped_orders():
    cases = [(42, 4, 37, 1), (1, 2, 9, 1), (3, 8, 5, 0), (9, 1, 250, 2)]
    for seed, group, records, draws in cases:
        # A fixed pattern with many ties.
        lengths = [3 + (i * i * 7 + i) % 19 for i in range(records)]
        torch.manual_seed(seed)
        orders = []
        for _ in range(3):
            for _ in range(draws):  # as iterating a DataLoader does
                torch.empty((), dtype=torch.int64).random_()
            orders.append(get_length_grouped_indices(lengths, group))
        yield {"Seed": seed, "Group": group, "Lengths": lengths, "Draws": draws, "Orders": orders}


def schedules():
    for name in ["linear", "cosine", "constant", "constant_with_warmup"]:
        for warmup, steps in [(0, 7), (3, 10), (5, 5)]:
            weight = torch.nn.Parameter(torch.zeros(1))
            optimizer = torch.optim.SGD([weight], lr=3e-4)
            scheduler = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=steps)
            rates = []
            for _ in range(steps):
                rates.append(scheduler.get_last_lr()[0])
                optimizer.step()
                scheduler.step()
            yield {"Name": name, "Warmup": warmup, "Steps": steps, "Rates": rates}


def main():
    here = pathlib.Path(__file__).parent
    data = {"Random": list(random_orders()), "Grouped": list(grouped_orders()), "Schedules": list(schedules())}
    (here / "sampling.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")


main()
