"""Checks that a tuned model stops in transformers and PEFT at the token where qlora stops.

    go build ./cmd/qlora
    python bench/peers/stops.py --qlora ./qlora --model DIR [--work DIR] [--steps 16]

DIR is a chat model of some 100 million parameters, such as SmolLM2-135M-Instruct. It is tuned on short answers twice: as it
is, and as a base of it, a copy without a template whose files name only <|endoftext|> as the end, with --chat_template
chatml. Each is tuned as an adapter and in full, and the adapter is merged. Then the same questions are answered greedily by
`qlora generate --chat` and by transformers, which reads generation_config.json of the folder. PEFT does not read an
adapter's, so it is passed; without it, the last column says how many answers of PEFT end.

What --work has already is not made again. Prints a line per model; exits with 1 if an answer differs or does not end with the template's token.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
from transformers import AutoTokenizer, GenerationConfig
from transformers.utils import logging

import reference

COLOURS = {"the sky": "blue", "grass": "green", "snow": "white", "coal": "black", "a lemon": "yellow", "blood": "red", "an orange": "orange", "chocolate": "brown"}
QUESTIONS = ["What colour is the sky?", "What colour is a lemon?", "What colour is a tomato?"]
MOST = 40  # new tokens


def chats(path):
    """Writes conversations of one and of two turns."""
    turns = [[{"role": "user", "content": f"What colour is {thing}?"}, {"role": "assistant", "content": f"{colour.capitalize()}, my friend."}]
             for thing, colour in COLOURS.items()]
    records = turns + [a + b for a, b in zip(turns, turns[1:])]
    path.write_text("".join(json.dumps({"messages": r}) + "\n" for r in records))


def base_of(model, folder):
    """Copies a chat model without its template; <|endoftext|> is the only end that its files name."""
    if folder.exists():
        return
    folder.mkdir()
    for file in model.iterdir():
        if file.suffix == ".safetensors":
            (folder / file.name).symlink_to(file.resolve())
        elif file.name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json"):
            shutil.copy(file, folder)
    end = reference.tokenizer(folder).token_to_id("<|endoftext|>")

    def edit(name, **keys):
        content = json.loads((folder / name).read_text())
        content.pop("chat_template", None)
        (folder / name).write_text(json.dumps({**content, **keys}, indent=2))

    edit("config.json", bos_token_id=end, eos_token_id=end, pad_token_id=end)
    edit("tokenizer_config.json", bos_token="<|endoftext|>", eos_token="<|endoftext|>", pad_token="<|endoftext|>")


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done


def make(folder, *command):
    if not folder.exists():
        run(*command, "--output_dir", folder)


def answers(model, tokenizer, config):
    """Returns the greedy answers: the texts and the last tokens."""
    config.do_sample, config.max_new_tokens = False, MOST
    config.temperature = config.top_p = config.top_k = None
    for question in QUESTIONS:
        ids = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
        out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)[0, ids.shape[1]:].tolist()
        yield tokenizer.decode(out, skip_special_tokens=True), tokenizer.convert_ids_to_tokens(out[-1])


def compare(name, qlora, folder, adapter, end):
    """Prints the line of a model and reports whether its answers are the same and end."""
    tokenizer = AutoTokenizer.from_pretrained(adapter or folder)
    model = reference.load(folder, adapter)
    saved = adapter or folder
    config = GenerationConfig.from_pretrained(saved) if (saved / "generation_config.json").exists() else GenerationConfig.from_model_config(model.config)
    theirs = list(answers(model, tokenizer, config))
    bare = ""
    if adapter:  # as PEFT generates by itself
        plain = model.get_base_model().generation_config
        bare = f", {sum(last == end for _, last in answers(model, tokenizer, GenerationConfig.from_dict(plain.to_dict())))} without the file"
    ours = []
    for question in QUESTIONS:
        extra = ["--adapter", adapter] if adapter else []
        done = run(qlora, "generate", "--chat", "--device", "cpu", "--model", folder, "--load_in_4bit=false", *extra, "--prompt", question, "--max_new_tokens", MOST)
        ours.append(done.stdout.removesuffix("\n"))
    same = sum(a == b for a, (b, _) in zip(ours, theirs))
    ended = sum(last == end for _, last in theirs)
    print(f"{name:26} {same} of {len(ours)} answers are the same, {ended} end with {end}{bare}; eos_token_id {config.eos_token_id}: {ours[0]!r}", flush=True)
    for a, (b, last) in zip(ours, theirs):
        if a != b or last != end:
            print(f"    qlora {a!r}\n    peer  {b!r}, then {last}")
    return same == ended == len(ours)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--qlora", required=True)
    arguments.add_argument("--model", required=True, type=pathlib.Path)
    arguments.add_argument("--work", type=pathlib.Path, help="folder for the tuned models; default: a temporary one")
    arguments.add_argument("--steps", type=int, default=16)
    a = arguments.parse_args()
    work = a.work or pathlib.Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    chats(work / "chats.jsonl")
    base_of(a.model, work / "base")
    logging.disable_progress_bar()
    good = True
    for name, model, extra in [("own template", a.model, []), ("chatml on a base", work / "base", ["--chat_template", "chatml"])]:
        out = work / name.split()[0]
        common = ["--device", "cpu", "--model", model, "--dataset", work / "chats.jsonl", "--max_steps", a.steps, "--per_device_train_batch_size", 2,
                  "--report_to", "none", "--save_strategy", "no", "--logging_steps", a.steps, *extra]
        make(out / "adapter", a.qlora, "train", "--method", "lora", "--lora_r", 8, "--learning_rate", 2e-3, *common)
        make(out / "merged", a.qlora, "merge", "--model", model, "--adapter", out / "adapter")
        make(out / "full", a.qlora, "train", "--method", "full", "--learning_rate", 1e-4, *common)
        good &= compare(f"{name}, adapter", a.qlora, model, out / "adapter", "<|im_end|>")
        good &= compare(f"{name}, merged", a.qlora, out / "merged", None, "<|im_end|>")
        good &= compare(f"{name}, full", a.qlora, out / "full", None, "<|im_end|>")
    sys.exit(not good)


main()
