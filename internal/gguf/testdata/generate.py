"""Writes python.gguf with the Python package gguf 0.19: a value of every type that its writer has, and a few tensors."""

import pathlib

import gguf
import numpy as np

out = pathlib.Path(__file__).parent / "python.gguf"
writer = gguf.GGUFWriter(out, "llama")
types = gguf.GGUFValueType
writer.add_key_value("u8", 200, types.UINT8)
writer.add_key_value("i8", -3, types.INT8)
writer.add_key_value("u16", 60000, types.UINT16)
writer.add_key_value("i16", -300, types.INT16)
writer.add_key_value("u32", 4_000_000_000, types.UINT32)
writer.add_key_value("i32", -5, types.INT32)
writer.add_key_value("u64", 2**64 - 1, types.UINT64)
writer.add_key_value("i64", -(2**60), types.INT64)
writer.add_key_value("f32", 1e-5, types.FLOAT32)
writer.add_key_value("f64", 0.1, types.FLOAT64)
writer.add_key_value("yes", True, types.BOOL)
writer.add_key_value("text", "é", types.STRING)
writer.add_array("ints", [-1, 0, 1])
writer.add_array("floats", [0.5, -1.0])
writer.add_array("bools", [True, False])
writer.add_array("texts", ["a", "", "ç"])
writer.add_array("nested", [[1, 2], [3]])


def data(n):
    return (np.arange(n) % 256).astype(np.uint8)


writer.add_tensor("matrix", data(24).view(np.float32).reshape(2, 3))
writer.add_tensor("vector", data(10).view(np.float16))
writer.add_tensor("blocks", data(4 * 34).reshape(2, 68), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
writer.add_tensor("cube", data(48).reshape(2, 3, 8), raw_dtype=gguf.GGMLQuantizationType.BF16)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
