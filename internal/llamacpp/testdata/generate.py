"""Records what llama.cpp's converter makes of the tiny models of trainer/testdata/families: each as a GGUF file's metadata, and its
tensors' names, shapes and digests in float32.

usage: python generate.py LLAMA_CPP [CASE ...]
       LLAMA_CPP is a source tree of llama.cpp (the sdist of llama-cpp-python 0.3.36 has one in vendor/)
needs: torch and transformers, as in trainer/testdata/families/generate.py

CASE/        config.json and weights.json of the cases that trainer/testdata/families does not have, or has in a form that the
            converter misreads
CASE.json   general.architecture and the keys of the architecture; the tensors in the file's order. The tokenizer is left out.
none.json   the cases that the converter refuses, with the reason
"""
import hashlib
import json
import logging
import pathlib
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
FAMILIES = HERE.parents[2] / "trainer/testdata/families"
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, str(FAMILIES))
sys.path.insert(1, sys.argv[1] + "/gguf-py")

import gguf
from safetensors.torch import load_file, save_file

import conversion
import formula
from conversion.base import ModelBase, ModelType, TextModel, get_model_architecture

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from variants import BLOOM, FALCON, GEMMA, GPT2, NO_KV, NONE, SMALL, TIED, rope

QWEN = SMALL | dict(max_window_layers=2)
GEMMA3_ROPE = {"sliding_attention": rope(100.0), "full_attention": rope(1000.0, "linear", factor=4.0)}
HEADS = dict(num_attention_heads=2, hidden_size=32)
OWN = {
    "qwen2": ("qwen2", QWEN | dict(rope_parameters=rope(1e6))),
    "qwen2-yarn": ("qwen2", QWEN | dict(rope_parameters=rope(1e6, "yarn", factor=4.0, original_max_position_embeddings=64))),
    "qwen3": ("qwen3", QWEN | dict(head_dim=32, tie_word_embeddings=True, rope_parameters=rope(1e6))),
    "llama-biases": ("llama", SMALL | dict(attention_bias=True, mlp_bias=True, head_dim=32)),
    "llama-linear": ("llama", SMALL | dict(rope_parameters=rope(kind="linear", factor=4.0))),
    "llama3": ("llama", TIED | dict(hidden_size=128, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=131072, rope_parameters=rope(
        5e5, "llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192))),
    "gemma2": ("gemma2", GEMMA | dict(num_hidden_layers=3, sliding_window=6, query_pre_attn_scalar=32, attn_logit_softcapping=1.5, final_logit_softcapping=2.5)),
    "gemma3_text": ("gemma3_text", GEMMA | HEADS | dict(num_key_value_heads=1, num_hidden_layers=7, sliding_window=6, query_pre_attn_scalar=32,
                                                        rope_parameters=GEMMA3_ROPE)),
    "smollm3": ("smollm3", TIED | HEADS | dict(num_hidden_layers=4)),
    "cohere2": ("cohere2", TIED | HEADS | dict(num_hidden_layers=4, head_dim=16, sliding_window=6, logit_scale=0.4)),
    "stablelm": ("stablelm", SMALL | dict(use_qkv_bias=True, rope_parameters=rope(partial_rotary_factor=0.25))),
    "falcon-7b": ("falcon", FALCON | dict(ffn_hidden_size=256, num_kv_heads=1, max_position_embeddings=2048)),
    "falcon-40b": ("falcon", FALCON | dict(ffn_hidden_size=256, new_decoder_architecture=True, num_kv_heads=2, max_position_embeddings=2048)),
    "falcon-11b": ("falcon", FALCON | dict(ffn_hidden_size=256, new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1,
                                           tie_word_embeddings=False, max_position_embeddings=2048)),
    "gpt2": ("gpt2", GPT2 | dict(n_inner=None)),
    "gpt_bigcode": ("gpt_bigcode", GPT2 | dict(n_inner=256)),
    "gpt_neox": ("gpt_neox", NO_KV | dict(rope_parameters=rope(partial_rotary_factor=0.25))),
    "mpt": ("mpt", dict(vocab_size=128, hidden_size=64, n_layers=2, num_attention_heads=4, max_seq_len=64, attn_config=dict(clip_qkv=0.8), **NONE)),
    "bloom": ("bloom", BLOOM),
    "phi": ("phi", NO_KV | dict(intermediate_size=256, rope_parameters=rope(partial_rotary_factor=0.5))),
}
# What the converter asks for by an older name.
ALSO = {
    "gpt2": {"n_ctx": 64}, "gpt_neox": {"rotary_pct": 0.25}, "cohere2": {"rotary_pct": 1.0}, "bloom": {"seq_length": 2048},
    "mpt": {"architectures": ["MPTForCausalLM"]},
}


def make_own(case):
    """Writes config.json and weights.json of a case of OWN."""
    model, settings = OWN[case]
    config = AutoConfig.for_model(model, **settings)
    made = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    (HERE / case).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        made.save_pretrained(tmp)
        text = json.loads((pathlib.Path(tmp) / "config.json").read_text())
        text |= ALSO.get(case, {})
        tensors = load_file(tmp + "/model.safetensors")
    (HERE / case / "config.json").write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
    rows, _ = formula.fill(case, tensors, "bfloat16", formula.base_rule(model, tensors))
    formula.write(HERE / case / "weights.json", case, base=rows)


def folder(case, to):
    """Writes the case's config.json and its weights, which are computed by a formula."""
    if case in OWN:
        make_own(case)
    source = (HERE if case in OWN else FAMILIES) / case
    shutil.copy(source / "config.json", to)
    weights = json.loads((source / "weights.json").read_text())
    save_file({row["name"]: formula.tensor(weights["seed"], row) for row in weights["base"]}, to / "model.safetensors", metadata={"format": "pt"})
    vocabulary = {f"t{i}": i for i in range(128)}  # Gemma 3's converter counts it
    (to / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": vocabulary, "merges": []}, "added_tokens": []}))


def convert(case):
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        folder(case, tmp)
        config = ModelBase.load_hparams(tmp, False)
        conversion.load_all_models()
        kind = ModelBase.from_model_architecture(get_model_architecture(config, ModelType.TEXT), ModelType.TEXT)
        kind.set_vocab = lambda self: None
        model = kind(tmp, gguf.LlamaFileType.ALL_F32, tmp / "out.gguf", hparams=config | ALSO.get(case, {}))
        if hasattr(model, "impl"):
            type(model.impl).set_vocab = lambda self: None
        model.write()
        file = gguf.GGUFReader(tmp / "out.gguf")
        arch = file.fields["general.architecture"].contents()
        metadata = []
        for key, field in file.fields.items():
            if key == "general.architecture" or key.startswith(arch + "."):
                metadata.append({"key": key, "type": ".".join(kind.name.lower() for kind in field.types), "value": field.contents()})
        tensors = []
        for t in file.tensors:
            row = {"name": t.name, "shape": [int(n) for n in reversed(t.shape)], "type": t.tensor_type.name,
                   "sha256": hashlib.sha256(t.data.tobytes()).hexdigest()[:16]}
            if t.name.startswith("rope_"):
                row["values"] = [float(x) for x in t.data]
            tensors.append(row)
        return {"metadata": metadata, "tensors": tensors}


def lines(rows):
    return "[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n ]"


def main():
    logging.disable(logging.WARNING)
    recorded = [case["name"] for case in json.loads((FAMILIES / "index.json").read_text())["cases"]]
    cases = sys.argv[2:] or recorded + sorted(OWN.keys() - set(recorded))
    refused = {} if not sys.argv[2:] else json.loads((HERE / "none.json").read_text())
    for case in cases:
        try:
            made = convert(case)
        except (NotImplementedError, KeyError, ValueError, AssertionError, TypeError, RuntimeError) as reason:
            refused[case] = f"{type(reason).__name__}: {reason}"
            print(case, refused[case])
            continue
        refused.pop(case, None)
        (HERE / f"{case}.json").write_text(f'{{\n "metadata": {lines(made["metadata"])},\n "tensors": {lines(made["tensors"])}\n}}\n')
    (HERE / "none.json").write_text(json.dumps(refused, indent=1, sort_keys=True) + "\n")


main()
