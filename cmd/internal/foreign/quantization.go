package foreign

import (
	"strings"

	"qlora/cmd/internal/options"
)

const eightBits = "only a base in 8 bits reads it"

// quantizationConfig are the fields of transformers' BitsAndBytesConfig that are not
// options; load_in_4bit and load_in_8bit are with the methods.
var quantizationConfig = []options.Setting{
	ignored("llm_int8_threshold", eightBits, "6"),
	refused("llm_int8_skip_modules", "every linear layer but the head is quantized; `method` lora keeps the base as it is", "lm_head"),
	ignoredFlag("llm_int8_enable_fp32_cpu_offload", oneProcess, "false"),
	ignoredFlag("llm_int8_has_fp16_weight", eightBits, "false"),
	ignored("bnb_4bit_quant_storage", "two codes are stored in a byte; the numbers do not depend on it", "uint8", "torch.uint8"),
	ignored("_load_in_4bit", "the field is load_in_4bit", "*"),
	ignored("_load_in_8bit", "the field is load_in_8bit", "*"),
	refused("quant_method", "the formats are bitsandbytes'; convert the base to 16 bits first", "bitsandbytes"),
	refused("quantization_method", "the formats are bitsandbytes'; convert the base to 16 bits first", "bitsandbytes", "bnb"),
	expand("quantization_config", "its fields, one by one"),
	expand("bnb_config", "its fields, one by one"),
	same("quant_type", "bnb_4bit_quant_type"),
	same("double_quant", "bnb_4bit_use_double_quant"),
	same("double_quantization", "bnb_4bit_use_double_quant"),
	same("quantization_type", "bnb_4bit_quant_type"),
	ignored("quantization_device_map", oneProcess),
}

// typeName returns a type of numbers without torch's prefix and abbreviations.
func typeName(text string) string {
	name := strings.TrimPrefix(strings.ToLower(text), "torch.")
	switch name {
	case "bf16":
		return "bfloat16"
	case "fp16", "half":
		return "float16"
	case "fp32", "float":
		return "float32"
	}
	return name
}
