package checkpoint

import (
	"encoding/json"
	"fmt"

	"qlora/nf4"
)

// A Quantization is config.json's quantization_config, transformers' BitsAndBytesConfig.
type Quantization struct {
	Kind         nf4.Kind // bnb_4bit_quant_type
	DoubleQuant  bool     // bnb_4bit_use_double_quant
	ComputeDType string   // bnb_4bit_compute_dtype: "float32", "bfloat16", "float16"
	Storage      string   // bnb_4bit_quant_storage: element type of the codes
	SkipModules  []string // llm_int8_skip_modules: kept in 16 bits; nil writes null
}

// configJSON holds the keys as transformers writes them, sorted.
type configJSON struct {
	AlsoIn4Bit   bool        `json:"_load_in_4bit"`
	AlsoIn8Bit   bool        `json:"_load_in_8bit"`
	ComputeDType string      `json:"bnb_4bit_compute_dtype"`
	Storage      string      `json:"bnb_4bit_quant_storage"`
	QuantType    string      `json:"bnb_4bit_quant_type"`
	DoubleQuant  bool        `json:"bnb_4bit_use_double_quant"`
	CPUOffload   bool        `json:"llm_int8_enable_fp32_cpu_offload"`
	HasFP16      bool        `json:"llm_int8_has_fp16_weight"`
	SkipModules  []string    `json:"llm_int8_skip_modules"`
	Threshold    json.Number `json:"llm_int8_threshold"` // its text: transformers refuses 6 for 6.0
	In4Bit       bool        `json:"load_in_4bit"`
	In8Bit       bool        `json:"load_in_8bit"`
	Method       string      `json:"quant_method"`
}

// defaults returns BitsAndBytesConfig's defaults for missing keys.
func defaults() configJSON {
	return configJSON{
		ComputeDType: "float32", Storage: "uint8", QuantType: "fp4", Threshold: "6.0", Method: "bitsandbytes",
	}
}

// UnmarshalJSON reads a quantization_config. It returns an error that names the method if that
// is not bitsandbytes in 4 bits.
func (c *Quantization) UnmarshalJSON(text []byte) error {
	parsed := defaults()
	if err := json.Unmarshal(text, &parsed); err != nil {
		return fmt.Errorf("quantization_config: %w", err)
	}
	if parsed.Method != "bitsandbytes" {
		return fmt.Errorf("quantization_config: method %q is not supported; use an unquantized model or bitsandbytes in 4 bits", parsed.Method)
	}
	if parsed.In8Bit || parsed.AlsoIn8Bit || !parsed.In4Bit && !parsed.AlsoIn4Bit {
		return fmt.Errorf("quantization_config: bitsandbytes in 8 bits is not supported; use 4 bits")
	}
	kind, err := nf4.ParseKind(parsed.QuantType)
	if err != nil {
		return fmt.Errorf("quantization_config: bnb_4bit_quant_type: %w", err)
	}
	*c = Quantization{kind, parsed.DoubleQuant, parsed.ComputeDType, parsed.Storage, parsed.SkipModules}
	return nil
}

// MarshalJSON writes every key that transformers writes.
func (c Quantization) MarshalJSON() ([]byte, error) {
	out := defaults()
	out.AlsoIn4Bit, out.In4Bit = true, true
	out.QuantType, out.DoubleQuant, out.SkipModules = c.Kind.String(), c.DoubleQuant, c.SkipModules
	if c.ComputeDType != "" {
		out.ComputeDType = c.ComputeDType
	}
	if c.Storage != "" {
		out.Storage = c.Storage
	}
	return json.Marshal(out)
}
