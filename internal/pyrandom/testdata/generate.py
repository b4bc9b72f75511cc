"""Writes samples.json: consecutive samples of Python's random.Random for each seed.

    python generate.py        (made with CPython 3.11)
"""
import json
import pathlib
import random

SEEDS = (0, 1, 42, 1234, 2**32 - 1, 2**32 + 5, 2**63 + 11)
SIZES = ((1, 1), (3, 2), (10, 10), (21, 5), (22, 5), (85, 6), (86, 6), (1000, 25), (100_000, 3), (5_000_000_000, 2), (7, 0))

rows = []
for seed in SEEDS:
    generator = random.Random(seed)
    rows.append({"seed": seed, "samples": [{"n": n, "k": k, "want": generator.sample(range(n), k)} for n, k in SIZES]})
pathlib.Path(__file__).with_name("samples.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
