"""Saves small datasets as folders: one, and one with splits.

    pip install datasets==5.2.0
    python trainer/dataset/testdata/saved/generate.py
"""
import pathlib
import shutil

import datasets

HERE = pathlib.Path(__file__).parent


def numbered(*numbers):
    """Returns a dataset with a record [n, n] for each number."""
    return datasets.Dataset.from_dict({"input_ids": [[n, n] for n in numbers]})


for name in ["one", "splits"]:
    shutil.rmtree(HERE / name, ignore_errors=True)
numbered(3, 1, 2, 0).select([1, 2, 0]).save_to_disk(HERE / "one", num_shards=2)
datasets.DatasetDict({"train": numbered(1, 2), "validation": numbered(3), "test": numbered(4)}).save_to_disk(HERE / "splits")
