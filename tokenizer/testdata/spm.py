"""Trains small SentencePiece models and writes, for each, sentencepiece/NAME.model and
sentencepiece/NAME.jsonl: hard and random texts with their ids and, if none is unknown, the
decoded text of the sentencepiece library (0.2.3).

usage: spm.py, in this folder
       spm.py MODEL COUNT > X.jsonl

The second form writes the texts of another model. With it next to the file as X.model,
SENTENCEPIECE_ORACLE=FOLDER go test -run TestSentencePieceOracle compares the Go package with
it; spm.py --all FOLDER COUNT makes such files for many settings of the trainer.
"""

import base64
import io
import json
import os
import random
import sys
import tempfile

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as pb

from generate import RULES, corpus
from oracle import texts

SYMBOLS = ["<sep>", "<sep>x", "ﬁn", "the cat", "1999", "\u2581\u2581"]
INVALID = [b"\xff", b"a\xffb\xfe", b"\xe2\x82", b"\xe2\x96\x81\xe2\x96", b"\xed\xa0\x80 \xc0\xaf", b"\xf4\x90\x80\x80", b"\xf0\x9f\x91 x", b" \xff ", b"\x00\xff\x00"]

SMALL = {
    "bpe_bytes": dict(model_type="bpe", vocab_size=480, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True),
    "bpe_symbols": dict(model_type="bpe", vocab_size=420, byte_fallback=True, user_defined_symbols=SYMBOLS, control_symbols=["<ctl>"], rules=True),
    "bpe_suffix": dict(model_type="bpe", vocab_size=200, normalization_rule_name="identity", treat_whitespace_as_suffix=True, allow_whitespace_only_pieces=True),
    "gemma": dict(model_type="bpe", vocab_size=480, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False,
                  split_digits=True, allow_whitespace_only_pieces=True, user_defined_symbols=["<start_of_turn>", "\n\n", "\t"], pad_id=0, eos_id=1, bos_id=2, unk_id=3,
                  bos_piece="<bos>", eos_piece="<eos>"),
    "unigram_symbols": dict(model_type="unigram", vocab_size=300, user_defined_symbols=SYMBOLS, rules=True),
    "char": dict(model_type="char", vocab_size=100, user_defined_symbols=SYMBOLS, rules=True),
    "unigram_bytes": dict(model_type="unigram", vocab_size=460, byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False, split_by_whitespace=False),
}  # fmt: skip


def train(options):
    options = dict(options)
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        if options.pop("rules", False):
            for old, new in RULES.items():
                rules.write("\t".join(" ".join(f"{ord(c):X}" for c in s) for s in (old, new)) + "\n")
            rules.flush()
            options["normalization_rule_tsv"] = rules.name
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus()), model_writer=model, hard_vocab_limit=False, minloglevel=2, num_threads=1,
            character_coverage=0.98, input_sentence_size=0, **options,
        )  # fmt: skip
    proto = pb.ModelProto.FromString(model.getvalue())
    proto.normalizer_spec.normalization_rule_tsv = ""  # a temporary file
    return proto.SerializeToString(deterministic=True)


def reserved(p):
    """The control and unknown symbols, which are not looked for in texts."""
    return [p.id_to_piece(i) for i in range(p.get_piece_size()) if p.is_control(i) or p.is_unknown(i)]


def lines(model, count):
    p = spm.SentencePieceProcessor(model_proto=model)
    pieces = [p.id_to_piece(i) for i in range(p.get_piece_size()) if not p.is_control(i) and not p.is_unknown(i)]
    r = random.Random(11)
    some = SYMBOLS + ["<0x0A>", "<start_of_turn>", "\n\n", "\u2581", " \u2581 "] + r.sample(pieces, min(len(pieces), 12))
    inputs = texts(some, count, r) + ["\u2581a b\u2581", "か\u3099ﾊﾞ", "x" * 300, "the cat " * 60, "\x00", "a\x00b", "ab\u0301\u0323 \ufdfa"]
    for text in inputs + INVALID:
        if isinstance(text, str) and any(s in text for s in reserved(p)):
            continue
        ids = p.encode(text)
        line = {"ids": ids}
        if not any(p.is_unknown(i) for i in ids):
            line["decoded"] = p.decode(ids)
        if isinstance(text, str):
            line["text"] = text
        else:
            line["raw"] = base64.b64encode(text).decode()
        yield line


def write(path, model, count):
    with open(f"{path}.model", "wb") as f:
        f.write(model)
    with open(f"{path}.jsonl", "w") as f:
        for line in lines(model, count):
            f.write(json.dumps(line, separators=(",", ":")) + "\n")


def all_models(folder, count):
    n = 0
    for kind in ("bpe", "unigram"):
        for rule in ("identity", "nmt_nfkc", "nmt_nfkc_cf", "nfkc"):
            for byte_fallback in (False, True):
                for spaces in range(6):
                    options = dict(
                        model_type=kind, vocab_size=500 if byte_fallback else 300, byte_fallback=byte_fallback, normalization_rule_name=rule,
                        add_dummy_prefix=spaces & 1 == 0, remove_extra_whitespaces=spaces & 2 == 0, treat_whitespace_as_suffix=spaces == 4,
                        split_by_whitespace=spaces != 5, split_digits=spaces & 1 == 0, user_defined_symbols=SYMBOLS if n % 3 else [],
                    )  # fmt: skip
                    write(f"{folder}/{n:02}_{kind}_{rule}_{byte_fallback}_{spaces}", train(options), count)
                    n += 1


def main():
    if sys.argv[1:2] == ["--all"]:
        all_models(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:]:
        for line in lines(open(sys.argv[1], "rb").read(), int(sys.argv[2])):
            print(json.dumps(line))
    else:
        os.makedirs("sentencepiece", exist_ok=True)
        for name, options in SMALL.items():
            write(f"sentencepiece/{name}", train(options), 60)


main()
