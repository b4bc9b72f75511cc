"""Writes targets.json, sizes.json, configs/, adapter/ and adapter_pattern/: PEFT's own choices and files.

    python generate.py        (torch, transformers and peft; made with peft 0.21.2, transformers 5.23)
"""
import json
import pathlib

import peft
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent

MODELS = {
    "llama": dict(model_type="llama", tie_word_embeddings=False),
    "mistral": dict(model_type="mistral", tie_word_embeddings=False),
    "qwen2": dict(model_type="qwen2", tie_word_embeddings=True),
    "qwen3": dict(model_type="qwen3", tie_word_embeddings=True, head_dim=8),
}

TARGETS = [
    None,
    "all-linear",
    "ALL-linear",
    ["q_proj", "v_proj"],
    ["q_proj"],
    ["proj"],
    ["self_attn.o_proj", "mlp.up_proj"],
    ["model.layers.1.mlp.down_proj"],
    ["1.mlp.down_proj", "q_proj"],
    ["lm_head.x"],
    r".*\.q_proj",
    r"q_proj",
    r".*_proj",
    r"model\.layers\.[01]\.self_attn\.(q|k)_proj",
    r".*\.(?P<layer>\d+)\.mlp\.(gate|up)_proj",
    r"(?!.*mlp).*_proj",
    r".*(?<!down)_proj",
    r".*layers\.0\.self_attn.*",
    r".*norm",
    r".*embed_tokens",
    r"(?i).*Q_PROJ",
    r".*q_proj|.*v_proj",
    r"model.layers.1.*_proj\Z",
    r".*[kv]_pro",
    r"^model.*o_proj$",
    r"(",
    r".*q_proj)|(.*k_proj",
]

PROJ = ["q_proj", "v_proj", "down_proj"]

# Settings that give single adapters their own rank, scale or absence. Where PEFT raises, qlora must return an error;
# PEFT silently accepts the last ones though an entry has no effect.
SIZES = [
    dict(r=4, lora_alpha=6),
    dict(r=4, lora_alpha=6, rank_pattern={"q_proj": 2, "down_proj": 8}),
    dict(r=4, lora_alpha=6, alpha_pattern={"q_proj": 2, "mlp.down_proj": 9.5}),
    dict(r=4, lora_alpha=6, use_rslora=True, rank_pattern={"v_proj": 9}, alpha_pattern={"v_proj": 3, "q_proj": 1}),
    dict(r=4, lora_alpha=6, rank_pattern={"layers.0.self_attn.q_proj": 2, "q_proj": 3}),
    dict(r=4, lora_alpha=6, rank_pattern={r"layers\.[02]\..*": 2}),
    dict(r=4, lora_alpha=6, rank_pattern={"^model.layers.1.self_attn.q_proj": 2}),
    dict(r=4, lora_alpha=6, rank_pattern={r".*\.(?P<n>[01])\..*(q|v)_proj": 7}, alpha_pattern={"(q|v)_proj": 2}),
    dict(r=4, lora_alpha=6, layers_to_transform=1),
    dict(r=4, lora_alpha=6, layers_to_transform=[0, 2]),
    dict(r=4, lora_alpha=6, layers_to_transform=[2], layers_pattern="layers"),
    dict(r=4, lora_alpha=6, layers_to_transform=[0, 1], layers_pattern=["h", "layers"], rank_pattern={"1.mlp.down_proj": 5}),
    dict(r=4, lora_alpha=6, exclude_modules=["model.layers.0.self_attn.q_proj", "1.mlp.down_proj"]),
    dict(r=4, lora_alpha=6, exclude_modules=r".*\.[12]\.(self_attn|mlp)\.(q|down)_proj"),
    dict(r=4, lora_alpha=6, target_modules=r".*layers\.0.*", exclude_modules=r".*(norm|layers\.0|self_attn|mlp|rotary_emb|act_fn)"),
    dict(r=4, lora_alpha=6, target_modules="all-linear", exclude_modules=["mlp", "k_proj", "gate_proj", "up_proj", "down_proj"]),
    dict(r=4, lora_alpha=6, exclude_modules=PROJ),
    dict(r=4, lora_alpha=6, layers_to_transform=[7]),
    dict(r=4, lora_alpha=6, exclude_modules=["z_proj"], refused="matches no module"),
    dict(r=4, lora_alpha=6, layers_to_transform=[0], target_modules=r".*q_proj"),
    dict(r=4, lora_alpha=6, rank_pattern={"k_proj": 2}, refused="matches no module with an adapter"),
    dict(r=4, lora_alpha=6, alpha_pattern={"q_pro": 2}, refused="matches no module with an adapter"),
    dict(r=4, lora_alpha=6, rank_pattern={"q_proj": 2, "0.self_attn.q_proj": 3}, refused="put it first"),
    dict(r=4, lora_alpha=6, layers_to_transform=[0, 3], refused="picks nothing in layer 3"),
    dict(r=4, lora_alpha=6, layers_to_transform=[0], layers_pattern=["blocks"]),
    dict(r=4, lora_alpha=6, exclude_modules=["q_proj", "z_proj"], refused="matches no module"),
]


def tiny(settings):
    config = AutoConfig.for_model(
        **settings, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=64,
    )
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def picked(settings, targets):
    """Returns the modules that get an adapter from PEFT, or its error's type."""
    model = tiny(settings)
    try:
        tuned = peft.get_peft_model(model, peft.LoraConfig(target_modules=targets, task_type="CAUSAL_LM"))
    except Exception as error:
        return {"error": type(error).__name__}
    prefix = "base_model.model."
    names = [n.removeprefix(prefix) for n, m in tuned.named_modules() if hasattr(m, "lora_A")]
    return {"picked": names}


