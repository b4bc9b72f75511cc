"""The tiny models of the recorded families: one configuration per feature.

Inner sizes are multiples of 64 where bitsandbytes quantizes (for others 0.50.2 dequantizes wrongly on the CPU). Windows are
shorter than the sequences, caps and clips bite, multipliers differ from 1, and intermediate differs from hidden.
"""
import copy
import random

VOCAB = 128
NONE = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)
SMALL = dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=256, tie_word_embeddings=False, **NONE)
TIED = SMALL | dict(tie_word_embeddings=True)
NO_KV = {k: v for k, v in SMALL.items() if k != "num_key_value_heads"}
GPT2 = dict(vocab_size=VOCAB, n_embd=64, n_layer=2, n_head=4, n_positions=64, n_inner=128, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **NONE)
FALCON = dict(vocab_size=VOCAB, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, ffn_hidden_size=128, max_position_embeddings=256, **NONE)
OPT = dict(vocab_size=VOCAB, hidden_size=64, ffn_dim=128, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64, word_embed_proj_dim=64,
           dropout=0.0, activation_function="relu", **NONE)
BLOOM = dict(vocab_size=VOCAB, hidden_size=64, n_layer=2, n_head=4, **NONE)
GEMMA = TIED | dict(head_dim=32)


def rope(theta=10000.0, kind="default", **settings):
    return {"rope_type": kind, "rope_theta": theta} | settings


LONGROPE = rope(kind="longrope", short_factor=[1.0, 1.1, 1.3, 1.7, 2.0, 2.2, 2.5, 3.0], long_factor=[1.5, 2.0, 4.0, 5.0, 7.0, 9.0, 12.0, 16.0],
                factor=16.0, original_max_position_embeddings=16)
GEMMA3_ROPE = {"sliding_attention": rope(100.0), "full_attention": rope(1000.0, "linear", factor=4.0)}
VISION = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=4)
QWEN_VL = dict(image_token_id=127, video_token_id=126, vision_start_token_id=125, vision_end_token_id=124)


class Variant:
    """model is the model_type and settings its configuration; the rest selects what is recorded.

    dtype     of the stored base
    nf4       also a run on NF4 with double quantization, quantized on loading; plain: with FalconLinear made an nn.Linear
    full      also a run of method full
    stored    also a run on a 4-bit folder that bitsandbytes wrote
    targets   None: all-linear
    old       keys of config.json rewritten as in older files: {key: value}; a value of ... removes the key
    rename    model_type and architecture to write instead, a name that transformers does not know
    bare      a prefix omitted from the names in the file
    extra     meaningless extra tensors in the file, {name: shape}
    """

    def __init__(self, purpose, model, settings, dtype="bfloat16", nf4=True, plain=False, full=False, stored=False, targets=None, old=None, rename=None,
                 bare="", extra=None):
        self.purpose, self.model, self.settings, self.dtype, self.nf4, self.plain = purpose, model, settings, dtype, nf4, plain
        self.full, self.stored, self.targets, self.old, self.rename, self.bare, self.extra = full, stored, targets, old, rename, bare, extra or {}

    def like(self, settings):
        """Returns the same with other settings."""
        other = copy.copy(self)
        other.settings = settings
        return other


LLAMA_TARGETS = r".*language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"

