"""Writes a GGUF file with another 4-bit type for what is 4-bit, to compare llama.cpp's types.

usage: requantize.py MODEL.gguf OUT.gguf [Q4_0]
"""
import sys

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from gguf.constants import GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize

source, out = sys.argv[1:3]
wanted = Type[sys.argv[3] if len(sys.argv) > 3 else "Q4_0"]
reader = GGUFReader(source)
writer = GGUFWriter(out, reader.fields["general.architecture"].contents())
for field in reader.fields.values():
    if field.name.startswith("GGUF.") or field.name == "general.architecture":
        continue
    kind = field.types[0]
    writer.add_key_value(field.name, field.contents(), kind, field.types[-1] if kind == GGUFValueType.ARRAY else None)
for tensor in reader.tensors:
    data, kind = tensor.data, tensor.tensor_type
    if kind in (Type.Q4_0, Type.Q4_1):
        data, kind = quantize(dequantize(data, kind).astype(np.float32), wanted), wanted
    writer.add_tensor(tensor.name, data, raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
