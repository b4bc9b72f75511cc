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

// methods are the names by which people know values of quant_method.
var methods = map[string]string{
	"gptq": "GPTQ", "awq": "AWQ", "aqlm": "AQLM", "fp8": "FP8", "fbgemm_fp8": "FP8 (fbgemm)", "compressed-tensors": "compressed-tensors (llm-compressor)",
	"hqq": "HQQ", "mxfp4": "MXFP4", "torchao": "torchao", "quanto": "quanto", "eetq": "EETQ", "bitnet": "BitNet", "vptq": "VPTQ", "spqr": "SpQR",
	"higgs": "HIGGS", "auto-round": "AutoRound", "intel/auto-round": "AutoRound", "modelopt": "NVIDIA ModelOpt",
}

// UnmarshalJSON reads a quantization_config. It returns an error that names the method if that
// is not bitsandbytes in 4 bits.
func (c *Quantization) UnmarshalJSON(text []byte) error {
	parsed := defaults()
	var other struct {
		Method string `json:"quant_method"`
	}
	// Another method's keys may have other types.
	if json.Unmarshal(text, &other) == nil && other.Method != "" && other.Method != parsed.Method {
		name := other.Method
		if known := methods[name]; known != "" {
			name = known
		}
		if r := []rune(name); len(r) > 40 {
			name = string(r[:40]) + "…"
		}
		return fmt.Errorf("quantization_config: the weights are quantized with %s, which cannot be trained on here; take the unquantized model that it was made from, in 16 bits, or one in bitsandbytes' 4 bits", name)
	}
	if err := json.Unmarshal(text, &parsed); err != nil {
		return fmt.Errorf("quantization_config: %w", err)
	}
	if parsed.In8Bit || parsed.AlsoIn8Bit || !parsed.In4Bit && !parsed.AlsoIn4Bit {
		return fmt.Errorf("quantization_config: the weights are in bitsandbytes' 8 bits, which cannot be trained on here; take the unquantized model, in 16 bits, or one in bitsandbytes' 4 bits")
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
