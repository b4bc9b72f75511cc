"""Quantizes and dequantizes with llama.cpp's own library, for golden_test.go.

    python3 reference.py LIBGGML_BASE

LIBGGML_BASE is libggml-base.so of a llama.cpp build for x86-64, such as the one in npm's
@node-llama-cpp/linux-x64. The script answers requests on standard input: three little-endian
uint32 (1 to quantize, 0 to dequantize; type; number of elements), then the float32s or the
blocks. The answer is the blocks or the float32s.
"""

import ctypes
import struct
import sys


class Traits(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("elements", ctypes.c_int64),
        ("interleave", ctypes.c_int64),
        ("bytes", ctypes.c_size_t),
        ("quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
    ]


lib = ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL | 1)
lib.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
lib.ggml_quantize_chunk.restype = ctypes.c_size_t
lib.ggml_quantize_chunk.argtypes = [
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p,
    ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
]

while header := sys.stdin.buffer.read(12):
    quantize, number, elements = struct.unpack("<3I", header)
    traits = lib.ggml_get_type_traits(number).contents
    size = elements // traits.elements * traits.bytes
    if quantize:
        source = sys.stdin.buffer.read(4 * elements)
        answer = ctypes.create_string_buffer(size)
        lib.ggml_quantize_chunk(number, source, answer, 0, 1, elements, None)
    else:
        source = sys.stdin.buffer.read(size)
        answer = ctypes.create_string_buffer(4 * elements)
        if traits.to_float:
            traits.to_float(source, ctypes.cast(answer, ctypes.c_void_p), elements)
        else:  # float32 has no conversion
            answer.raw = source
    sys.stdout.buffer.write(answer.raw)
    sys.stdout.buffer.flush()
