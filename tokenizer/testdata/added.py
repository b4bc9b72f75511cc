"""Adds tokens to the tokenizers of this folder with transformers (5.23) and writes, for each,
added/NAME.json: the added tokens of the tokenizer.json that save_pretrained writes, and texts
with their ids.

usage: added.py, in this folder
"""

import json
import tempfile

from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

TEXTS = [
    "a<new>b <new> c",
    "  word words word\u2581word",
    "x <left>  y  <right> z <alone> q<alone> <alone>.",
    "<|special|> <|special|><s></s>",
    "Schön schön ｓｃｈöｎ",
    "the cat the",
    "<pad2><L> <R> Café\n\n",
]


def main():
    for name in ["gpt2", "llama2", "llama3", "qwen2", "unigram"]:
        t = PreTrainedTokenizerFast(tokenizer_file=f"{name}.json")
        t.add_tokens(["<new>", "word", "<new>", "Schön", "the"])
        t.add_tokens(
            [
                AddedToken("<left>", lstrip=True, normalized=False),
                AddedToken("<right>", rstrip=True, normalized=False),
                AddedToken("<alone>", single_word=True),
                AddedToken("<L>", rstrip=True, normalized=False),
            ]
        )
        t.add_tokens(["<|special|>", "<s>"], special_tokens=True)
        t.add_special_tokens({"pad_token": "<pad2>"})
        with tempfile.TemporaryDirectory() as d:
            t.save_pretrained(d)
            saved = json.load(open(f"{d}/tokenizer.json"))
        texts = []
        for text in TEXTS:
            ids = t(text)["input_ids"]
            texts.append({"text": text, "ids": ids, "decoded": t.decode(ids), "skipped": t.decode(ids, skip_special_tokens=True)})
        with open(f"added/{name}.json", "w") as f:
            json.dump({"added_tokens": saved["added_tokens"], "texts": texts}, f, ensure_ascii=False, indent=1)
            f.write("\n")


main()
