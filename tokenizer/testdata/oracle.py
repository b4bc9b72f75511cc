"""Prints the encodings of hard and random texts by Hugging Face's tokenizers library.

usage: oracle.py tokenizer.json COUNT > X.jsonl

A line is one text: its ids, the start and end in bytes of each id, their decoded text
if it differs from the text, the text decoded without special tokens if that differs,
and some random ids and their text. With the tokenizer.json next to it as X.json,
TOKENIZER_ORACLE=FOLDER go test -run TestOracle compares the Go package with it.
"""

import json
import random
import sys

from tokenizers import Tokenizer

HARD = [
    "", " ", "  ", "\n", "Hello, world!", " Hello", "don't I'LL we've",
    "def f(x):\n    return x ** 2  # ok\n",
    'func main() {\n\tfmt.Println("hi")\n}\n',
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f44d\U0001f3fd",
    "你好，世界！今天天气很好。", "สวัสดีครับ ผมชื่อ", "नमस्ते दुनिया क्षत्रिय", "مرحبا بالعالم ١٢٣", "한국어 한글",
    "a\r\nb\r\n\r\nc", "   lead and trail   ", "tab\t\ttab", "\x00\x01\x1f\x7f", "½ Ⅳ ① ² 1234567",
    "\u00e9 e\u0301 \ufb01 \u212b A\u030a", "\u1e9b\u0323 q\u0323\u0307 \u0345\u0315q\u0307\u0323", "\u1100\u1161\u11a8 \uac00\u11a8",
    "İstanbul ŞIİ", "\u3000\u00a0 x\u2003y", "\ufffd\ufffd", "\ufeffbom", "a" * 70, "ab " * 20,
    "'s 'T 're", "x\u200by\u200d", "\U00010348\U0001d4b3\U0001f701", "e" + "\u0301" * 33, "ends in space ",
]
LETTERS = list(
    "abcdefghijklmnopqrstuvwxyzABCDE0123456789      \n\t\r.,!?'\"()[]{}<>/\\_-+=#@|▁Ġéñüßçøåİſﬁ½²①Ⅳ你好世界天한국ไทยสวमस्ते"
    "\u093f\u0301\u0323\u200d\u200b\u00a0\u3000\ufe0f\U0001f44d\U0001f3fd\U0001f468\U0001f469\U0001f3f3\U0001f308مرحب١٢"
    "\x00\x01\x7f\u0085\u2028\ufffdﷺ㎏ｱﾞ"
)
WORDS = ["the", " the", "ing", "don't", "'ll", "hello", "World", "  ", "\n\n", "\r\n", "return", "func", "1999", " 12"]


def random_text(r, added):
    """A mixture of letters, words, added tokens, spaces and any character."""
    text = ""
    for _ in range(r.randint(1, 30)):
        x = r.random()
        if x < 0.55:
            text += r.choice(LETTERS)
        elif x < 0.85:
            text += r.choice(WORDS)
        elif x < 0.93 and added:
            text += r.choice(added)
        elif x < 0.96:
            text += chr(r.choice([r.randint(32, 0x2FFF), r.randint(0x3000, 0xD7FF), r.randint(0xE000, 0x1FFFF)]))
        else:
            text += " " * r.randint(1, 5)
    return text


def texts(added, count, r):
    """The hard texts, those with added tokens glued to others, and count random ones."""
    glued = [a + b for a in added for b in ("x", " x\n")] + [b + a for a in added for b in ("x", "\n ")]
    return HARD + glued + [random_text(r, added) for _ in range(count)]


def lines(tokenizer, added, count):
    r = random.Random(7)
    for text in texts(added, count, r):
        at = [0]
        for c in text:
            at.append(at[-1] + len(c.encode()))
        e = tokenizer.encode(text)
        ids = [r.randrange(tokenizer.get_vocab_size()) for _ in range(r.randint(0, 8))]
        decoded = tokenizer.decode(e.ids, skip_special_tokens=False)
        skipped = tokenizer.decode(e.ids, skip_special_tokens=True)
        yield {
            "text": text,
            "ids": e.ids,
            "spans": [at[x] for span in e.offsets for x in span],
            "decoded": None if decoded == text else decoded,
            "skipped": None if skipped == decoded else skipped,
            "random": ids,
            "random_text": tokenizer.decode(ids, skip_special_tokens=False),
        }


def main():
    path, count = sys.argv[1], int(sys.argv[2])
    with open(path) as f:
        added = [a["content"] for a in json.load(f)["added_tokens"]][:12]
    for line in lines(Tokenizer.from_file(path), added, count):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
