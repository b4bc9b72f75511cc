"""Records stopping.json: what transformers' Trainer and EarlyStoppingCallback make of sequences of evaluations."""

import json
import pathlib

from transformers import EarlyStoppingCallback, Trainer, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

FALLING = [3.0, 2.5, 2.25, 2.0, 1.75, 1.5]
BOWL = [3.0, 2.0, 1.5, 1.5, 1.625, 1.5625, 1.25, 1.0]
RISING = [1.0, 1.5, 1.25, 1.125, 1.0]
CASES = [
    (metric, greater, patience, threshold, values)
    for values in (FALLING, BOWL, RISING, [-v for v in BOWL])
    for metric, greater in (("loss", None), ("eval_mean_token_accuracy", None), ("eval_loss", True))
    for patience, threshold in ((1, 0.0), (2, 0.0), (3, 0.0), (2, 0.25), (1, 0.3))
]


def record(metric, greater, patience, threshold, values):
    settings = {} if greater is None else {"greater_is_better": greater}
    args = TrainingArguments(output_dir="unused", report_to="none", use_cpu=True, metric_for_best_model=metric, eval_strategy="steps",
                             eval_steps=1, save_strategy="best", **settings)
    trainer = Trainer.__new__(Trainer)
    trainer.args, trainer.state = args, TrainerState()
    callback, control = EarlyStoppingCallback(patience, threshold), TrainerControl()
    name = metric if metric.startswith("eval_") else f"eval_{metric}"
    steps = []
    for step, value in enumerate(values, 1):
        trainer.state.global_step = step
        callback.on_evaluate(args, trainer.state, control, {name: value})
        saves = trainer._determine_best_metric({name: value}, None)
        steps.append({"Best": trainer.state.best_metric, "BestStep": trainer.state.best_global_step, "Saves": bool(saves),
                      "Counter": callback.early_stopping_patience_counter})
        if control.should_training_stop:
            break
    return {"Metric": metric, "Greater": greater, "Patience": patience, "Threshold": threshold, "Values": values, "Steps": steps,
            "Callback": callback.state()}


path = pathlib.Path(__file__).parent / "stopping.json"
path.write_text(json.dumps([record(*case) for case in CASES], separators=(",", ":")) + "\n")
