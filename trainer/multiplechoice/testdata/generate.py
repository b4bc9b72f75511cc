"""Writes *.jsonl, made-up questions in the layouts of well-known tests, and golden.json, the results of
lm-evaluation-harness on them with the model of demo/base.

    python generate.py        (lm_eval 0.4.13, transformers 5.24, torch on the CPU in float32)
"""
import json
import pathlib
import random
import re
import tempfile

import lm_eval
import lm_eval.evaluator
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

HERE = pathlib.Path(__file__).parent
MODEL = HERE.parents[2] / "demo" / "base"

THINGS = ["coat", "boat", "door", "lamp", "kettle", "garden", "roof", "bridge", "clock", "cup", "fence", "well"]
COLOURS = ["red", "blue", "dark green", "white", "grey", "crème brûlée", "orange", "so-called Übergrün", "yellow", "black and very old"]
NAMES = ["A", "B", "C", "D", "E"]


def write(name, records):
    (HERE / name).write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))


def write_questions():
    draw = random.Random(7)
    choices = lambda n: draw.sample(COLOURS, n)
    question = lambda: f"What is the colour of the {draw.choice(THINGS)} number {draw.randrange(100)}?"
    arc = lambda n, names: {"question": question(), "choices": {"text": choices(n), "label": names[:n]}, "answerKey": draw.choice(names[:n])}
    write("arc.jsonl", [arc(draw.randrange(2, 6), NAMES) if i % 3 else arc(4, ["1", "2", "3", "4"]) for i in range(8)])
    write("arc_train.jsonl", [arc(4, NAMES) for _ in range(30)])
    # A context that ends in a space, which belongs to the answer.
    write("openbook.jsonl", [{"question_stem": f"The colour of the {draw.choice(THINGS)} is{' ' * (i % 3)}", "choices": {"text": choices(3), "label": NAMES[:3]},
                              "answerKey": draw.choice(NAMES[:3])} for i in range(8)])
    mmlu = lambda subject: {"question": " " + question() + "\n", "subject": subject, "choices": choices(4), "answer": draw.randrange(4)}
    write("mmlu.jsonl", [mmlu(draw.choice(["old_boats", "old_boats", "garden_walls"])) for _ in range(8)])
    write("mmlu_dev.jsonl", [mmlu(subject) for subject in ["garden_walls", "old_boats"] * 3])
    write("hellaswag.jsonl", [{"activity_label": "Painting a " + draw.choice(THINGS), "ctx_a": f"Someone opens a tin [step] of  {draw.choice(COLOURS)} paint.",
                               "ctx_b": "then HE", "ctx": "unused", "endings": [f" takes the {c} brush [title] and waits" for c in choices(4)],
                               "label": str(draw.randrange(4))} for _ in range(8)])
    write("piqa.jsonl", [{"goal": "paint a " + draw.choice(THINGS), "sol1": "Use " + draw.choice(COLOURS) + ".", "sol2": "Use a brush, and " + draw.choice(COLOURS),
                          "label": draw.randrange(2)} for _ in range(8)])
    write("boolq.jsonl", [{"passage": f"The {thing} is {colour}.", "question": f"is the {thing} {draw.choice(COLOURS)}", "answer": draw.random() < 0.5}
                          for thing, colour in zip(THINGS, choices(8))])
    sciq = lambda: dict(zip(["distractor1", "distractor2", "distractor3", "correct_answer"], choices(4)), question=question(), support=draw.choice(["", "\n The paint is new. "]))
    write("sciq.jsonl", [sciq() for _ in range(8)])
    write("siqa.jsonl", [dict(zip(["answerA", "answerB", "answerC"], choices(3)), context=f"Someone paints the {draw.choice(THINGS)}.", question="Which colour is it now?",
                              label=str(draw.randrange(1, 4))) for _ in range(8)])
    winogrande = lambda: dict(zip(["option1", "option2"], draw.sample(THINGS, 2)), sentence=f"Of the two things the _ is {draw.choice(COLOURS)}, and not new. ", answer=draw.choice("12"))
    write("winogrande.jsonl", [winogrande() for _ in range(8)])
    write("winogrande_train.jsonl", [winogrande() for _ in range(8)])


def read(name):
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


def hellaswag(docs):
    def preprocess(text):  # lm_eval/tasks/hellaswag/utils.py
        text = text.strip().replace(" [title]", ". ")
        return re.sub("\\[.*?\\]", "", text).replace("  ", " ")

    def one(doc):
        return {"query": preprocess(doc["activity_label"] + ": " + doc["ctx_a"] + " " + doc["ctx_b"].capitalize()),
                "choices": [preprocess(ending) for ending in doc["endings"]], "gold": int(doc["label"])}

    return docs.map(one)


# As in lm_eval's own tasks.
ARC = dict(doc_to_text="Question: {{question}}\nAnswer:", doc_to_target="{{choices.label.index(answerKey)}}", doc_to_choice="{{choices.text}}")
OPENBOOK = dict(doc_to_text="question_stem", doc_to_target="{{choices.label.index(answerKey.lstrip())}}", doc_to_choice="{{choices.text}}")
LETTERS = dict(doc_to_text="{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:",
               doc_to_choice=["A", "B", "C", "D"], doc_to_target="answer")
