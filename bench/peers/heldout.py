"""The loss that `qlora eval` measures, by transformers (and bitsandbytes) on the CPU.

    python bench/peers/heldout.py --model DIR --records heldout.jsonl [--dtype float32|bfloat16] [--quant_type nf4|fp4 [--double]]

A record has input_ids and labels (-100 where nothing is predicted), as written by `make retention`. --dtype is the type
of computation, weights included. The loss is the mean over all predicted tokens, in nats; the cross-entropy is
computed in float64.
"""
import argparse
import json
import pathlib

import torch

import reference


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--records", required=True, type=pathlib.Path)
    arguments.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    arguments.add_argument("--quant_type", choices=["nf4", "fp4"])
    arguments.add_argument("--double", action="store_true", help="double quantization")
    arguments.add_argument("--threads", type=int, default=2)
    a = arguments.parse_args()

    torch.set_num_threads(a.threads)
    dtype = getattr(torch, a.dtype)
    how = reference.quantization(a.quant_type, a.double) if a.quant_type else None
    if how:
        how.bnb_4bit_compute_dtype = dtype
    model = reference.load(a.model, quantize=how, dtype=dtype)
    total, predicted = 0.0, 0
    for line in a.records.read_text().splitlines():
        record = json.loads(line)
        labels = torch.tensor(record["labels"][1:])
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([record["input_ids"]])).logits[0, :-1].double()
        total += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        predicted += int((labels != -100).sum())
    print(json.dumps({"loss": total / predicted, "tokens": predicted}))


main()