VARIANTS = {
    "llama": Variant("Llama, to hold the recording itself", "llama", SMALL, dtype="float32", full=True),
    "relative": Variant("exactly Llama by a model_type that nobody knows; biases in attention and MLP", "llama",
                        SMALL | dict(attention_bias=True, mlp_bias=True, head_dim=32), rename=("aquila", "AquilaForCausalLM")),
    "falcon-7b": Variant("multi_query, parallel, one norm; 4 bits with FalconLinear made a plain Linear", "falcon", FALCON, plain=True),
    "falcon-40b": Variant("new_decoder_architecture, two norms, 2 kv heads", "falcon",
                          FALCON | dict(new_decoder_architecture=True, num_kv_heads=2), plain=True),
    "falcon-11b": Variant("new_decoder_architecture, one norm; untied; biases", "falcon",
                          FALCON | dict(new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1, bias=True, tie_word_embeddings=False),
                          nf4=False),
    "falcon-rw": Variant("ALiBi inside of the scale, sequential, biases, q k v by head; 6 heads, no power of two", "falcon",
                         FALCON | dict(hidden_size=48, num_attention_heads=6, alibi=True, multi_query=False, parallel_attn=False, bias=True), nf4=False, full=True),
    "falcon-mha": Variant("q k v by head with rotary, parallel", "falcon", FALCON | dict(multi_query=False), nf4=False, dtype="float32"),
    "gpt2": Variant("Conv1D, learned positions, tied", "gpt2", GPT2, full=True, stored=True),
    "gpt2-scale": Variant("scale_attn_by_inverse_layer_idx, n_inner null, gelu of another name, 3 layers", "gpt2",
                          GPT2 | dict(scale_attn_by_inverse_layer_idx=True, n_inner=None, n_layer=3, n_embd=32, activation_function="gelu"), nf4=False),
    "gpt2-unscaled": Variant("scale_attn_weights false; reorder_and_upcast_attn", "gpt2",
                             GPT2 | dict(scale_attn_weights=False, reorder_and_upcast_attn=True, n_embd=32), nf4=False),
    "gpt2-bare": Variant("names without transformer., masks in the file, as on the hub", "gpt2", GPT2 | dict(n_embd=32), nf4=False,
                         bare="transformer.", extra={f"h.{i}.attn.bias": [1, 1, 64, 64] for i in range(2)}),
    "gpt_neox": Variant("parallel with two norms, q k v by head, a quarter of rotary", "gpt_neox",
                        NO_KV | dict(num_attention_heads=2, rope_parameters=rope(partial_rotary_factor=0.25))),
    "gpt_neox-sequential": Variant("sequential; rotary_pct, rotary_emb_base and buffers as older files have them; gelu_fast", "gpt_neox",
                                   NO_KV | dict(use_parallel_residual=False, hidden_act="gelu_fast", rope_parameters=rope(500.0, partial_rotary_factor=0.5)),
                                   old={"rope_parameters": ..., "rotary_pct": 0.5, "rotary_emb_base": 500.0},
                                   extra={f"gpt_neox.layers.{i}.attention.{name}": shape for i in range(2) for name, shape in (
                                       ("bias", [1, 1, 32, 32]), ("masked_bias", []), ("rotary_emb.inv_freq", [4]))}),
    "gptj": Variant("rotary of pairs over rotary_dim, parallel, a head with bias", "gptj",
                    {k: v for k, v in GPT2.items()} | dict(rotary_dim=8, tie_word_embeddings=False)),
    "gpt_bigcode": Variant("multi_query", "gpt_bigcode", GPT2),
    "gpt_bigcode-heads": Variant("not multi_query: q k v by head", "gpt_bigcode", GPT2 | dict(multi_query=False)),
    "gpt_neo": Variant("window 5 in two layers of three, scores that are not scaled, learned positions", "gpt_neo",
                       dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=128, num_layers=3, num_attention_heads=4, max_position_embeddings=64,
                            attention_types=[[["local", "global"], 1], [["local"], 1]], window_size=5, **NONE)),
    "starcoder2": Variant("LayerNorm, biases, window 6 in every layer, tied", "starcoder2", TIED | dict(sliding_window=6)),
    "opt": Variant("learned positions from 2 on, relu", "opt", OPT),
    "opt-350m": Variant("norms after the residual, word_embed_proj_dim less than hidden", "opt",
                        OPT | dict(hidden_size=128, do_layer_norm_before=False)),
    "bloom": Variant("ALiBi beside the scale, a norm behind the embedding", "bloom", BLOOM),
    "bloom-bare": Variant("names without transformer. and the key n_embed, as on the hub", "bloom", BLOOM | dict(hidden_size=32), nf4=False, bare="transformer.",
                          old={"hidden_size": ..., "n_embed": 32}),
    "bloom-post": Variant("apply_residual_connection_post_layernorm; 6 heads", "bloom",
                          BLOOM | dict(apply_residual_connection_post_layernorm=True, hidden_size=48, n_head=6), nf4=False),
    "mpt": Variant("ALiBi beside a scale of its own, 6 heads, clip_qkv that bites, norms without biases", "mpt",
                   dict(vocab_size=VOCAB, hidden_size=192, n_layers=2, num_attention_heads=6, max_seq_len=64,
                        attn_config=dict(clip_qkv=0.8, softmax_scale=0.4), **NONE)),
    "gemma": Variant("1 + w, embeddings times the root of hidden, gelu tanh under the name gelu, float32 base", "gemma",
                     GEMMA | dict(hidden_size=48, num_key_value_heads=1, hidden_act="gelu"), dtype="float32", nf4=False),
    "gemma-nf4": Variant("in bfloat16 and 4 bits", "gemma", GEMMA | dict(num_key_value_heads=4)),
    "gemma2": Variant("four norms, caps that bite, window 6 in layers 0 and 2", "gemma2",
                      GEMMA | dict(num_hidden_layers=3, sliding_window=6, attn_logit_softcapping=1.5, final_logit_softcapping=2.5, query_pre_attn_scalar=20), full=True),
    "gemma3_text": Variant("q and k norms, window pattern 3, two ropes of which one is scaled", "gemma3_text",
                           GEMMA | dict(num_hidden_layers=3, sliding_window=6, query_pre_attn_scalar=20, rope_parameters=GEMMA3_ROPE,
                                        layer_types=["sliding_attention", "sliding_attention", "full_attention"])),
    "gemma3_text-old": Variant("config.json as transformers 4 wrote it: rope_theta, rope_local_base_freq, rope_scaling, sliding_window_pattern; a final cap", "gemma3_text",
                               GEMMA | dict(hidden_size=32, head_dim=16, num_hidden_layers=4, sliding_window=6, query_pre_attn_scalar=20,
                                            rope_parameters=GEMMA3_ROPE, final_logit_softcapping=3.0,
                                            layer_types=["sliding_attention", "full_attention"] * 2),
                               nf4=False, old={"rope_parameters": ..., "layer_types": ..., "_sliding_window_pattern": ..., "rope_theta": 1000.0,
                                               "rope_local_base_freq": 100.0, "rope_scaling": {"rope_type": "linear", "factor": 4.0},
                                               "sliding_window_pattern": 2}),
    "gemma3": Variant("a vision-language folder: the text part is tuned", "gemma3",
                      dict(text_config=GEMMA | dict(num_hidden_layers=2, sliding_window=6, query_pre_attn_scalar=20, rope_parameters=GEMMA3_ROPE,
                                                    layer_types=["sliding_attention", "full_attention"]),
                           vision_config=VISION | dict(model_type="siglip_vision_model", vision_use_head=False), mm_tokens_per_image=4, image_token_index=127,
                           boi_token_index=125, eoi_token_index=126), nf4=False, targets=LLAMA_TARGETS),
    "phi": Variant("parallel with one norm, half of rotary, biases everywhere, also the head's", "phi",
                   NO_KV | dict(rope_parameters=rope(partial_rotary_factor=0.5))),
    "phi-qk": Variant("qk_layernorm, GQA; rope_theta and partial_rotary_factor as older files have them", "phi",
                      SMALL | dict(qk_layernorm=True, rope_parameters=rope(700.0, partial_rotary_factor=0.4), num_hidden_layers=2),
                      old={"rope_parameters": ..., "rope_theta": 700.0, "partial_rotary_factor": 0.4}),
    "phi3": Variant("fused projections, three quarters of rotary, window 6", "phi3",
                    SMALL | dict(sliding_window=6, original_max_position_embeddings=256, rope_parameters=rope(partial_rotary_factor=0.75)), stored=True),
    "phi3-longrope": Variant("longrope, batches on both sides of original_max_position_embeddings; rope_scaling as older files have it", "phi3",
                             SMALL | dict(original_max_position_embeddings=16, rope_parameters=LONGROPE), nf4=False,
                             old={"rope_parameters": ..., "rope_theta": 10000.0,
                                  "rope_scaling": {"type": "longrope", "short_factor": LONGROPE["short_factor"], "long_factor": LONGROPE["long_factor"]}}),
    "stablelm": Variant("sequential LayerNorm, a norm for each head of q and k, biases on q k v", "stablelm",
                        SMALL | dict(qk_layernorm=True, use_qkv_bias=True, rope_parameters=rope(partial_rotary_factor=0.25))),
    "stablelm-parallel": Variant("use_parallel_residual; partial_rotary_factor absent, which means a quarter", "stablelm",
                                 SMALL | dict(use_parallel_residual=True), old={"rope_parameters": ..., "rope_theta": 10000}),
    "olmo": Variant("norms without weights, clip_qkv that bites", "olmo", SMALL | dict(clip_qkv=0.8)),
    "olmo2": Variant("norms behind the branches, q and k norms over whole rows", "olmo2", SMALL),
    "olmo3": Variant("windows but in every 4th layer, yarn in the full layers only", "olmo3",
                     SMALL | dict(num_hidden_layers=4, hidden_size=64, sliding_window=6, rope_parameters={
                         "sliding_attention": rope(500.0), "full_attention": rope(500.0, "yarn", factor=4.0, original_max_position_embeddings=64)})),
    "olmo3-old": Variant("rope_theta at the top, which reaches the full layers only", "olmo3",
                         SMALL | dict(num_hidden_layers=2, hidden_size=32, sliding_window=6, layer_types=["sliding_attention", "full_attention"], rope_parameters={
                             "sliding_attention": rope(500000.0), "full_attention": rope(300.0)}),
                         nf4=False, old={"rope_parameters": ..., "rope_theta": 300.0}),
    "granite": Variant("four multipliers", "granite",
                       TIED | dict(embedding_multiplier=1.75, attention_multiplier=0.4, residual_multiplier=0.6, logits_scaling=1.5)),
    "hyperclovax": Variant("four multipliers, the logits' a factor; norms before and behind both branches", "hyperclovax",
                           SMALL | dict(head_dim=16, embedding_multiplier=1.75, attention_multiplier=0.4, residual_multiplier=0.6, logits_scaling=0.7)),
    "smollm3": Variant("no rope in layers 1 and 2", "smollm3", TIED | dict(num_hidden_layers=3, no_rope_layers=[1, 0, 0])),
    "smollm3-window": Variant("windows on the layers without rope", "smollm3",
                              TIED | dict(num_hidden_layers=2, hidden_size=32, no_rope_layers=[1, 0], use_sliding_window=True, sliding_window=6), nf4=False),
    "cohere": Variant("LayerNorm without bias, parallel, rotary of pairs, logit_scale", "cohere", TIED | dict(logit_scale=0.4)),
    "cohere-qk": Variant("use_qk_norm, attention_bias", "cohere", TIED | dict(use_qk_norm=True, attention_bias=True, logit_scale=0.4)),
    "cohere2": Variant("windows with rotary, every 4th layer full and without", "cohere2",
                       TIED | dict(num_hidden_layers=4, head_dim=16, sliding_window=6, logit_scale=0.4)),
    "glm": Variant("rotary of pairs in half of the head, gate_up_proj, biases on q k v", "glm", SMALL | dict(head_dim=16)),
    "glm4": Variant("norms before and behind both branches", "glm4", SMALL | dict(head_dim=32)),
    "mistral": Variant("head_dim of its own, no window", "mistral", SMALL | dict(head_dim=32, sliding_window=None)),
    "ministral": Variant("windows in some layers", "ministral", SMALL | dict(head_dim=32, sliding_window=6, layer_types=["sliding_attention", "full_attention"])),
    "ministral3": Variant("yarn with mscale, queries scaled by their position beyond the original length", "ministral3",
                          SMALL | dict(head_dim=32, rope_parameters=rope(
                              500.0, "yarn", factor=16.0, original_max_position_embeddings=8, beta_fast=32.0, beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0,
                              llama_4_scaling_beta=0.3))),
    "mistral3": Variant("a vision-language folder: the text part is tuned", "mistral3",
                        dict(text_config=SMALL | dict(model_type="mistral", head_dim=32),
                             vision_config=VISION | dict(model_type="pixtral", head_dim=16), image_token_index=127, spatial_merge_size=2, tie_word_embeddings=False),
                        nf4=False, targets=LLAMA_TARGETS),
    "qwen2_vl": Variant("a vision-language folder: the text part is tuned; three positions a token, which are one without images", "qwen2_vl",
                        dict(text_config=SMALL | dict(rope_parameters=rope(500.0, mrope_section=[3, 2, 3])),
                             vision_config=dict(depth=1, embed_dim=32, hidden_size=64, num_heads=2, mlp_ratio=2, patch_size=4), tie_word_embeddings=False, **QWEN_VL),
                        nf4=False, targets=LLAMA_TARGETS),
    "qwen2_5_vl": Variant("the same of Qwen 2.5", "qwen2_5_vl",
                          dict(text_config=SMALL | dict(rope_parameters=rope(500.0, mrope_section=[3, 2, 3])),
                               vision_config=dict(depth=1, hidden_size=32, out_hidden_size=64, num_heads=2, intermediate_size=48, patch_size=4,
                                                  fullatt_block_indexes=[0]), tie_word_embeddings=False, **QWEN_VL),
                          nf4=False, targets=LLAMA_TARGETS),
    "qwen3_vl": Variant("the same of Qwen 3, interleaved and tied", "qwen3_vl",
                        dict(text_config=TIED | dict(head_dim=32, rope_parameters=rope(500.0, mrope_section=[6, 5, 5], mrope_interleaved=True)),
                             vision_config=dict(depth=1, hidden_size=32, out_hidden_size=64, num_heads=2, intermediate_size=48, patch_size=4,
                                                num_position_embeddings=16, deepstack_visual_indexes=[0]), tie_word_embeddings=True, **QWEN_VL),
                        nf4=False, targets=LLAMA_TARGETS),
    "arcee": Variant("relu squared without a gate", "arcee", SMALL),
    "seed_oss": Variant("biases on q k v and o, head_dim of its own", "seed_oss",
                        SMALL | dict(head_dim=32, attention_bias=True, attention_out_bias=True, attention_dropout=0.0, residual_dropout=0.0)),
    "helium": Variant("rotary of pairs", "helium", SMALL | dict(head_dim=16)),
    "ernie4_5": Variant("rotary of pairs, biases everywhere, tied", "ernie4_5", TIED | dict(head_dim=32, use_bias=True)),
    "exaone4": Variant("norms behind the branches, q and k norms, rotary in the window layers only", "exaone4",
                       SMALL | dict(num_hidden_layers=4, sliding_window=6, sliding_window_pattern=4)),
    "nemotron": Variant("LayerNorm of 1 + w, relu squared, half of rotary", "nemotron", SMALL | dict(head_dim=16)),
    "hunyuan": Variant("q and k norms behind rotary", "hunyuan_v1_dense", SMALL | dict(head_dim=16)),
}


