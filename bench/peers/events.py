"""Reads a run's events as TensorBoard does and compares them with the run's other files.

    pip install tensorboard
    python bench/peers/events.py OUTPUT_DIR [LOGGING_DIR]

Every row of trainer_state.json must occur once under its tag and step, and nothing else; settings and samples as texts.
"""

import json
import pathlib
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

output = pathlib.Path(sys.argv[1])
events = EventAccumulator(sys.argv[2] if len(sys.argv) > 2 else str(output / "runs"), size_guidance={"scalars": 0, "tensors": 0})
events.Reload()


def tag(key):
    return "eval/" + key.removeprefix("eval_") if key.startswith("eval_") else "train/" + key


want = {}
for row in json.loads((output / "trainer_state.json").read_text())["log_history"]:
    for key, value in row.items():
        if key != "step":
            want.setdefault(tag(key), {})[row["step"]] = value
for line in (output / "metrics.jsonl").read_text().splitlines():
    row = json.loads(line)
    if "tokens_per_second" in row:
        want.setdefault("train/tokens_per_second", {})[row["step"]] = row["tokens_per_second"]

failed = 0


def check(ok, what):
    global failed
    failed += not ok
    print("ok    " if ok else "WRONG ", what)


found = events.Tags()
check(set(found["scalars"]) == set(want), f"scalars {sorted(found['scalars'])}")
for name, values in sorted(want.items()):
    points = events.Scalars(name) if name in found["scalars"] else []
    steps = [p.step for p in points]
    # Training and evaluation rows of the same step both have the epoch.
    once = len(steps) == len(set(steps)) or name == "train/epoch"
    same = {p.step: p.value for p in points} == {s: struct.unpack("f", struct.pack("f", v))[0] for s, v in values.items()}
    check(once and same, f"{name}: {len(points)} points, steps {steps[:1]} to {steps[-1:]}")

texts = {}
for name in found["tensors"]:
    texts[name] = [(e.step, e.tensor_proto.string_val[0].decode()) for e in events.Tensors(name)]
for name in ["args", "model_config"]:
    check(all(isinstance(json.loads(text), dict) for _, text in texts.get(name + "/text_summary", [(0, "0")])), f"{name} is JSON")
check("| method |" in texts["settings/text_summary"][0][1], "settings are a table")
samples = [json.loads(line) for line in (output / "samples.jsonl").read_text().splitlines()] if (output / "samples.jsonl").exists() else []
steps = sorted({s["step"] for s in samples})
for name, all_texts in sorted(texts.items()):
    if name.startswith("samples/"):
        check([step for step, _ in all_texts] == steps, f"{name}: steps {steps}")
sys.exit(failed > 0)
