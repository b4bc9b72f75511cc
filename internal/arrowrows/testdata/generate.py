"""Writes one table as an Arrow stream, as files and compressed, with its rows as pyarrow
reads them in rows.jsonl.

    pip install pyarrow==26.0.1
    python internal/arrowrows/testdata/generate.py
"""
import datetime
import decimal
import json
import pathlib

import pyarrow
import pyarrow.feather

HERE = pathlib.Path(__file__).parent
MESSAGE = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
# Of each type two values; a third row is null.
COLUMNS = [
    ("text", pyarrow.string(), ["a\n\"b\" é", ""]),
    ("large", pyarrow.large_string(), ["x", "yy"]),
    ("view", pyarrow.string_view(), ["short", "longer than twelve bytes"]),
    ("bytes", pyarrow.binary(), [b"text", b"more"]),
    ("int8", pyarrow.int8(), [-128, 127]),
    ("uint64", pyarrow.uint64(), [0, 2**64 - 1]),
    ("half", pyarrow.float16(), [1.5, -2.0]),
    ("single", pyarrow.float32(), [0.25, 1.0]),
    ("double", pyarrow.float64(), [0.1, 1e300]),
    ("flag", pyarrow.bool_(), [True, False]),
    ("none", pyarrow.null(), [None, None]),
    ("messages", pyarrow.list_(MESSAGE), [[{"role": "user", "content": "Hi"}, {"role": None, "content": "x"}, None], []]),
    ("lists", pyarrow.large_list(pyarrow.list_(pyarrow.int32())), [[[1, 2], [], None, [None]], []]),
    ("fixed", pyarrow.list_(pyarrow.int64(), 2), [[1, 2], [3, None]]),
    ("struct", pyarrow.struct([("x", pyarrow.int16()), ("ys", pyarrow.list_(pyarrow.string()))]), [{"x": 1, "ys": ["a"]}, {"x": None, "ys": None}]),
    ("map", pyarrow.map_(pyarrow.string(), pyarrow.int64()), [[("a", 1), ("b", None)], []]),
    ("category", pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), ["red", "green"]),
    ("day", pyarrow.date32(), [datetime.date(2024, 1, 2), datetime.date(1969, 12, 31)]),
    ("time", pyarrow.time64("us"), [datetime.time(1, 2, 3), datetime.time(23, 59)]),
    ("moment", pyarrow.timestamp("s"), [datetime.datetime(2024, 1, 2, 3, 4, 5), datetime.datetime(1970, 1, 1)]),
    ("decimal", pyarrow.decimal128(5, 1), [decimal.Decimal("12.5"), decimal.Decimal("-0.5")]),
]


def plain(v, kind):
    """Returns a value as JSON has it."""
    if v is None:
        return None
    if pyarrow.types.is_struct(kind):
        return {f.name: plain(v[f.name], f.type) for f in kind}
    if pyarrow.types.is_map(kind):
        return {k: plain(x, kind.item_type) for k, x in v}
    if isinstance(v, list):
        return [plain(x, kind.value_type) for x in v]
    if isinstance(v, bytes):
        return v.decode()
    if isinstance(v, (datetime.date, datetime.time)):
        return v.isoformat()
    return float(v) if isinstance(v, decimal.Decimal) else v


table = pyarrow.table(
    [pyarrow.array(values + [None], kind) for _, kind, values in COLUMNS],
    pyarrow.schema([(name, kind) for name, kind, _ in COLUMNS]),
)
with pyarrow.ipc.new_stream(HERE / "stream.arrow", table.schema) as out:
    out.write_table(table, max_chunksize=2)
with pyarrow.ipc.new_file(HERE / "file.arrow", table.schema) as out:
    out.write_table(table, max_chunksize=2)
for codec in ["lz4", "zstd"]:
    pyarrow.feather.write_feather(table, HERE / f"{codec}.feather", compression=codec)
with open(HERE / "rows.jsonl", "w") as out:
    for row in table.to_pylist():
        out.write(json.dumps({f.name: plain(row[f.name], f.type) for f in table.schema}, ensure_ascii=False) + "\n")