def others(seed):
    """Returns variants of other sizes by seed, to check a family against runs outside the repository."""
    rng = random.Random(seed)
    return {name: v.like(_vary(dict(v.settings), v, rng)) for name, v in VARIANTS.items()}


def _vary(settings, variant, rng):
    """Other widths, heads, windows, caps and multipliers; sizes in an older config.json or an extra tensor are kept."""
    if "text_config" in settings:
        return settings | {"text_config": _vary(dict(settings["text_config"]), variant, rng)}
    for key, value in settings.items():
        if key in ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size") and value:
            settings[key] = rng.choice([64, 192, 256])
        elif key in ("sliding_window", "window_size") and value:
            settings[key] = rng.choice([2, 3, 5, 9])
        elif key in ("attn_logit_softcapping", "final_logit_softcapping", "clip_qkv") and value:
            settings[key] = value * rng.uniform(0.6, 1.8)
        elif key.endswith("_multiplier") or key in ("logits_scaling", "logit_scale"):
            settings[key] = value * rng.uniform(0.7, 1.4)
        elif key == "query_pre_attn_scalar":
            settings[key] = rng.choice([11, 24, 40])
        elif key == "rotary_dim":
            settings[key] = rng.choice([4, 12])
    rotary = settings.get("rope_parameters", {})
    if rotary.get("rope_type") == "longrope" or "mrope_section" in rotary or variant.extra or variant.bare:
        return settings
    width = next(k for k in ("hidden_size", "n_embd") if k in settings)
    heads = next(k for k in ("num_attention_heads", "n_head") if k in settings)
    if settings[width] % 64 == 0:
        settings[width] = rng.choice([64, 128])
    if "head_dim" in settings and variant.model != "helium":
        settings["head_dim"], settings[heads] = rng.choice([8, 16, 24, 32]), 8
    elif settings[width] % 64 == 0:
        settings[heads] = rng.choice([2, 4, 8]) if variant.model != "gptj" else 4
        if "head_dim" in settings:
            settings["head_dim"] = settings[width] // settings[heads]
    part = rotary.get("partial_rotary_factor", 1.0)
    if int(settings.get("head_dim", settings[width] // settings[heads]) * part) % 2:  # transformers rotates no odd number of dimensions
        settings[width], settings[heads] = 64, 4
    for key in ("num_key_value_heads", "num_kv_heads"):
        if key in settings:
            settings[key] = rng.choice([n for n in (1, 2, 4) if settings[heads] % n == 0])
    return settings
