// Package lora puts low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on the
// linear layers of a transformer and keeps them in PEFT's files:
// adapter_config.json and adapter_model.safetensors
// (https://huggingface.co/docs/peft/developer_guides/checkpoint).
//
//	y = W·x + Scale·B·A·dropout(x)      A [r, in], B [out, r]
package lora
