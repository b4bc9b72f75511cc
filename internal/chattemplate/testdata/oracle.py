"""Prints transformers' renderings of chat templates and conversations.

usage: oracle.py TEMPLATE.jinja… > X.jsonl

A line is one template and one conversation: the variables, and the rendering with the
parts of `{% generation %}` blocks in bytes, or the error. A message of the template's
raise_exception begins with "raised: ". CHATTEMPLATE_ORACLE=X.jsonl go test -run
TestOracle compares the Go package with it.
"""

import datetime
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import jinja2
from transformers.utils import chat_template_utils as hf

NOW = datetime.datetime(2026, 3, 9, 17, 5, 8)
hf.datetime = SimpleNamespace(now=lambda: NOW)

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather & \"more\" <now>.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Where, e.g. Zürich"},
                "days": {"type": "integer", "minimum": 1, "default": 3},
                "unit": {"type": ["string", "null"], "enum": ["C", "F"]},
                "exact": {"type": "boolean", "default": False},
                "scale": {"type": "number", "default": 1.5},
                "parts": {"type": "array", "items": {"type": "string"}},
                "where": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
            },
            "required": ["city"],
        },
        "return": {"type": "string", "description": "The weather"},
    },
}
CALL = {"id": "call12345", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Zürich", "days": 2, "exact": True}}}
TEXT_CALL = {**CALL, "function": {"name": "get_weather", "arguments": "{\"city\": \"Bern\"}"}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


def tool(text):
    return {"role": "tool", "name": "get_weather", "tool_call_id": "call12345", "content": text}


def parts(message):
    return {**message, "content": [{"type": "text", "text": message["content"]}]}


HARD = "  Ein \"Zitat\" & <tag> 'x' \\ ½ 🙂\n\n- eins\n- zwei  "
THINK = "<think>\nTwo and two.\n</think>\n\nFour."
SYSTEM = [system("You are terse."), user("Hi"), assistant("Hello!"), user(HARD), assistant(HARD)]
PLAIN = [user("How are you?"), assistant("Fine."), user("What is 2 + 2?"), assistant("4"), user("Thanks")]
TOOLS = [
    user("Weather?"), assistant("", tool_calls=[CALL]), tool("{\"sky\": \"blue\"}"), assistant("It is blue."),
    user("And in Bern?"), assistant("I look.", tool_calls=[TEXT_CALL]), tool("grey"),
]
CONVERSATIONS = {
    "system": {"messages": SYSTEM},
    "plain": {"messages": PLAIN},
    "prompt": {"messages": PLAIN, "add_generation_prompt": True},
    "prompt, no thinking": {"messages": PLAIN, "add_generation_prompt": True, "enable_thinking": False, "thinking": False},
    "one": {"messages": [user("Hi"), assistant("Yo")]},
    "thoughts": {"messages": [user("2 + 2?"), assistant(THINK), user("3 + 3?"), assistant("Six.", reasoning_content="Three.", thinking="Three.")]},
    "tools": {"messages": TOOLS, "tools": [TOOL, {**TOOL, "function": {**TOOL["function"], "name": "other"}}], "add_generation_prompt": True},
    "tools, system": {"messages": [system("Use tools.")] + TOOLS[:4], "tools": [TOOL]},
    "tools, no content": {"messages": [user("Weather?"), {"role": "assistant", "tool_calls": [CALL, CALL]}, tool("a"), tool("b"), assistant("Well.")], "tools": [TOOL]},
    "documents": {"messages": PLAIN, "documents": [{"title": "T", "text": "Some text."}], "add_generation_prompt": True},
    "parts": {"messages": [parts(m) for m in SYSTEM]},
    "invalid order": {"messages": [assistant("First."), user("Second."), user("Third.")]},
    "two systems": {"messages": [system("a"), system("b"), user("c"), assistant("d")]},
    "unknown role": {"messages": [user("a"), {"role": "oracle", "content": "b"}, assistant("c")]},
    "no content": {"messages": [user("a"), {"role": "assistant"}]},
}
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def in_bytes(text, spans):
    return [[len(text[:at].encode()) for at in span] for span in spans]


def render(source, variables):
    variables = {"tools": None, "documents": None, "add_generation_prompt": False, **SPECIAL, **variables}
    want = {"variables": variables}
    try:
        template = hf._compile_jinja_template(source)
        rest = {k: v for k, v in variables.items() if k not in ("messages", "tools", "documents", "add_generation_prompt")}
        text, spans = hf._render_with_assistant_indices(
            template, variables["messages"], variables["tools"], variables["documents"], variables["add_generation_prompt"], **rest
        )
        return {**want, "text": text, "spans": in_bytes(text, spans)}
    except jinja2.TemplateSyntaxError as e:
        return {**want, "error": f"syntax: {e}"}
    except jinja2.exceptions.TemplateError as e:
        own = type(e) is jinja2.exceptions.TemplateError
        return {**want, "error": ("raised: " if own else "error: ") + str(e)}
    except Exception as e:  # Python's own, from within the template
        return {**want, "error": f"error: {e}"}


def main():
    for path in sys.argv[1:]:
        source = Path(path).read_text()
        for name, variables in CONVERSATIONS.items():
            case = {"template": Path(path).stem, "conversation": name, "source": source, **render(source, variables)}
            print(json.dumps(case, ensure_ascii=False))


if __name__ == "__main__":
    main()
