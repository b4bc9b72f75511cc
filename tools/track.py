#!/usr/bin/env python3
"""Gives a run's metrics.jsonl to an experiment tracker.

usage: track.py wandb|mlflow|trackio OUTPUT_DIR [--project NAME] [--name NAME]

wandb logs in offline mode if the environment has WANDB_MODE=offline; `wandb sync` uploads later. mlflow logs to
MLFLOW_TRACKING_URI, by default mlflow.db in the working folder. The settings are those of run.yaml.
"""

import argparse
import json
import pathlib


def rows(folder):
    """Yields the step and the numbers of each row."""
    for line in (folder / "metrics.jsonl").open():
        row = json.loads(line)
        yield row.pop("step"), {name: value for name, value in row.items() if isinstance(value, (int, float))}


def settings(folder):
    """Returns the options of run.yaml, which has one on each line, as text."""
    path = folder / "run.yaml"
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split(": ", 1) for line in lines if ": " in line and line[:1].isalpha())


def to_wandb(folder, project, name):
    import wandb

    with wandb.init(project=project, name=name, config=settings(folder)) as run:
        for step, values in rows(folder):
            run.log(values | {"train/global_step": step})


def to_mlflow(folder, project, name):
    import mlflow

    mlflow.set_experiment(project)
    with mlflow.start_run(run_name=name):
        for key, value in settings(folder).items():
            mlflow.log_param(key, value[:500])
        for step, values in rows(folder):
            mlflow.log_metrics(values, step=step)


def to_trackio(folder, project, name):
    import trackio

    trackio.init(project=project, name=name, config=settings(folder), embed=False)
    for step, values in rows(folder):
        trackio.log(values, step=step)
    trackio.finish()


def main():
    trackers = {"wandb": to_wandb, "mlflow": to_mlflow, "trackio": to_trackio}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracker", choices=trackers)
    parser.add_argument("output_dir", type=pathlib.Path)
    parser.add_argument("--project", default="qlora")
    parser.add_argument("--name", help="of the run; default: the folder's name")
    given = parser.parse_args()
    folder = given.output_dir.resolve()
    trackers[given.tracker](folder, given.project, given.name or folder.name)


main()
