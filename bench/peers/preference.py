"""Steps of DPO by TRL's DPOTrainer with peft and bitsandbytes on the CPU.

usage: preference.py MODEL_FOLDER PAIRS.jsonl [nf4-bf16|nf4-fp32|bf16|fp32] [pairs] [length] [steps] [threads]

Rank 8 on all linear layers, double quantization, no dropout, AdamW; the reference is the base without the adapter. CHECKPOINTING=1 recomputes
activations, which is DPOConfig's default, is slower and takes less memory. Prints the mode, the median tokens/s without the first step, counting
the tokens of both sides once, and the peak resident memory in GiB.
"""
import os
import resource
import statistics
import sys
import tempfile
import time

import datasets
import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback
from trl import DPOConfig, DPOTrainer

folder, records = sys.argv[1:3]
mode = sys.argv[3] if len(sys.argv) > 3 else "nf4-bf16"
pairs, length, steps, threads = [int(a) for a in sys.argv[4:8]] + [2, 256, 4, 2][len(sys.argv[4:8]):]
base, _, compute = mode.rpartition("-")
dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[compute]
torch.set_num_threads(threads)
quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                  bnb_4bit_compute_dtype=dtype) if base == "nf4" else None
model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map="cpu", quantization_config=quantization)
checkpointing = os.environ.get("CHECKPOINTING") == "1"


class Clock(TrainerCallback):
    """Times the steps."""

    seconds = []

    def on_step_begin(self, *_, **__):
        self.begun = time.perf_counter()

    def on_step_end(self, args, state, control, **_):
        self.seconds.append(time.perf_counter() - self.begun)
        print(f"step {state.global_step}: {self.seconds[-1]:.1f} s", file=sys.stderr)


with tempfile.TemporaryDirectory() as scratch:
    trainer = DPOTrainer(
        model=model, processing_class=AutoTokenizer.from_pretrained(folder), train_dataset=datasets.load_dataset("json", data_files=records, split="train", cache_dir=scratch),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules="all-linear", lora_dropout=0.0), callbacks=[Clock()],
        args=DPOConfig(output_dir=scratch, use_cpu=True, bf16=False, report_to="none", disable_tqdm=True, save_strategy="no", max_steps=steps, max_length=length,
                       per_device_train_batch_size=pairs, gradient_checkpointing=checkpointing, logging_steps=1))
    trainer.train()
rate = 2 * pairs * length / statistics.median(Clock.seconds[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{mode}{'-checkpointed' if checkpointing else ''} {rate:.1f} {peak:.2f}")
