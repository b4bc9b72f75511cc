"""Makes small tokenizer folders without tokenizer.json from the tokenizers of this folder and
writes, for each, folders/NAME.json: its files, texts with the ids of AutoTokenizer of
transformers (5.23), and the special tokens. tiktoken (0.14) and mistral_common (1.13) check the
folders of their formats too.

usage: folders.py, in this folder
"""

import base64
import json
import os
import random
import tempfile

import tiktoken
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from oracle import texts
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def token(content, special=True, **flags):
    return {"content": content, "special": special, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False} | flags


def model(name):
    return json.load(open(f"{name}.json"))["model"]


def bpe(name, config, tokenizer_config=None, **more):
    m = model(name)
    merges = "#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in m["merges"])
    files = {"vocab.json": json.dumps(m["vocab"], ensure_ascii=False), "merges.txt": merges, "config.json": json.dumps(config)}
    if tokenizer_config is not None:
        files["tokenizer_config.json"] = json.dumps(tokenizer_config)
    return files | {k.replace("_json", ".json"): json.dumps(v) for k, v in more.items()}


def ranks(name):
    back = {c: b for b, c in bytes_to_unicode().items()}
    return {bytes(back[c] for c in t): i for t, i in sorted(model(name)["vocab"].items(), key=lambda x: x[1])}


def tiktoken_files(name, **more):
    lines = "".join(f"{base64.b64encode(t).decode()} {i}\n" for t, i in ranks(name).items())
    return {"tokenizer.model": lines, "config.json": '{"model_type":"llama"}'} | {k.replace("_json", ".json"): json.dumps(v) for k, v in more.items()}


def tekken_files(specials, **config):
    order = sorted(ranks("llama3").items(), key=lambda x: (len(x[0]) > 1, x[0] if len(x[0]) == 1 else b"", x[1]))
    vocab = [{"rank": i, "token_bytes": base64.b64encode(t).decode(), "token_str": None} for i, (t, _) in enumerate(order)]
    count = config.pop("count", 20)
    file = {"config": {"pattern": TEKKEN, "num_vocab_tokens": len(vocab), "default_vocab_size": len(vocab) + count - 10, "default_num_special_tokens": count, "version": "v3"},
            "vocab": vocab, "version": 1, "type": "Tekken"}  # fmt: skip
    if specials:
        file["special_tokens"] = [{"rank": i, "token_str": s, "is_control": True} for i, s in enumerate(specials)]
        file["config"]["version"] = "v7"
    return {"tekken.json": json.dumps(file), "config.json": '{"model_type":"mistral"}'}


def folders():
    im = {"380": token("<|endoftext|>"), "381": token("<|im_start|>"), "382": token("<tool>", special=False, normalized=True, lstrip=True)}
    yield "gpt2", bpe("gpt2", {"model_type": "gpt2"})
    yield "gpt2_prefix", bpe("gpt2", {"model_type": "gpt2"}, {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": True, "add_bos_token": True, "eos_token": "</s>", "pad_token": None})
    yield "gpt2_map", bpe("gpt2", {"model_type": "opt"}, {"add_eos_token": True}, special_tokens_map_json={"bos_token": "<b>", "eos_token": token("</s>"), "additional_special_tokens": ["<x>", "<y>"]},
                          added_tokens_json={"<b>": 380, "</s>": 381, "<word>": 382, "<x>": 383})  # fmt: skip
    yield "qwen2", bpe("qwen2", {"model_type": "qwen2"}, {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": im, "bos_token": None, "eos_token": "<|im_start|>", "additional_special_tokens": ["<|im_start|>"]})
    yield "qwen3_bare", bpe("qwen2", {"model_type": "qwen3"})
    yield "neox", bpe("gpt2", {"model_type": "gpt_neox"}, {"tokenizer_class": "GPTNeoXTokenizer"})
    yield "llama_gpt2", bpe("gpt2", {"model_type": "llama"}, {"tokenizer_class": "GPT2TokenizerFast"})
    yield "tiktoken", tiktoken_files("llama3", tokenizer_config_json={"added_tokens_decoder": {"380": token("<|begin|>"), "381": token("<|end|>")}, "bos_token": "<|begin|>", "eos_token": "<|end|>", "add_bos_token": True})
    yield "tiktoken_bare", tiktoken_files("llama3")
    yield "tekken_old", tekken_files(None, count=30)
    yield "tekken", tekken_files(["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "<pad>"], count=12)


def check_tiktoken(ids, text):
    e = tiktoken.Encoding("x", pat_str=LLAMA3, mergeable_ranks=ranks("llama3"), special_tokens={})
    assert ids == e.encode(text, disallowed_special=()), text


def check_tekken(path, ids, text):
    t = Tekkenizer.from_file(path)
    assert ids == t.encode(text, bos=True, eos=False), (text, ids, t.encode(text, bos=True, eos=False))


def main():
    os.makedirs("folders", exist_ok=True)
    for name, files in folders():
        r = random.Random(5)
        with tempfile.TemporaryDirectory() as d:
            for file, text in files.items():
                open(f"{d}/{file}", "w").write(text)
            mistral = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"} if "tekken" in name else {}
            t = AutoTokenizer.from_pretrained(d, mistral_format=False, **mistral)
            if mistral:
                t.add_bos_token = True
            added = [str(a) for a in t.added_tokens_decoder.values()][:12]
            out = []
            for text in texts(added, 60, r):
                ids = t(text).input_ids
                if name == "tiktoken_bare":
                    check_tiktoken(ids, text)
                if "tekken" in name and not any(a in text for a in added):
                    check_tekken(f"{d}/tekken.json", ids, text)
                out.append({"text": text, "ids": ids})
        special = {k: getattr(t, k + "_id") for k in ("bos_token", "eos_token", "pad_token")}
        print(name, type(t).__name__, len(t), special)
        with open(f"folders/{name}.json", "w") as f:
            json.dump({"files": files, "special": special, "size": len(t), "texts": out}, f, separators=(",", ":"))
            f.write("\n")


main()
