"""Records runs of TRL's GRPOTrainer for the parity tests, on the CPU, in float32.

usage: python generate.py            (about a minute; rewrites everything in this folder except this script)
       python generate.py CASE ...   (these cases only)
needs: what ../preference/generate.py needs, whose tokenizer and adapters the runs use

  index.json               versions and the list of cases, with a line on each
  data/NAME.jsonl          prompts, as texts of ragged lengths and as messages
  CASE/settings.json       the run under qlora's option names; model relative to ../parity, adapter and tokenizer to ../preference
  CASE/rollouts.json       what took the place of generation and of reward functions, in the order of use: of each batch of completions the
                           token ids, the rewards of each function (null: none), whether it is an evaluation's, and in training the order
                           into which TRL shuffled them and the advantages that it computed, in that order
  CASE/log_history.json    TRL's log, logging_steps 1, without times
  CASE/final.safetensors   the adapter after the last step

Completions are random texts, so that a run depends on no sampler. TRL computes everything else from them.
"""
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PREFERENCE = HERE.parent / "preference"
os.environ["OMP_NUM_THREADS"] = "1"

import importlib.util  # noqa: E402

spec = importlib.util.spec_from_file_location("preference_generate", PREFERENCE / "generate.py")
preference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(preference)

import peft, torch, transformers, trl  # noqa: E401,E402
import trl.trainer.grpo_trainer as implementation  # noqa: E402
from peft import PeftModel  # noqa: E402
from transformers import PreTrainedTokenizerFast, set_seed  # noqa: E402
from trl import GRPOConfig, GRPOTrainer  # noqa: E402

BASE = dict(model="models/llama", adapter="adapter", method="lora", objective="grpo", dataset="data/prompts.jsonl", learning_rate=1e-2, loss_type=["dapo"],
            lr_scheduler_type="linear", warmup_steps=0, weight_decay=0.0, adam_epsilon=1e-4, max_grad_norm=1.0, per_device_train_batch_size=4,
            gradient_accumulation_steps=2, num_generations=4, max_completion_length=12, max_steps=8, seed=42, logging_steps=1, save_strategy="no",
            eval_strategy="no", beta=0.0)
NF4 = {k: v for k, v in preference.NF4.items()}
TWICE = dict(num_iterations=2)


def loss(name, **more):
    return dict(loss_type=[name], **TWICE) | more


