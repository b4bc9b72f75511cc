"""Writes this folder: two small tokenizers and records as trl's SFTTrainer processes them.

    pip install transformers tokenizers datasets accelerate trl && python generate.py

The tokenizers are trained on the text below, so that no file has another author. trl
tokenizes and masks; features that trl lacks are added to its result here, in a line
each: Alpaca's prompts, the newline between question and answer, and splitting a text.
"""

import json
from pathlib import Path
from types import SimpleNamespace

from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from trl import SFTTrainer

HERE = Path(__file__).parent
TEXT = [
    "The river runs below the old stone bridge, and the bridge answers with an echo.",
    "Question: how many apples are left? Answer: 12 - 5 = 7 apples are left.",
    "Below is an instruction that describes a task, paired with an input that provides further context.",
    "Write a response that appropriately completes the request.\n\n### Instruction:\n\n### Input:\n\n### Response:",
    "def add(a, b):\n    return a + b\n\nprint(add(2, 3))  # 5",
    "Grüße aus Zürich: naïve café, 東京, привет, 🙂",
] * 4


def bytelevel():
    """GPT-2's kind: no bos, eos is <|end|>."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    t.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=512,
            special_tokens=["<|end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return t, {"eos_token": "<|end|>"}


def metaspace():
    """Llama 2's kind: bos in front by the post-processor, a space in front, bytes for the unknown."""
    t = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    t.train_from_iterator(TEXT[:5], trainers.BpeTrainer(vocab_size=560, special_tokens=special, show_progress=False))
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    whole = json.loads(t.to_str())
    # The byte tokens are pieces of the model, not texts.
    whole["added_tokens"] = [a for a in whole["added_tokens"] if not a["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(whole)), {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def write_tokenizer(name, made):
    tokenizer, special = made
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False) + "\n")
    config = {**special, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **special)


def trl(tokenizer, records, max_length, completion_only):
    """Returns SFTTrainer's dataset as prepared for training."""
    trainer = SimpleNamespace(_tokenizer=tokenizer, completion_only_loss=completion_only, chat_template=None)
    args = SimpleNamespace(
        dataset_num_proc=None, dataset_text_field="text", assistant_only_loss=False, max_length=max_length,
        truncation_mode="keep_start", shuffle_dataset=False, use_liger_kernel=False,
    )
    done = SFTTrainer._prepare_dataset(trainer, Dataset.from_list(records), tokenizer, args, False, None, "train")
    return [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in done]


def alpaca(record):
    if record.get("input"):
        prompt = (
            "Below is an instruction that describes a task, paired with an input that provides further context. "
            "Write a response that appropriately completes the request.\n\n"
            f"### Instruction:\n{record['instruction']}\n\n### Input:\n{record['input']}\n\n### Response:"
        )
    else:
        prompt = (
            "Below is an instruction that describes a task. "
            "Write a response that appropriately completes the request.\n\n"
            f"### Instruction:\n{record['instruction']}\n\n### Response:"
        )
    return {"prompt": prompt, "completion": record["output"]}


AS_PAIR = {
    "alpaca": alpaca,
    "prompt-completion (prompt, completion)": lambda r: r,
    "prompt-completion (input, output)": lambda r: {"prompt": r["input"], "completion": r["output"]},
    "prompt-completion (question, answer)": lambda r: {"prompt": r["question"] + "\n", "completion": r["answer"]},
}

PAIRS = [
    ("How many apples are left?", " 7 apples are left."),
    ("The bri", "dge answers"),  # a token spans the boundary
    ("", "an answer to nothing"),
    ("def add(a, b):\n   ", " return a + b\n"),
    ("Grüße", " aus Zürich 🙂"),
    ("ends by itself", " here{eos}"),
    ("{eos} in the prompt", " and <not> {eos} the end"),
    ("a prompt that is long enough to fill every token of a short sequence by itself alone", " lost"),
]


def cases():
    def named(a, b):
        return lambda eos: [{a: p.replace("{eos}", eos), b: c.replace("{eos}", eos)} for p, c in PAIRS]

    yield "prompt-completion (prompt, completion)", named("prompt", "completion")
    yield "prompt-completion (input, output)", named("input", "output")
    yield "prompt-completion (question, answer)", named("question", "answer")
    yield "alpaca", lambda eos: [
        {"instruction": "Write a response.", "input": "The river", "output": " runs below"},
        {"instruction": "Add 2 and 3.", "input": "", "output": "\n5"},
        {"instruction": "Grüße", "output": "5" + eos},
    ]
    yield "text", lambda eos: [
        {"text": "The river runs below the old stone bridge."},
        {"text": " two  spaces and a newline\n"},
        {"text": "ends by itself" + eos},
        {"text": TEXT[3] + TEXT[4] + TEXT[5]},
    ]


def pieces(example, length):
    if length is None:
        return [example]
    return [
        {key: values[i : i + length] for key, values in example.items()}
        for i in range(0, len(example["input_ids"]), length)
    ]


def main():
    recorded = []
    for name, made in (("bytelevel", bytelevel()), ("metaspace", metaspace())):
        tokenizer = write_tokenizer(name, made)
        for format, records in cases():
            records = records(tokenizer.eos_token)
            for max_length, on_inputs in ((None, False), (16, False), (None, True)):
                if format == "text":
                    want = [p for e in trl(tokenizer, records, None, False) for p in pieces(e, max_length)]
                else:
                    want = trl(tokenizer, [AS_PAIR[format](r) for r in records], max_length, not on_inputs)
                recorded.append(
                    {
                        "tokenizer": name, "format": format, "max_length": max_length or 0,
                        "train_on_inputs": on_inputs, "records": records, "want": want,
                    }
                )
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in recorded)
    (HERE / "trl.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
