"""Records trainer_state.json from transformers, and sampling.json from torch and transformers: data orders, schedules, and the actions after each step."""

import json
import pathlib

import torch
from transformers import Trainer, TrainingArguments, get_scheduler
from transformers.trainer_callback import DefaultFlowCallback, TrainerControl, TrainerState
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


RUNS = [
    # records, then what differs from the defaults
    (10, {"per_device_train_batch_size": 4, "num_train_epochs": 3, "save_steps": 4, "logging_steps": 2}),
    (10, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "num_train_epochs": 2,
          "eval_strategy": "epoch", "save_strategy": "epoch", "logging_steps": 3}),
    (10, {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 3, "num_train_epochs": 1.5,
          "eval_strategy": "steps", "eval_steps": 2, "save_strategy": "no"}),
    (7, {"per_device_train_batch_size": 2, "max_steps": 9, "eval_strategy": "epoch", "save_steps": 0.3,
         "logging_steps": 0.25}),
    (7, {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4, "max_steps": 5,
         "eval_strategy": "steps", "logging_steps": 2, "save_steps": 100}),
    (1, {"num_train_epochs": 0.5}),
    (10, {"per_device_train_batch_size": 2, "num_train_epochs": 2, "eval_strategy": "steps", "eval_steps": 2, "eval_delay": 4,
          "logging_steps": 3, "logging_first_step": True}),
    (10, {"per_device_train_batch_size": 4, "num_train_epochs": 3, "eval_strategy": "epoch", "eval_delay": 1.5,
          "logging_steps": 1, "logging_first_step": True}),
    (6, {"per_device_train_batch_size": 2, "max_steps": 4, "eval_strategy": "steps", "eval_delay": 5, "logging_steps": 2}),
    (7, {"per_device_train_batch_size": 2, "num_train_epochs": 2, "logging_strategy": "epoch", "eval_strategy": "epoch"}),
    (7, {"per_device_train_batch_size": 2, "max_steps": 6, "logging_strategy": "epoch", "logging_first_step": True}),
    (7, {"per_device_train_batch_size": 2, "num_train_epochs": 2, "logging_strategy": "no", "logging_steps": 1, "eval_strategy": "steps"}),
]


def runs():
    """Trainer's own arithmetic and DefaultFlowCallback, stepped as Trainer._run_epoch steps them."""
    for records, settings in RUNS:
        args = TrainingArguments(output_dir="unused", report_to="none", use_cpu=True, **settings)
        trainer = Trainer.__new__(Trainer)
        trainer.args, trainer._train_batch_size = args, args.per_device_train_batch_size
        trainer.is_tp_enabled = False
        for size in ["sp", "cp", "tp"]:
            setattr(trainer, f"get_{size}_size", lambda: 1)
        batches = -(-records // args.per_device_train_batch_size)
        loader = type("Loader", (), {"dataset": range(records), "__len__": lambda self: batches})()
        epochs, steps_in_epoch, _, _, _, batches_in_epoch, steps = trainer.set_initial_training_values(args, loader)
        state = TrainerState()
        state.max_steps = steps
        state.compute_steps(args, steps)
        flow, control = DefaultFlowCallback(), TrainerControl()
        events = []

        def note():
            due = [n for n in ["log", "evaluate", "save"] if getattr(control, f"should_{n}")]
            for n in due:
                if [state.global_step, n] not in events:
                    events.append([state.global_step, n])
            control._new_step()
            control.should_evaluate = control.should_log = control.should_save = False

        positions = []
        for epoch in range(epochs):
            for step in range(steps_in_epoch):
                done = min((step + 1) * args.gradient_accumulation_steps, batches_in_epoch)
                state.global_step += 1
                state.epoch = epoch + done / batches_in_epoch
                positions.append(state.epoch)
                flow.on_step_end(args, state, control)
                stop = control.should_training_stop
                note()
                if stop:
                    break
            flow.on_epoch_end(args, state, control)
            note()
            if stop:
                break
        yield {"Records": records, "Settings": settings, "Epochs": epochs, "StepsInEpoch": steps_in_epoch,
               "Steps": steps, "Events": events, "Positions": positions}


def state():
    return TrainerState(
        epoch=4 / 3, global_step=4, max_steps=6, logging_steps=2, eval_steps=3, save_steps=4, train_batch_size=4,
        num_train_epochs=2, total_flos=1.5e17, stateful_callbacks=[TrainerControl(should_save=True)],
        log_history=[
            {"loss": 2.0, "grad_norm": 0.25, "learning_rate": 5e-5, "epoch": 2 / 3, "step": 2},
            {"eval_loss": 1.75, "eval_runtime": 0.0125, "eval_samples_per_second": 80.0,
             "eval_steps_per_second": 16.0, "epoch": 1.0, "step": 3},
        ],
    )


def main():
    here = pathlib.Path(__file__).parent
    state().save_to_json(here / "trainer_state.json")
    data = {"Random": list(random_orders()), "Grouped": list(grouped_orders()), "Schedules": list(schedules()),
            "Runs": list(runs())}
    (here / "sampling.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")


main()
