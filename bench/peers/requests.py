"""Sends requests to a server of OpenAI's API at once and measures the answers.

usage: requests.py URL MODEL REQUESTS TOKENS

Prints the tokens/s of all answers together, from the first request to the last answer.
Answers are greedy and have all their tokens.
"""
import json
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

url, model, requests, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def ask(number, tokens):
    body = {"model": model, "prompt": f"Here are {number + 2} things about the sea:", "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
    request = urllib.request.Request(url + "/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["usage"]["completion_tokens"]


ask(0, 4)  # the first request reads the weights
with ThreadPoolExecutor(requests) as pool:
    began = time.perf_counter()
    total = sum(pool.map(ask, range(requests), [tokens] * requests))
    print(f"{total / (time.perf_counter() - began):.1f}")