# name: (purpose, settings that differ from BASE)
CASES = {
    "dapo": ("the default; each batch once, on policy", {}),
    "dapo-twice": ("two iterations, so that ratios move and are clipped", loss("dapo")),
    "dapo-new": ("a new adapter, whose base is the reference", loss("dapo", adapter="adapter-new", beta=0.1)),
    "dapo-kl": ("a divergence from the frozen copy of the continued adapter", loss("dapo", beta=0.2)),
    "dapo-kl-plain": ("the divergence not times the ratio", loss("dapo", beta=0.2, use_bias_correction_kl=False)),
    "dapo-kl-once": ("on policy with a divergence", dict(beta=0.2)),
    "dapo-high": ("epsilon_high", loss("dapo", epsilon=0.1, epsilon_high=0.3)),
    "dapo-delta": ("clipping of both sides", loss("dapo", delta=1.3, num_iterations=3)),
    "dapo-masked": ("truncated completions left out", loss("dapo", mask_truncated_completions=True, beta=0.1)),
    "dapo-warm": ("a temperature divides logits", loss("dapo", temperature=0.7, beta=0.1)),
    "dapo-long": ("a batch of completions for several steps", dict(steps_per_generation=6, gradient_accumulation_steps=2)),
    "dapo-uneven": ("batches of completions that begin within a window; a short last window; clipping of gradients", dict(
        steps_per_generation=2, gradient_accumulation_steps=3, max_grad_norm=0.3)),
    "dapo-nf4": ("NF4 + double quantization", loss("dapo", beta=0.1, **NF4)),
    "grpo": ("a mean of each completion's tokens", loss("grpo", beta=0.1)),
    "grpo-masked": ("the same with truncated completions left out", loss("grpo", mask_truncated_completions=True)),
    "bnpo": ("a mean of a micro-batch's tokens", loss("bnpo", beta=0.1)),
    "dr-grpo": ("a constant instead of lengths; rewards not scaled", loss("dr_grpo", scale_rewards="none", beta=0.1)),
    "cispo": ("clipped ratios as weights", loss("cispo", epsilon_high=1.1)),
    "sapo": ("a soft gate", loss("sapo", sapo_temperature_neg=1.5)),
    "luspo": ("sequences weigh as their lengths", loss("luspo", importance_sampling_level="sequence", learning_rate=3e-3)),
    "vespo": ("weights of whole sequences", loss("vespo", vespo_k_pos=1.5, vespo_lambda_neg=2.5)),
    "gspo": ("ratios of sequences", loss("grpo", importance_sampling_level="sequence", epsilon=0.02, beta=0.1)),
    "dapo-sequence": ("the same, with another mean", loss("dapo", importance_sampling_level="sequence", epsilon=0.02, beta=0.1, mask_truncated_completions=True)),
    "batch": ("rewards scaled by the batch's deviation", loss("dapo", scale_rewards="batch")),
    "rewards": ("two rewards with weights, one of which judges only some completions", dict(reward_weights=["1", "0.5"])),
    "rewards-apart": ("each scaled before they are added", dict(reward_weights=["1", "0.5"], multi_objective_aggregation="normalize_then_sum")),
    "chats": ("prompts that are messages", dict(dataset="data/chats.jsonl")),
    "dapo-entropy": ("only tokens of high entropy, in the loss but not in the divergence", loss("dapo", top_entropy_quantile=0.2, beta=0.1, mask_truncated_completions=True)),
    "gspo-entropy": ("the same with ratios of sequences", loss("grpo", importance_sampling_level="sequence", epsilon=0.02, top_entropy_quantile=0.55)),
    "dapo-far": ("sequences that have become unlikely left out", loss("dapo", num_iterations=4, off_policy_mask_threshold=0.02, beta=0.1)),
    "eval": ("evaluations with fewer completions; of whole batches, since accelerate weighs a short last one as if prompts were completions", loss("grpo", eval_dataset="data/more.jsonl", eval_strategy="steps", eval_steps=4, per_device_eval_batch_size=4,
                                                        num_generations_eval=2, beta=0.1)),
}

OURS = preference.OURS + ("reward_weights",)
UNREAD = ("runtime", "per_second", "total_flos", "step_time")


def write_data(folder):
    rng = random.Random(9)
    folder.mkdir(parents=True)
    sets = {"prompts": [{"prompt": "Q " + preference.words(rng, 20) + "?", "answer": "a"} for _ in range(7)],
            "more": [{"prompt": "Q " + preference.words(rng, 20) + "?", "answer": "b"} for _ in range(4)]}
    sets["chats"] = [{"prompt": [{"role": "user", "content": r["prompt"]}], "answer": "a"} for r in sets["prompts"]]
    for name, records in sets.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


class Recorder:
    """Stands for generation, for reward functions and for the shuffle, and keeps what it gave."""

    def __init__(self, settings, tokenizer):
        self.rng, self.settings, self.tokenizer, self.batches = random.Random(21), settings, tokenizer, []

    def complete(self, trainer, prompts):
        most = self.settings["max_completion_length"]
        ids = []
        for _ in prompts:
            n = self.rng.randrange(1, most + 4)
            text = [self.rng.randrange(1, 96) for _ in range(min(n, most))]
            if n < most:
                text[-1] = self.tokenizer.eos_token_id
            ids.append(text)
        self.batches.append(dict(evaluation=not trainer.model.training, completions=ids, rewards=[]))
        return ids

    def functions(self):
        def first(completions, **_):
            return self.give([round(self.rng.random(), 3) for _ in completions])

        def second(completions, **_):
            return self.give([round(self.rng.random(), 3) if self.rng.random() < 0.7 else None for _ in completions])

        return [first, second] if "reward_weights" in self.settings else [first]

    def give(self, rewards):
        if len(self.batches) % 3 == 0 and rewards[0] is not None:  # a group without a deviation
            rewards[:2] = [rewards[0]] * 2
            rewards[2:4] = [rewards[0]] * len(rewards[2:4])
        self.batches[-1]["rewards"].append(rewards)
        return rewards

    def shuffle(self, batch):
        order = torch.randperm(len(batch["advantages"]))
        out = {k: v if v is None or (isinstance(v, torch.Tensor) and v.ndim == 0) else v[order] for k, v in batch.items()}
        self.batches[-1] |= dict(order=order.tolist(), advantages=out["advantages"].tolist())
        return out


