"""Records which types llama.cpp chooses for the tensors of some models, in golden.json.

    python3 generate.py FOLDER

FOLDER has libllama*.so and libggml-base.so of a llama.cpp build for x86-64, such as the one in
npm's @node-llama-cpp/linux-x64. The choice is llama-quantize's own, by the functions that its
tests call (llama_quant_compute_types). The models' shapes are published ones; no weights are
involved.
"""

import ctypes
import json
import pathlib
import sys
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_int64, c_size_t, c_uint8, c_uint32, c_void_p

FILES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11,
    "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18,
    "IQ4_NL": 25, "IQ4_XS": 30, "BF16": 32,
}


def llama(architecture, layers, hidden, heads, kv_heads, inner, vocabulary, *, head=None, tied=False, experts=0, fused=False, gate=True):
    """Returns a decoder; % stands for the layer's number."""
    head = head or hidden // heads
    tensors = {"token_embd.weight": [hidden, vocabulary], "output_norm.weight": [hidden]}
    if not tied:
        tensors["output.weight"] = [hidden, vocabulary]
    layer = {"attn_norm.weight": [hidden], "ffn_norm.weight": [hidden], "attn_output.weight": [heads * head, hidden]}
    if fused:
        layer["attn_qkv.weight"] = [hidden, (heads + 2 * kv_heads) * head]
        layer["attn_qkv.bias"] = [(heads + 2 * kv_heads) * head]
    else:
        layer["attn_q.weight"] = [hidden, heads * head]
        layer["attn_k.weight"] = [hidden, kv_heads * head]
        layer["attn_v.weight"] = [hidden, kv_heads * head]
        layer["attn_q_norm.weight"] = [head, heads]
    if experts:
        layer["ffn_gate_inp.weight"] = [hidden, experts]
        for name, shape in {"gate": [hidden, inner], "up": [hidden, inner], "down": [inner, hidden]}.items():
            layer[f"ffn_{name}_exps.weight"] = shape + [experts]
            layer[f"ffn_{name}_shexp.weight"] = shape
    else:
        if gate:
            layer["ffn_gate.weight"] = [hidden, inner]
        layer["ffn_up.weight"] = [hidden, inner]
        layer["ffn_down.weight"] = [inner, hidden]
        layer["ffn_down.bias"] = [hidden]
    tensors.update({"blk.%." + name: shape for name, shape in layer.items()})
    return dict(architecture=architecture, layers=layers, heads=heads, kv_heads=kv_heads, experts=experts, tensors=tensors)


gpt2 = llama("gpt2", 12, 768, 12, 12, 3072, 50257, fused=True, gate=False)
gpt2["tensors"]["position_embd.weight"] = [768, 1024]

MODELS = {
    "SmolLM2 135M": llama("llama", 30, 576, 9, 3, 1536, 49152, tied=True),
    "Qwen2.5 0.5B": llama("qwen2", 24, 896, 14, 2, 4864, 151936, tied=True),
    "Gemma 3 270M": llama("gemma3", 18, 640, 4, 1, 2048, 262144, head=256, tied=True),
    "Llama 3 8B": llama("llama", 32, 4096, 32, 8, 14336, 128256),
    "Llama 3 70B": llama("llama", 80, 8192, 64, 8, 28672, 128256),
    "Llama 65B": llama("llama", 80, 8192, 64, 64, 22016, 32000),
    "Mixtral 8x7B": llama("llama", 32, 4096, 32, 8, 14336, 32000, experts=8),
    "Qwen3 30B": llama("qwen3moe", 48, 2048, 32, 4, 768, 151936, head=128, experts=128),
    "Falcon 7B": llama("falcon", 32, 4544, 71, 1, 18176, 65024, fused=True, gate=False),
    "Falcon 40B": llama("falcon", 60, 8192, 128, 8, 32768, 65024, fused=True, gate=False),
    "Phi 3 mini": llama("phi3", 32, 3072, 32, 32, 8192, 32064, fused=True),
    "GPT-2": gpt2,
    "a row of 336 and of 100": llama("llama", 9, 336, 6, 2, 100, 512),
}


class Description(ctypes.Structure):
    _fields_ = [("architecture", c_char_p)] + [
        (name, c_uint32) for name in ("n_embd", "n_ff", "n_layer", "n_head", "n_head_kv", "n_expert", "n_embd_head_k", "n_embd_head_v")
    ]


