"""Trains small tokenizers on generated text and writes, for each, NAME.json (a
tokenizer.json) and NAME.jsonl (hard texts encoded by Hugging Face's tokenizers
library, 0.23.3; see oracle.py). sentencepiece (0.2.3) trains the Unigram one and
compiles its table of replacements.

usage: generate.py, in this folder
"""

import io
import json
import random
import tempfile

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from oracle import lines

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def corpus():
    r = random.Random(1)
    subjects = ["the cat", "a small model", "the world", "she", "nobody", "the compiler", "don't they", "we've"]
    verbs = ["returns", "was reading", "ate", "computes", "hello'd", "is training on", "'ll print"]
    objects = ["a number", "12 apples", "the function", "in 1999", "你好", "한국 미래", "हिन्दी", "cafés", "the world!", "x += 1"]
    out = []
    for i in range(400):
        out.append(f"{r.choice(subjects)} {r.choice(verbs)} {r.choice(objects)}.")
        if i % 10 == 0:
            out.append(f"def f{i}(x):\n    return x ** {i}\n\nfunc main() {{\n\tfmt.Println({i})\n}}\n")
    return out


def added(tokenizer):
    tokenizer.add_special_tokens(["<s>", "</s>", "<|im_start|>"])
    tokenizer.add_tokens(
        [
            AddedToken("<L>", lstrip=True, normalized=False),
            AddedToken("<R>", rstrip=True, normalized=False),
            AddedToken("<W>", single_word=True, normalized=False),
            AddedToken("Café", normalized=True),
            AddedToken("<B>", lstrip=True, rstrip=True, single_word=True, normalized=True),
            AddedToken("\n\n", normalized=False),
        ]
    )
    return tokenizer


def template(tokenizer, single):
    ids = [(t, tokenizer.token_to_id(t)) for t in ("<s>", "</s>")]
    return processors.TemplateProcessing(single=single, special_tokens=ids)


def byte_level(pre, normalizer=None, ignore_merges=False):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=380, show_progress=False, initial_alphabet=alphabet))
    return added(t)


def gpt2():
    t = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))
    t.post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=True)
    return t


def llama3():
    pre = [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    t = byte_level(pre_tokenizers.Sequence(pre), ignore_merges=True)
    trim = processors.ByteLevel(trim_offsets=True, add_prefix_space=False)
    t.post_processor = processors.Sequence([trim, template(t, "<s> $A")])
    return t


def qwen2():
    pre = [pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    t = byte_level(pre_tokenizers.Sequence(pre), normalizers.NFC())
    t.post_processor = processors.ByteLevel(trim_offsets=False, add_prefix_space=False)
    return t


def falcon():
    pre = [
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated"),
    ]
    return byte_level(pre_tokenizers.Sequence(pre), normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()]))


def smollm2():
    pre = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    t = byte_level(pre_tokenizers.Sequence(pre))
    t.post_processor = template(t, "$A")
    return t


def removed():
    """gpt-4o's form of Isolated, and the other behaviors."""
    pre = [
        pre_tokenizers.Split(Regex(QWEN2), "removed", invert=True),
        pre_tokenizers.Split("e", "merged_with_previous"),
        pre_tokenizers.Split("a", "merged_with_next"),
        pre_tokenizers.Split("l", "contiguous"),
        pre_tokenizers.Split("z", "removed"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    return byte_level(pre_tokenizers.Sequence(pre))


def byte_fallback(bytes_too=True):
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=bytes_too, fuse_unk=True))
    special = ["<unk>"] + ([f"<0x{b:02X}>" for b in range(256)] if bytes_too else [])
    text = [("▁" + s.replace(" ", "▁")) for s in corpus()]
    t.train_from_iterator(
        text,
        trainers.BpeTrainer(vocab_size=480 if bytes_too else 200, show_progress=False, special_tokens=special, limit_alphabet=60),
    )
    # The bytes are trained as special tokens and must not match in text.
    data = json.loads(t.to_str())
    data["added_tokens"] = data["added_tokens"][:1]
    return added(Tokenizer.from_str(json.dumps(data)))


def llama2():
    t = byte_fallback()
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    t.post_processor = template(t, "<s> $A </s>")
    return t


def mistral():
    t = byte_fallback()
    t.normalizer = normalizers.Sequence([normalizers.Strip(left=True, right=False), normalizers.Replace(Regex("x+"), "y")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    return t


def unknown():
    t = byte_fallback(bytes_too=False)
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    return t


# What the Unigram tokenizer replaces: characters of all lengths by more, fewer and none.
RULES = {
    "\ufb01": "fi", "e\u0301": "\u00e9", "\u212b": "\u00c5", "A\u030a": "\u00c5", "\u3000": " ", "\u00a0": " ", "\n": " ", "\t": " ",
    "\x7f": "", "\u200b": "", "\u2460": "1", "\u00bd": "1\u20442", "\ufdfa": "\u0635\u0644\u0649", "\u338f": "kg", "\uff71": "\u30a2",
}  # fmt: skip


def field(message, number):
    """Returns the last value of a length-delimited field of a protocol buffers message."""
    i, found = 0, b""

    def varint():
        nonlocal i
        value, shift = 0, 0
        while True:
            byte = message[i]
            i += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while i < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            varint()
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        if kind == 2 and key >> 3 == number:
            found = message[i : i + size]
        i += size
    return found


def unigram():
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        for old, new in RULES.items():
            rules.write("\t".join(" ".join(f"{ord(c):X}" for c in s) for s in (old, new)) + "\n")
        rules.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus()),
            model_writer=model,
            vocab_size=105,
            model_type="unigram",
            minloglevel=2,
            character_coverage=0.98,
            normalization_rule_tsv=rules.name,
        )
    trained = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    charsmap = field(field(model.getvalue(), 3), 2)
    ids = range(trained.get_piece_size())
    t = Tokenizer(models.Unigram([(trained.id_to_piece(i), trained.get_score(i)) for i in ids], unk_id=0))
    t.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    added(t)
    t.post_processor = template(t, "$A </s>")
    return t


def main():
    for make in (gpt2, llama3, qwen2, falcon, smollm2, removed, llama2, mistral, unknown, unigram):
        t = make()
        names = [a.content for a in t.get_added_tokens_decoder().values()]
        with open(make.__name__ + ".json", "w") as f:
            f.write(json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":")))
        with open(make.__name__ + ".jsonl", "w") as f:
            for line in lines(t, names, 8):
                f.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
