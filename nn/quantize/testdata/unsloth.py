"""Writes unsloth.json: config.json's in the forms of Unsloth's bnb-4bit repositories, at small sizes, each with the linear
layers that transformers leaves in 16 bits when it loads such a folder.

    python unsloth.py        (made with transformers 5.24, bitsandbytes 0.50.2)

The forms are those of the repositories' quantization_config: plain ones from 2024 (no module is named, the head stays in 16
bits), with dynamic quantization (whole parts of layers by name), of vision models (the vision part and its projector), and
what older and newer versions of transformers spell otherwise.
"""
import json
import pathlib

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.quantizers import AutoHfQuantizer

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
         "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
         "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 4}
QWEN = {**LLAMA, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "tie_word_embeddings": True, "use_sliding_window": False}
GEMMA = {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "mm_tokens_per_image": 4, "image_token_index": 90,
         "boi_token_index": 88, "eoi_token_index": 89, "bos_token_id": 2, "eos_token_id": [1, 10], "pad_token_id": 0,
         "text_config": {"model_type": "gemma3_text", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
                         "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 96, "max_position_embeddings": 128, "sliding_window": 32},
         "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
                           "num_attention_heads": 2, "image_size": 28, "patch_size": 14, "vision_use_head": False}}
PLAIN = {"_load_in_4bit": True, "_load_in_8bit": False, "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_quant_storage": "uint8", "bnb_4bit_quant_type": "nf4",
         "bnb_4bit_use_double_quant": True, "llm_int8_enable_fp32_cpu_offload": False, "llm_int8_has_fp16_weight": False, "llm_int8_skip_modules": None,
         "llm_int8_threshold": 6.0, "load_in_4bit": True, "load_in_8bit": False, "quant_method": "bitsandbytes"}
DYNAMIC = ["lm_head", "multi_modal_projector", "merger", "modality_projection"]


def quantized(**keys):
    return {"quantization_config": {**PLAIN, **keys}, "unsloth_fixed": True}


FORMS = {
    "plain": {**LLAMA, **quantized(), "torch_dtype": "bfloat16", "transformers_version": "4.44.2"},
    "float16": {**LLAMA, **quantized(bnb_4bit_compute_dtype="float16"), "torch_dtype": "float16"},
    "newer": {**LLAMA, **quantized(llm_int8_skip_modules=["lm_head"]), "dtype": "bfloat16", "unsloth_version": "2025.9.1"},
    "older": {**LLAMA, "torch_dtype": "bfloat16", "quantization_config": {
        k: v for k, v in PLAIN.items() if not k.startswith("_") and k != "bnb_4bit_quant_storage"}},
    "short": {**LLAMA, "torch_dtype": "bfloat16", "quantization_config": {
        "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_use_double_quant": True}},
    "dynamic": {**LLAMA, **quantized(llm_int8_skip_modules=DYNAMIC + ["model.layers.1.mlp", "model.layers.0.self_attn.o_proj"]), "torch_dtype": "bfloat16"},
    "dynamic, whole layer": {**QWEN, **quantized(llm_int8_skip_modules=DYNAMIC + ["model.layers.0.self_attn", "model.layers.0.mlp", "model.layers.2"]),
                             "torch_dtype": "bfloat16"},
    "dynamic, tied": {**QWEN, **quantized(llm_int8_skip_modules=["embed_tokens", "embedding", "lm_head", "multi_modal_projector", "merger", "router",
                                                                  "visual", "vision_tower", "down_proj"]), "dtype": "bfloat16"},
    "vision": {**GEMMA, **quantized(llm_int8_skip_modules=DYNAMIC + ["vision_tower", "language_model.model.layers.1.mlp"]), "torch_dtype": "bfloat16"},
    "vision, newer names": {**GEMMA, **quantized(llm_int8_skip_modules=["lm_head", "model.vision_tower", "model.multi_modal_projector",
                                                                        "model.language_model.layers.0.self_attn"]), "dtype": "bfloat16"},
}


def in_16_bits(config):
    """The linear layers of the language part that transformers does not replace, but the head. Files have the names of
    transformers 4, which version 5 translates only in tensors."""
    config = json.loads(json.dumps(config).replace("language_model.model.", "model.language_model."))
    config = AutoConfig.for_model(**config)
    vision = hasattr(config, "vision_config")
    auto = AutoModelForImageTextToText if vision else AutoModelForCausalLM
    quantizer = AutoHfQuantizer.from_config(config.quantization_config, pre_quantized=True)
    with torch.device("meta"):
        model = auto.from_config(config)
    quantizer.preprocess_model(model=model, dtype=torch.bfloat16, device_map=None)
    names = []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and type(module) is torch.nn.Linear and not name.endswith("lm_head") and "vision" not in name:
            names.append(name)
    return names


records = [{"name": name, "config": config, "in_16_bits": in_16_bits(config)} for name, config in FORMS.items()]
(pathlib.Path(__file__).parent / "unsloth.json").write_text(json.dumps(records, indent=1) + "\n")
