// Package lora puts low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on the linear
// layers of a transformer and reads and writes PEFT's files: adapter_config.json and
// adapter_model.safetensors
// (https://huggingface.co/docs/peft/developer_guides/checkpoint).
//
//	y = W·x + Scale·B·A·dropout(x)      A [r, in], B [out, r]
//
// With lora_bias the adapter adds Scale·bias, too, where bias is of B and [out].
//
// With DoRA (Liu et al. 2024, arXiv 2402.09353) the row norms m of the updated weight
// are trained apart from its direction; see bindings.Project. Modules that are trained
// whole (modules_to_save) are stored in the same file.
package lora
