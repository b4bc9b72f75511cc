"""Writes tiny 4-bit models as transformers and bitsandbytes save them, and their dequantized weights.

Needs torch, transformers, accelerate and bitsandbytes. Run it in this folder, with
OMP_NUM_THREADS=1.
"""

import hashlib
import json
import shutil
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

KEEP = ("config.json", "model.safetensors")
CASES = {
    "nf4-double": dict(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16),
    "fp4-plain": dict(bnb_4bit_quant_type="fp4", llm_int8_skip_modules=["lm_head", "o_proj"]),
}


def weights(path):
    """Dequantizes each 4-bit weight of a file from its codes: bitsandbytes' own
    dequantization on the CPU is wrong if the inner size is not a multiple of 64."""
    tensors = load_file(path)
    out = {}
    for name in sorted(tensors):
        if ".quant_state." not in name:
            continue
        weight = name.split(".quant_state.")[0]
        state = json.loads(bytes(tensors[name].tolist()))
        absmax = tensors[weight + ".absmax"]
        if "nested_offset" in state:
            per_block = tensors[weight + ".nested_absmax"].repeat_interleave(state["nested_blocksize"])[: absmax.numel()]
            scaled = tensors[weight + ".nested_quant_map"][absmax.long()] * per_block
            absmax = scaled + torch.tensor(state["nested_offset"], dtype=torch.float32)
        packed = tensors[weight].flatten().long()
        codes = torch.stack([packed >> 4, packed & 15], dim=1).flatten()
        n = state["shape"][0] * state["shape"][1]
        values = tensors[weight + ".quant_map"][codes[:n]] * absmax.repeat_interleave(state["blocksize"])[:n]
        out[weight] = hashlib.sha256(values.numpy().tobytes()).hexdigest()
    return out


torch.manual_seed(1)
config = LlamaConfig(
    vocab_size=32, hidden_size=64, intermediate_size=100, num_hidden_layers=1, num_attention_heads=2,
    num_key_value_heads=1, max_position_embeddings=64,
)  # fmt: skip
model = LlamaForCausalLM(config).to(torch.bfloat16)
expected = {}
with tempfile.TemporaryDirectory() as base:
    model.save_pretrained(base)
    for name, settings in CASES.items():
        quantized = AutoModelForCausalLM.from_pretrained(
            base, dtype=torch.bfloat16, device_map="cpu", quantization_config=BitsAndBytesConfig(load_in_4bit=True, **settings)
        )
        with tempfile.TemporaryDirectory() as out:
            quantized.save_pretrained(out)
            shutil.rmtree(name, ignore_errors=True)
            shutil.os.makedirs(name)
            for file in KEEP:
                shutil.copyfile(f"{out}/{file}", f"{name}/{file}")
        expected[name] = weights(f"{name}/model.safetensors")
with open("weights.json", "w") as file:
    json.dump(expected, file, indent=1)
    file.write("\n")
