// Package lora puts low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on the
// linear layers of a transformer and keeps them in PEFT's files:
// adapter_config.json and adapter_model.safetensors
// (https://huggingface.co/docs/peft/developer_guides/checkpoint).
//
//	y = W·x + Scale·B·A·dropout(x)      A [r, in], B [out, r]
//
// With DoRA (Liu et al. 2024, arXiv 2402.09353) the lengths m of the updated
// weight's rows are trained apart from their direction; see bindings.Project. What
// is trained whole next to the adapters (modules_to_save) is kept in the same file.
package lora