def run_case(name, changes, scratch):
    settings = BASE | changes
    tokenizer = PreTrainedTokenizerFast.from_pretrained(PREFERENCE / "tokenizer")
    set_seed(5)
    model = PeftModel.from_pretrained(preference.base(settings), PREFERENCE / settings["adapter"], is_trainable=True)
    model.warnings_issued = {}
    before = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    recorder = Recorder(settings, tokenizer)
    more = {k: v for k, v in settings.items() if k not in OURS} | dict(loss_type=settings["loss_type"][0])
    if "reward_weights" in settings:
        more["reward_weights"] = [float(w) for w in settings["reward_weights"]]
    config = GRPOConfig(output_dir=str(scratch), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", disable_tqdm=True,
                        disable_dropout=True, **more)
    read = lambda name: preference.datasets.Dataset.from_list([json.loads(line) for line in (HERE / name).read_text().splitlines()])
    trainer = GRPOTrainer(model=model, args=config, processing_class=tokenizer, reward_funcs=recorder.functions(), train_dataset=read(settings["dataset"]),
                          eval_dataset=read(settings["eval_dataset"]) if "eval_dataset" in settings else None)
    trainer.pop_callback(transformers.PrinterCallback)
    trainer._generate_single_turn = lambda prompt_ids, *_, **__: (recorder.complete(trainer, prompt_ids), None)
    implementation.shuffle_sequence_dict = recorder.shuffle
    for n, p in trainer.model.named_parameters():
        if p.requires_grad:
            p.data = before[n].clone()
        if ".ref." in n:
            p.data = before[n.replace(".ref.", ".default.")].clone()
    trainer.train()
    folder = HERE / name
    preference.write_json(folder / "settings.json", settings)
    (folder / "rollouts.json").write_text("[\n" + ",\n".join(json.dumps(b) for b in recorder.batches) + "\n]\n")
    preference.write_json(folder / "log_history.json", [{k: v for k, v in row.items() if not k.endswith(UNREAD)} for row in trainer.state.log_history])
    trainer.model.save_pretrained(scratch / "final", selected_adapters=["default"])
    shutil.copyfile(scratch / "final" / "adapter_model.safetensors", folder / "final.safetensors")
    rows = [row for row in trainer.state.log_history if "loss" in row]
    clipped = max([r.get("clip_ratio/region_mean", r.get("cispo_clip_ratio", 0)) for r in rows])
    print(f"{name}: {len(rows)} steps, loss {rows[0]['loss']:.4f} -> {rows[-1]['loss']:.4f}, norm {min(r['grad_norm'] for r in rows):.3f} to "
          f"{max(r['grad_norm'] for r in rows):.3f}, clipped up to {clipped:.3f}, kl up to {max(r.get('kl', 0) for r in rows):.4f}", flush=True)


def main(only):
    torch.set_num_threads(1)
    if not only:
        for path in HERE.iterdir():
            if path.is_dir() and path.name != "__pycache__":
                shutil.rmtree(path)
        write_data(HERE / "data")
    preference.write_json(HERE / "index.json", {
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, peft, trl)},
        "cases": [{"name": n, "purpose": p} for n, (p, _) in CASES.items()]})
    for name, (_, changes) in CASES.items():
        if not only or name in only:
            with tempfile.TemporaryDirectory() as scratch:
                run_case(name, changes, pathlib.Path(scratch))


if __name__ == "__main__":
    main(sys.argv[1:])