CONTINUATION = dict(doc_to_text="Question: {{question.strip()}}\nAnswer:", doc_to_choice="{{choices}}", doc_to_target="{{answer}}")
HELLASWAG = dict(doc_to_text="{{query}}", doc_to_target="{{label}}", doc_to_choice="choices", process_docs=hellaswag)
PIQA = dict(doc_to_text="Question: {{goal}}\nAnswer:", doc_to_target="label", doc_to_choice="{{[sol1, sol2]}}")
BOOLQ = dict(doc_to_text="{{passage}}\nQuestion: {{question}}?\nAnswer:", doc_to_choice=["no", "yes"], doc_to_target="{{answer|int}}")
SCIQ = dict(doc_to_text="{{support.lstrip()}}\nQuestion: {{question}}\nAnswer:", doc_to_target=3, doc_to_choice="{{[distractor1, distractor2, distractor3, correct_answer]}}")
SIQA = dict(doc_to_text="Q: {{context}} {{question}}\nA:", doc_to_choice="{{[answerA, answerB, answerC]}}", doc_to_target="{{ (label|int) - 1 }}")
WINOGRANDE = dict(doc_to_text=lambda doc: int(doc["answer"]) - 1, doc_to_target=lambda doc: doc["sentence"].split("_", 1)[1].strip(),
                  doc_to_choice=lambda doc: [doc["sentence"].split("_", 1)[0] + doc[option] for option in ("option1", "option2")])
TASKS = TaskManager(include_defaults=False)
DESCRIPTION = "The following are multiple choice questions (with answers) about {subject}.\n\n"

# name: (questions, examples, the task, options of qlora eval)
CASES = {
    "arc": ("arc", None, ARC, dict()),
    "arc, examples": ("arc", "arc_train", ARC, dict(fewshot=2)),
    "arc, other examples": ("arc", "arc_train", ARC, dict(fewshot=3, seed=5)),
    "arc, examples of itself": ("arc", "arc", ARC, dict(fewshot=1)),
    "openbook": ("openbook", None, OPENBOOK, dict()),
    "mmlu": ("mmlu", None, LETTERS, dict()),
    "mmlu, first examples": ("mmlu", "mmlu_dev", LETTERS, dict(fewshot=2, sampler="first_n", description=DESCRIPTION)),
    "mmlu, random examples": ("mmlu", "mmlu_dev", LETTERS, dict(fewshot=1)),
    "mmlu, texts": ("mmlu", None, CONTINUATION, dict(choices="text")),
    "hellaswag": ("hellaswag", None, HELLASWAG, dict()),
    "piqa": ("piqa", None, PIQA, dict()),
    "boolq": ("boolq", None, BOOLQ, dict()),
    "boolq, examples of itself": ("boolq", "boolq", BOOLQ, dict(fewshot=2)),
    "sciq": ("sciq", None, SCIQ, dict()),
    "siqa": ("siqa", None, SIQA, dict()),
    "siqa, examples of itself": ("siqa", "siqa", SIQA, dict(fewshot=1)),
    "winogrande": ("winogrande", None, WINOGRANDE, dict()),
    "winogrande, examples": ("winogrande", "winogrande_train", WINOGRANDE, dict(fewshot=2)),
}


def run(model, name, questions, examples, task, options, subject=None):
    """Returns the samples in the order of the questions, and the results; only those of subject if given."""
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for split, source in (("test", questions), ("train", examples)):
            if source is None or split == "train" and source == questions:
                continue
            records = [r for r in read(source + ".jsonl") if subject in (None, r.get("subject"))]
            files[split] = str(pathlib.Path(folder, split + ".jsonl"))
            pathlib.Path(files[split]).write_text("".join(json.dumps(r) + "\n" for r in records))
        config = dict(task=re.sub(r"\W", "_", name + str(subject)), dataset_path="json", dataset_kwargs=dict(data_files=files), test_split="test",
                      output_type="multiple_choice", metric_list=[dict(metric=m) for m in ("acc", "acc_norm", "acc_bytes")],
                      description=options.get("description", "").replace("{subject}", (subject or "").replace("_", " ")), **task)
        if examples:
            config["fewshot_split"] = "test" if examples == questions else "train"
        if options.get("sampler"):
            config["fewshot_config"] = dict(sampler=options["sampler"])
        out = lm_eval.simple_evaluate(model=model, tasks=[config], task_manager=TASKS, num_fewshot=options.get("fewshot", 0), bootstrap_iters=1,
                                      fewshot_random_seed=options.get("seed", 1234), cache_requests=False)
    samples = sorted(out["samples"][config["task"]], key=lambda s: s["doc_id"])
    unique = {s["doc_id"]: s for s in samples}
    results = {key.removesuffix(",none"): value for key, value in out["results"][config["task"]].items() if key.endswith(",none")}
    return [[float(r[0]) for r in unique[i]["filtered_resps"]] for i in sorted(unique)], results


def main():
    write_questions()
    lm_eval.evaluator.add_env_info = lambda results: None  # listing pip's packages takes minutes each time
    model = HFLM(pretrained=str(MODEL), dtype="float32", device="cpu", batch_size=4)
    cases = []
    for name, (questions, examples, task, options) in CASES.items():
        records = read(questions + ".jsonl")
        subjects = sorted({r.get("subject") for r in records}, key=str)
        likelihoods, results = [None] * len(records), {}
        for subject in subjects:
            values, results[subject or ""] = run(model, name, questions, examples, task, options, subject)
            for i, value in zip([i for i, r in enumerate(records) if r.get("subject") == subject], values, strict=True):
                likelihoods[i] = value
        cases.append(dict(name=name, questions=questions, examples=examples, options=options, loglikelihoods=likelihoods, results=results))
    (HERE / "golden.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


main()
