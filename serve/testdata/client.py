"""Uses a server by the openai package: streams from two models at once, and reads errors.

usage: client.py URL MODEL MODEL MISSING

Prints one line of JSON: the texts of both streams, the usage, the probabilities and the
errors as the package reads them.
"""
import asyncio
import json
import sys

import openai

url, first, second, missing = sys.argv[1:]
client = openai.AsyncOpenAI(base_url=url + "/v1", api_key="secret", max_retries=0)
messages = [{"role": "user", "content": "hi"}]
order = []


async def stream(model):
    text, finish, usage = "", None, None
    async for chunk in await client.chat.completions.create(
            model=model, messages=messages, max_completion_tokens=30, temperature=0, seed=1, stream=True,
            stream_options={"include_usage": True}):
        order.append(model)
        if chunk.usage:
            usage = chunk.usage.total_tokens
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return {"text": text, "finish": finish, "usage": usage}


async def main():
    both = await asyncio.gather(stream(first), stream(second))
    whole = await client.chat.completions.create(
        model=first, messages=messages, max_completion_tokens=30, temperature=0, logprobs=True, top_logprobs=2)
    text = await client.completions.create(model=first, prompt="u:hi<e>a:", max_tokens=30, temperature=0, logprobs=1)
    models = [m.id async for m in client.models.list()]
    errors = []
    for what in (lambda: client.chat.completions.create(model=missing, messages=messages),
                 lambda: client.chat.completions.create(model=first, messages=messages, n=2),
                 lambda: openai.AsyncOpenAI(base_url=url + "/v1", api_key="no").models.list()):
        try:
            await what()
        except openai.APIStatusError as e:
            errors.append([type(e).__name__, e.code, e.param])
    switches = sum(a != b for a, b in zip(order, order[1:]))
    print(json.dumps({
        "streams": both, "switches": switches, "models": models, "errors": errors,
        "whole": whole.choices[0].message.content, "top": len(whole.choices[0].logprobs.content[0].top_logprobs),
        "completion": text.choices[0].text, "columns": len(text.choices[0].logprobs.tokens),
    }))


asyncio.run(main())