class Init(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("buffer", c_void_p), ("no_alloc", c_bool)]


class Parameters(ctypes.Structure):
    _fields_ = [("bytes", c_uint8 * 256)]  # longer than the struct


folder = pathlib.Path(sys.argv[1])
base = ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
lib = ctypes.CDLL(str(next(folder.glob("libllama.*so"))), mode=ctypes.RTLD_GLOBAL)
base.ggml_init.restype, base.ggml_init.argtypes = c_void_p, [Init]
base.ggml_free.argtypes = [c_void_p]
base.ggml_new_tensor.restype, base.ggml_new_tensor.argtypes = c_void_p, [c_void_p, c_int, c_int, POINTER(c_int64)]
base.ggml_set_name.restype, base.ggml_set_name.argtypes = c_void_p, [c_void_p, c_char_p]
base.ggml_type_name.restype = c_char_p
base.ggml_tensor_overhead.restype = c_size_t
lib.llama_model_quantize_default_params.restype = Parameters
describe = lib._Z31llama_quant_model_from_metadataPK22llama_quant_model_desc
describe.restype, describe.argtypes = c_void_p, [POINTER(Description)]
init = lib._Z16llama_quant_initPK11llama_modelPK27llama_model_quantize_params
init.restype, init.argtypes = c_void_p, [c_void_p, POINTER(Parameters)]
allows = lib._Z38llama_quant_tensor_allows_quantizationPK19quantize_state_implPK11ggml_tensor
allows.restype, allows.argtypes = c_bool, [c_void_p, c_void_p]
compute = lib._Z25llama_quant_compute_typesP19quantize_state_impl11llama_ftypePP11ggml_tensorP9ggml_typem
compute.argtypes = [c_void_p, c_int, POINTER(c_void_p), POINTER(c_int), c_size_t]


def layer_of(name):
    return int(name.split(".")[1]) if name.startswith("blk.") else -1


def record(model):
    """Returns file type -> tensor -> its type, or type -> layers; and the tensors that stay exact."""
    description = Description(model["architecture"].encode(), 0, 0, model["layers"], model["heads"], model["kv_heads"], model["experts"], 0, 0)
    handle = describe(byref(description))
    parameters = lib.llama_model_quantize_default_params()
    state = init(handle, byref(parameters))
    shapes = {}
    for name, shape in model["tensors"].items():
        for i in range(model["layers"]) if "%" in name else [0]:
            shapes[name.replace("%", str(i))] = shape
    context = base.ggml_init(Init(len(shapes) * base.ggml_tensor_overhead(), None, True))
    names, tensors, exact = [], [], []
    for name in sorted(shapes, key=lambda name: (layer_of(name), name)):
        shape = shapes[name]
        tensor = base.ggml_new_tensor(context, 0, len(shape), (c_int64 * len(shape))(*shape))
        base.ggml_set_name(tensor, name.encode())
        if allows(state, tensor):
            names.append(name)
            tensors.append(tensor)
        else:
            exact.append(name)
    files = {"exact": sorted({name.replace(f"blk.{layer_of(name)}.", "blk.%.") for name in exact})}
    for file, number in FILES.items():
        types = (c_int * len(tensors))()
        compute(state, number, (c_void_p * len(tensors))(*tensors), types, len(tensors))
        rows = {}
        for name, kind in zip(names, types):
            layer = layer_of(name)
            kinds = rows.setdefault(name.replace(f"blk.{layer}.", "blk.%."), {})
            kinds.setdefault(base.ggml_type_name(kind).decode().upper(), []).append(layer)
        # The type of all layers, or the layers of each type.
        files[file] = {name: next(iter(kinds)) if len(kinds) == 1 else kinds for name, kinds in rows.items()}
        # "" is the type of the tensors that are not listed.
        most = base.ggml_type_name(max(set(types), key=list(types).count)).decode().upper()
        files[file] = {"": most} | {name: kind for name, kind in files[file].items() if kind != most}
    base.ggml_free(context)
    return files


golden = {name: dict(model, files=record(model)) for name, model in MODELS.items()}
text = json.dumps(golden, separators=(",", ":"))
for mark in ('"files":', '"tensors":', *(f'"{file}":{{"":' for file in FILES)):
    text = text.replace(mark, "\n" + mark)
pathlib.Path(__file__).with_name("golden.json").write_text(text + "\n")
