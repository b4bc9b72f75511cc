"""Records transformers' rotary frequencies for rope_test.go.

usage: rope.py > rope.json        (transformers 5.23.0, torch 2.15.0)
"""
import json

from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

CASES = {
    "default": {"rope_type": "default", "rope_theta": 10000.0},
    "theta 5e5": {"rope_type": "default", "rope_theta": 500000.0},
    "linear": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
    "llama3": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
    "llama3 small": {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 32.0, "low_freq_factor": 1.0,
                     "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
    "yarn": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 2048},
    "yarn all": {"rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "original_max_position_embeddings": 4096,
                 "beta_fast": 16.0, "beta_slow": 2.0, "truncate": False, "attention_factor": 1.25},
    "yarn mscale": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "original_max_position_embeddings": 1024,
                    "mscale": 0.7, "mscale_all_dim": 1.0},
}
out = []
for name, parameters in CASES.items():
    config = LlamaConfig(hidden_size=256, num_attention_heads=4, max_position_embeddings=8192, rope_parameters=dict(parameters))
    rotary = LlamaRotaryEmbedding(config)
    out.append({
        "name": name, "dim": 64,
        "config": {"model_type": "llama", "hidden_size": 256, "num_attention_heads": 4, "max_position_embeddings": 8192,
                   "rope_parameters": parameters},
        "inv_freq": [float(x) for x in rotary.inv_freq], "attention": float(rotary.attention_scaling),
    })
print(json.dumps(out, indent=1))
