"""Writes the Parquet files of the tests: pyarrow.parquet, rows as `datasets` writes them
for the Hub, and variants of one table by pyarrow and DuckDB, with its rows as pyarrow
reads them in rows.jsonl.

    pip install pyarrow==26.0.1 duckdb==2.0.1
    python internal/parquetrows/testdata/generate.py
"""
import datetime
import decimal
import json
import pathlib
import random

import duckdb
import pyarrow
import pyarrow.parquet

HERE = pathlib.Path(__file__).parent
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
pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS, SCHEMA), HERE / "pyarrow.parquet")

TOOL = pyarrow.struct([
    ("name", pyarrow.string()),
    ("args", pyarrow.map_(pyarrow.string(), pyarrow.string())),
    ("tags", pyarrow.list_(pyarrow.string())),
])
WIDE = pyarrow.schema([
    ("text", pyarrow.string()),
    ("large", pyarrow.large_string()),
    ("word", pyarrow.string()),
    ("int64", pyarrow.int64()),
    ("int32", pyarrow.int32()),
    ("uint64", pyarrow.uint64()),
    ("double", pyarrow.float64()),
    ("single", pyarrow.float32()),
    ("flag", pyarrow.bool_()),
    ("struct", pyarrow.struct([("list", pyarrow.list_(pyarrow.int32())), ("inner", pyarrow.struct([("x", pyarrow.string())]))])),
    ("turns", pyarrow.list_(pyarrow.struct([("role", pyarrow.string()), ("tools", pyarrow.list_(TOOL))]))),
    ("lists", pyarrow.list_(pyarrow.large_list(pyarrow.int64()))),
    ("map", pyarrow.map_(pyarrow.string(), pyarrow.list_(MESSAGE))),
    ("day", pyarrow.date32()),
    ("decimal", pyarrow.decimal128(10, 2)),
    ("category", pyarrow.dictionary(pyarrow.int32(), pyarrow.string())),
])


def value(kind, r):
    """Returns a random value of a type, or now and then None."""
    if r.random() < 0.2:
        return None
    if pyarrow.types.is_struct(kind):
        return {f.name: value(f.type, r) for f in kind}
    if pyarrow.types.is_map(kind):
        return [(f"k{i}", value(kind.item_type, r)) for i in range(r.randrange(3))]
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return [value(kind.value_type, r) for _ in range(r.randrange(4))]
    if pyarrow.types.is_boolean(kind):
        return r.random() < 0.7
    if pyarrow.types.is_integer(kind):
        bits = kind.bit_width
        return r.randrange(2**bits) if "u" in str(kind) else r.choice([r.randrange(9), r.randrange(-2 ** (bits - 1), 2 ** (bits - 1))])
    if pyarrow.types.is_floating(kind):
        return r.randrange(-512, 512) / 8
    if pyarrow.types.is_date(kind):
        return datetime.date(1960, 1, 31) + datetime.timedelta(days=r.randrange(30000))
    if pyarrow.types.is_decimal(kind):
        return decimal.Decimal(r.randrange(-5000, 5000)) / 100
    if pyarrow.types.is_dictionary(kind):
        return r.choice(["red", "green"])
    return "".join(r.choice('ab é<"\n\\\t') for _ in range(r.randrange(9)))


def plain(v, kind):
    """Returns a value as JSON has it."""
    if v is None:
        return None
    if pyarrow.types.is_struct(kind):
        return {f.name: plain(v[f.name], f.type) for f in kind}
    if pyarrow.types.is_map(kind):
        return {k: plain(x, kind.item_type) for k, x in v}
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return [plain(x, kind.value_type) for x in v]
    if isinstance(v, datetime.date):
        return v.isoformat()
    return float(v) if isinstance(v, decimal.Decimal) else v


rows = []
for i in range(60):
    r = random.Random(i)
    row = {f.name: value(f.type, r) for f in WIDE}
    row["word"] = "abc"[i % 3]
    rows.append(row)
table = pyarrow.Table.from_pylist(rows, WIDE)
ENCODINGS = {
    "text": "DELTA_BYTE_ARRAY", "large": "DELTA_LENGTH_BYTE_ARRAY", "int64": "DELTA_BINARY_PACKED",
    "int32": "DELTA_BINARY_PACKED", "uint64": "BYTE_STREAM_SPLIT", "double": "BYTE_STREAM_SPLIT",
    "single": "BYTE_STREAM_SPLIT", "flag": "RLE", "turns.list.element.role": "DELTA_BYTE_ARRAY",
    "decimal": "DELTA_BYTE_ARRAY",
}
for name, options in {
    "encodings-1-none": dict(compression="NONE", data_page_version="1.0", use_dictionary=False, column_encoding=ENCODINGS),
    "encodings-2-lz4": dict(compression="LZ4", data_page_version="2.0", use_dictionary=False, column_encoding=ENCODINGS),
    "dictionaries-1-brotli": dict(compression="BROTLI", data_page_version="1.0"),
    "dictionaries-2-gzip": dict(compression="GZIP", data_page_version="2.0", use_compliant_nested_type=False),
    "pages-2-zstd": dict(compression="ZSTD", data_page_version="2.0", data_page_size=64, write_batch_size=4, row_group_size=25),
    "pages-1-snappy": dict(compression="SNAPPY", data_page_version="1.0", data_page_size=64, write_batch_size=4, version="1.0"),
}.items():
    pyarrow.parquet.write_table(table, HERE / f"{name}.parquet", store_schema=False, write_statistics=False, **options)

duck = duckdb.connect()
duck.register("wide", table)
for codec in ["snappy", "lz4_raw"]:
    for version in ["V1", "V2"]:
        duck.execute(f"COPY wide TO '{HERE}/duckdb-{version}-{codec}.parquet' (FORMAT parquet, COMPRESSION {codec}, PARQUET_VERSION {version})")

with open(HERE / "rows.jsonl", "w") as out:
    for row in table.to_pylist():
        out.write(json.dumps({f.name: plain(row[f.name], f.type) for f in WIDE}, ensure_ascii=False) + "\n")
