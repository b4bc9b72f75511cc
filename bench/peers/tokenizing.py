"""Tokenizing by `tokenizers` from PyPI on one thread, in alternation with ours, on the same texts.

    go test -c -o build/bench.test ./bench
    python bench/peers/tokenizing.py --ours build/bench.test --texts TEXTS.jsonl --rounds 3 FOLDER...

TEXTS.jsonl has lines {"text": ...}, every FOLDER a tokenizer.json. Prints a table row for each: medians over the
rounds, every round with empty caches. Exits with 1 if the numbers of tokens differ.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before the import, and in every process

import tokenizers  # noqa: E402


def ours(binary, benchmark, folder, texts, threads):
    environment = os.environ | {"QLORA_BENCH_TOKENIZER": str(folder), "QLORA_BENCH_TEXTS": texts, "GOMAXPROCS": str(threads)}
    out = subprocess.run([binary, "-test.run", "^$", "-test.bench", f"^{benchmark}$", "-test.benchtime", "1x"],
                         env=environment, check=True, capture_output=True, text=True).stdout
    nanoseconds, = re.findall(r"([\d.]+) ns/op", out)
    tokens, = re.findall(r"([\d.e+]+) tokens", out)
    return float(nanoseconds) / 1e9, round(float(tokens))


def peer(folder, texts, batch):
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    start = time.perf_counter()
    if batch:
        tokens = sum(len(e.ids) for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    else:
        tokens = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)
    return time.perf_counter() - start, tokens


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--ours", required=True)
    arguments.add_argument("--texts", required=True)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("folders", nargs="+", type=pathlib.Path)
    a = arguments.parse_args()

    with open(a.texts, encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"tokenizers {tokenizers.__version__}, {len(texts)} texts, {size:.2f} MB of UTF-8, {os.cpu_count()} cores, medians of {a.rounds}", flush=True)
    print("| tokenizer | tokens | ours, one goroutine | peer, encode | peer, encode_batch_fast | ours / faster peer | ours, read + tokenize + pack, all cores |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    differ = False
    for folder in a.folders:
        seconds = {"ours": [], "one": [], "batch": [], "load": []}
        for _ in range(a.rounds):
            mine, count = ours(a.ours, "BenchmarkTokenize", folder, a.texts, 1)
            one, peer_count = peer(folder, texts, False)
            batch, _ = peer(folder, texts, True)
            load, _ = ours(a.ours, "BenchmarkLoad", folder, a.texts, os.cpu_count())
            differ = differ or count != peer_count
            for name, value in zip(seconds, (mine, one, batch, load)):
                seconds[name].append(value)
        middle = {name: statistics.median(values) for name, values in seconds.items()}
        ratio = min(middle["one"], middle["batch"]) / middle["ours"]
        print(f"| {folder.name} | {count} | {size / middle['ours']:.2f} MB/s | {size / middle['one']:.2f} MB/s | {size / middle['batch']:.2f} MB/s "
              f"| {ratio:.1f} | {middle['load']:.1f} s |" + ("" if count == peer_count else f" the peer has {peer_count} tokens"), flush=True)
    sys.exit(differ)


main()
