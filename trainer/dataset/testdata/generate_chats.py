"""Writes chat/ and chats.json: a small tokenizer with chat tokens, and conversations
as transformers and trl process them with it.

    pip install transformers tokenizers datasets trl && python generate_chats.py

The templates are those of internal/chattemplate/families, whose marks define the trained
tokens through transformers' return_assistant_tokens_mask. The Go side also reads each
without its marks, and must find the same tokens.
"""

import json
from pathlib import Path

from generate import HERE, TEXT, trl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

FAMILIES = HERE.parents[2] / "internal" / "chattemplate" / "families"
SPECIAL = [
    "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "[INST]", "[/INST]", "<｜User｜>", "<｜end▁of▁sentence｜>",
]


def tokenizer():
    """GPT-2's kind, with <s> that no post-processor adds. <end_of_turn> and others stay text."""
    folder = HERE / "chat"
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=420, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(json.loads(t.to_str()), ensure_ascii=False) + "\n")
    special = {"bos_token": "<s>", "eos_token": "</s>"}
    config = {**special, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **special)


def said(role, content, **more):
    return {"role": role, "content": content, **more}


TURNS = [
    said("system", "Answer."), said("user", "How many apples are left?"), said("assistant", "7 apples"),
    said("user", " Grüße\n"), said("assistant", " aus Zürich 🙂\n\n"),
]
SAME = [said("user", "echo"), said("assistant", "echo"), said("user", "echo"), said("assistant", "echo")]
THOUGHTS = [said("user", "2 + 3?"), said("assistant", "<think>\nadd\n</think>\n\n5"), said("user", "5?"), said("assistant", "<think>\na\n</think>\n\nYes")]
OPEN = [said("user", "The bridge"), said("assistant", "answers", name=None), said("user", "with an echo")]
CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "add", "arguments": {"a": 2, "b": 3}}}
TOOL = {"type": "function", "function": {"name": "add", "description": "a + b", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}
TOOLS = [
    said("user", "2 + 3?"), said("assistant", "", tool_calls=[CALL]), said("tool", "5", tool_call_id="abcdefghi"), said("assistant", "5"),
    said("user", "5 + 3?"), said("assistant", "", tool_calls=[CALL]), said("tool", "8", tool_call_id="abcdefghi"), said("assistant", "8"),
]
CONVERSATIONS = [{"messages": m} for m in (TURNS, SAME, THOUGHTS, OPEN)]
WITH_TOOLS = ("llama-3.1", "mistral-v3-tekken", "qwen-2.5", "qwen-3")


def masked(t, record, max_length=None, on_inputs=False):
    out = t.apply_chat_template(
        record["messages"], tools=record.get("tools"), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    ids, mask = out["input_ids"][:max_length], out["assistant_masks"][:max_length]
    return [ids, ids if on_inputs else [i if m else -100 for i, m in zip(ids, mask)]]


def spans(want):
    """Returns the ids, and the start and end of each run of labels that are ids."""
    ids, labels = want
    edges = [i for i in range(len(ids) + 1) if (i < len(ids) and labels[i] != -100) != (0 < i and labels[i - 1] != -100)]
    return {"input_ids": ids, "trained": edges}


SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}


def sharegpt(record):
    turns, system = [], {}
    for m in record["messages"]:
        if m["role"] == "system":
            system = {"system": m["content"]}
        elif "tool_calls" in m:
            turns.append({"from": "function_call", "value": json.dumps(m["tool_calls"][0]["function"])})
        else:
            turns.append({"from": SHAREGPT[m["role"]], "value": m["content"]})
    tools = {"tools": json.dumps([t["function"] for t in record["tools"]])} if "tools" in record else {}
    return {**system, "conversations": turns, **tools}


def parts(record):
    return {**record, "messages": [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in record["messages"]]}


def cases(t):
    for path in sorted(FAMILIES.glob("*.jinja")):
        t.chat_template = path.read_text()
        records = CONVERSATIONS + ([{"messages": TOOLS, "tools": [TOOL]}] if path.stem in WITH_TOOLS else [])
        yield path.stem, "messages", {}, records, [masked(t, r) for r in records]
    t.chat_template = (FAMILIES / "qwen-3.jinja").read_text()
    records = CONVERSATIONS + [{"messages": TOOLS, "tools": [TOOL]}]
    yield "qwen-3", "sharegpt", {}, [sharegpt(r) for r in records], [masked(t, r) for r in records]
    t.chat_template = (FAMILIES / "chatml.jinja").read_text()
    records = CONVERSATIONS
    yield "chatml", "messages", {}, [parts(r) for r in records], [masked(t, r) for r in records]
    yield "chatml", "messages", {"train_on_inputs": True}, records, [masked(t, r, None, True) for r in records]
    yield "chatml", "messages", {"max_length": 40}, records, [masked(t, r, 40) for r in records]
    pairs = [{"prompt": r["messages"][:-1], "completion": r["messages"][-1:]} for r in CONVERSATIONS[:3]]
    pairs.append({"prompt": TURNS[:2], "completion": TURNS[2:]})
    for family in ("chatml", "qwen-3", "llama-2", "mistral-v3-tekken", "deepseek-r1", "phi-3"):
        t.chat_template = (FAMILIES / f"{family}.jinja").read_text()
        want = [[w["input_ids"], w["labels"]] for w in trl(t, pairs, None, True)]
        yield family, "prompt-completion (prompt, completion)", {}, pairs, want
    t.chat_template = (FAMILIES / "chatml.jinja").read_text()
    apply = {"apply_chat_template": True}
    asked = [("How many?", "7"), ("The bridge", " answers\n")]
    want = [masked(t, {"messages": [said("user", q), said("assistant", a)]}) for q, a in asked]
    for q, a in (("prompt", "completion"), ("input", "output"), ("question", "answer")):
        yield "chatml", f"prompt-completion ({q}, {a})", apply, [{q: x, a: y} for x, y in asked], want
    alpaca = [{"instruction": "Add.", "input": "2 and 3", "output": "5"}, {"instruction": "Add.", "input": "", "output": "5", "system": "Be terse."}]
    chats = [[said("user", "Add.\n2 and 3"), said("assistant", "5")], [said("system", "Be terse."), said("user", "Add."), said("assistant", "5")]]
    yield "chatml", "alpaca", apply, alpaca, [masked(t, {"messages": c}) for c in chats]


def main():
    t = tokenizer()
    lines = []
    for template, format, options, records, want in cases(t):
        case = {"template": template, "format": format, **options, "records": records, "want": [spans(w) for w in want]}
        lines.append(json.dumps(case, ensure_ascii=False, separators=(",", ":")))
    (HERE / "chats.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


main()