def sized(settings):
    """Returns the rank and scale of every adapter that PEFT creates, or its error's type."""
    settings = dict(settings, task_type="CAUSAL_LM")
    refused = settings.pop("refused", None)
    settings.setdefault("target_modules", PROJ)
    written = {k: v for k, v in settings.items() if k != "task_type"} | {"peft_type": "LORA"}
    try:
        tuned = peft.get_peft_model(tiny(MODELS["llama"]), peft.LoraConfig(**settings))
    except Exception as error:
        return {"config": written, "error": type(error).__name__}
    sizes = {n.removeprefix("base_model.model."): [m.r["default"], m.scaling["default"]] for n, m in tuned.named_modules() if hasattr(m, "lora_A")}
    return {"config": written, "sizes": sizes} | ({"refused": refused} if refused else {})


def main():
    models, cases = {}, []
    for kind, settings in MODELS.items():
        model = tiny(settings)
        linear = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n != "lm_head"]
        other = [n for n, _ in model.named_modules() if n and n not in linear]
        models[kind] = {"linear": linear, "other": other}
        for targets in TARGETS:
            cases.append({"model": kind, "targets": targets, **picked(settings, targets)})
    text = json.dumps({"models": models, "cases": cases})
    (HERE / "targets.json").write_text(text.replace('{"model":', '\n{"model":') + "\n")

    text = json.dumps([sized(settings) for settings in SIZES])
    (HERE / "sizes.json").write_text(text.replace('{"config":', '\n{"config":') + "\n")

    configs = {
        "defaults": peft.LoraConfig(),
        "list": peft.LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules=["v_proj"],
                                task_type="CAUSAL_LM", base_model_name_or_path="models/base", inference_mode=True),
        "pattern": peft.LoraConfig(r=4, lora_alpha=6, target_modules=r".*\.(q|v)_proj", use_rslora=True,
                                   init_lora_weights="gaussian", revision="main"),
        "random": peft.LoraConfig(target_modules="all-linear", init_lora_weights=False),
        "orthogonal": peft.LoraConfig(target_modules=["q_proj"], init_lora_weights="orthogonal"),
        "dora": peft.LoraConfig(target_modules=["q_proj"], use_dora=True),
        "modules_to_save": peft.LoraConfig(target_modules=["q_proj"], modules_to_save=["lm_head", "embed_tokens"],
                                           ensure_weight_tying=True),
        "sizes": peft.LoraConfig(target_modules=["q_proj"], rank_pattern={"0.self_attn.q_proj": 4, "q_proj": 2}, alpha_pattern={"q_proj": 4.5}),
        "layers": peft.LoraConfig(target_modules=["q_proj"], exclude_modules=["1.self_attn.q_proj"], layers_to_transform=[0, 1], layers_pattern="layers"),
        "layer": peft.LoraConfig(target_modules=["q_proj"], exclude_modules=r".*\.k_proj", layers_to_transform=3),
        "refused_layer_replication": peft.LoraConfig(target_modules=["q_proj"], layer_replication=[[0, 2], [1, 3]]),
        "lora_bias": peft.LoraConfig(target_modules=["q_proj"], lora_bias=True),
        "tokens": peft.LoraConfig(target_modules=["q_proj"], trainable_token_indices=[1]),
        "refused_target_parameters": peft.LoraConfig(target_parameters=["experts.w"]),
        "bias": peft.LoraConfig(target_modules=["q_proj"], bias="lora_only"),
        "refused_init_lora_weights": peft.LoraConfig(target_modules=["q_proj"], init_lora_weights="corda"),
        "pissa": peft.LoraConfig(target_modules=["q_proj"], init_lora_weights="pissa_niter_16"),
        "olora": peft.LoraConfig(target_modules=["q_proj"], init_lora_weights="OLoRA"),
        "loftq": peft.LoraConfig(target_modules=["q_proj"], init_lora_weights="loftq", loftq_config=peft.LoftQConfig(loftq_iter=5)),
        "refused_loftq_bits": peft.LoraConfig(target_modules=["q_proj"], init_lora_weights="loftq", loftq_config=peft.LoftQConfig(loftq_bits=8)),
        "refused_task_type": peft.LoraConfig(target_modules=["q_proj"], task_type="SEQ_CLS"),
        "refused_peft_type": peft.IA3Config(target_modules=["q_proj"]),
    }
    for name, config in configs.items():
        config.save_pretrained(HERE / "configs" / name)
    adapter("adapter", r=2, lora_alpha=3)
    adapter("adapter_pattern", r=2, lora_alpha=3, use_rslora=True, rank_pattern={"down_proj": 3, "1.self_attn.q_proj": 1},
            alpha_pattern={"down_proj": 5}, layers_to_transform=[0, 1], exclude_modules=["0.self_attn.v_proj"])


def adapter(name, **settings):
    """Writes a folder with PEFT: element i of the n-th tensor, by name, is n + i / 256."""
    config = AutoConfig.for_model(
        **MODELS["llama"], hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, vocab_size=32,
    )
    tuned = peft.get_peft_model(
        AutoModelForCausalLM.from_config(config),
        peft.LoraConfig(lora_dropout=0.1, target_modules=PROJ, task_type="CAUSAL_LM", **settings),
    )
    factors = sorted((n, p) for n, p in tuned.named_parameters() if "lora_" in n)
    for n, (_, p) in enumerate(factors):
        p.data = (n + torch.arange(p.numel()) / 256).reshape(p.shape)
    tuned.save_pretrained(HERE / name)
    (HERE / name / "README.md").unlink(missing_ok=True)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    main()
