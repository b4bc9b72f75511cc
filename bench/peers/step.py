"""The step that BenchmarkStep measures, by transformers + peft + bitsandbytes on the CPU.

usage: step.py MODEL_FOLDER [nf4-bf16|nf4-fp32|bf16|fp32] [batch] [sequence] [steps] [threads]

QLoRA (bf16 and fp32: LoRA on the base in that type), rank 8 on all linear layers, double
quantization, no dropout, AdamW, clipped at 1. Prints the mode, the median tokens/s without
the first step, and the peak resident memory in GiB.
"""
import resource
import statistics
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

folder = sys.argv[1]
mode = sys.argv[2] if len(sys.argv) > 2 else "nf4-bf16"
batch, sequence, steps, threads = [int(a) for a in sys.argv[3:7]] + [4, 256, 4, 2][len(sys.argv[3:7]):]
base, _, compute = mode.rpartition("-")
dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[compute]
torch.manual_seed(0)
torch.set_num_threads(threads)

quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                  bnb_4bit_compute_dtype=dtype) if base == "nf4" else None
model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map="cpu", quantization_config=quantization)
model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", lora_dropout=0.0))
model.train()
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=2e-4)
ids = torch.randint(0, model.config.vocab_size, (batch, sequence))

seconds = []
for step in range(steps):
    start = time.perf_counter()
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    seconds.append(time.perf_counter() - start)
    print(f"step {step + 1}: loss {loss.item():.4f}, {seconds[-1]:.1f} s", file=sys.stderr)
rate = batch * sequence / statistics.median(seconds[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{mode} {rate:.1f} {peak:.2f}")
