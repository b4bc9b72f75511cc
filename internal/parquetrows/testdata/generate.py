"""Writes pyarrow.parquet: rows as `datasets` writes them for the Hub.

    pip install pyarrow==26.0.1
    python internal/parquetrows/testdata/generate.py
"""
import pathlib

import pyarrow
import pyarrow.parquet

MESSAGE = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
SCHEMA = pyarrow.schema([
    ("messages", pyarrow.list_(MESSAGE)),
    ("input_ids", pyarrow.list_(pyarrow.int32())),
    ("none", pyarrow.string()),
    ("text", pyarrow.string()),
    ("nested", pyarrow.struct([("lists", pyarrow.list_(pyarrow.list_(pyarrow.string())))])),
])
ROWS = [
    {"messages": [{"role": "user", "content": "Hi <b>é</b>"}, {"role": "assistant", "content": "Yes?"}],
     "input_ids": [1, 2, 3], "text": "a\nb", "nested": {"lists": [["x"], [], ["y", "z"]]}},
    {"messages": [], "input_ids": []},
    {"messages": [{"role": "user", "content": "last"}], "input_ids": [7], "text": "", "nested": {"lists": []}},
]

path = pathlib.Path(__file__).with_name("pyarrow.parquet")
pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS, SCHEMA), path)
