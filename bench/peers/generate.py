"""Greedy generation by transformers on the CPU, token by token to standard output.

usage: generate.py MODEL_FOLDER PROMPT TOKENS [bf16|fp32|nf4-bf16|nf4-fp32] [threads]
"""
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

folder, prompt, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3])
mode = sys.argv[4] if len(sys.argv) > 4 else "bf16"
base, _, compute = mode.rpartition("-")
dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[compute]
torch.set_num_threads(int(sys.argv[5]) if len(sys.argv) > 5 else 2)

tokenizer = AutoTokenizer.from_pretrained(folder)
quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                  bnb_4bit_compute_dtype=dtype) if base == "nf4" else None
model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map="cpu", quantization_config=quantization)


class Stream:
    """Writes each new token."""

    def put(self, ids):
        if ids.numel() == 1:
            print(tokenizer.decode(ids.flatten().tolist()), end="", flush=True)

    def end(self):
        print()


ids = tokenizer(prompt, return_tensors="pt")
with torch.inference_mode():
    model.generate(**ids, do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens, streamer=Stream())
