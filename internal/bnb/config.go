package bnb

import (
	"encoding/json"
	"fmt"

	"qlora/internal/nf4"
)

// QuantizationConfig is config.json's "quantization_config" of bitsandbytes
// (transformers' BitsAndBytesConfig): the keys that say how weights are held.
type QuantizationConfig struct {
	Kind         nf4.Kind // bnb_4bit_quant_type
	Double       bool     // bnb_4bit_use_double_quant
	ComputeDType string   // bnb_4bit_compute_dtype, as written there
	Skip         []string // llm_int8_skip_modules: modules that were left in 16 bits
}

// ParseQuantizationConfig reads the object. Methods other than bitsandbytes'
// 4-bit one are refused.
func ParseQuantizationConfig(data []byte) (*QuantizationConfig, error) {
	f := struct {
		Method       string   `json:"quant_method"`
		FourBit      bool     `json:"load_in_4bit"`
		FourBit2     bool     `json:"_load_in_4bit"`
		EightBit     bool     `json:"load_in_8bit"`
		QuantType    string   `json:"bnb_4bit_quant_type"`
		Double       bool     `json:"bnb_4bit_use_double_quant"`
		ComputeDType string   `json:"bnb_4bit_compute_dtype"`
		Skip         []string `json:"llm_int8_skip_modules"`
	}{Method: "bitsandbytes", QuantType: "fp4", ComputeDType: "float32"}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.Method != "bitsandbytes" || f.EightBit || !f.FourBit && !f.FourBit2 {
		return nil, fmt.Errorf("quant_method %q, load_in_8bit %v: only 16-bit and bitsandbytes 4-bit models can be used", f.Method, f.EightBit)
	}
	kind, err := nf4.ParseKind(f.QuantType)
	if err != nil {
		return nil, fmt.Errorf("bnb_4bit_quant_type: %w", err)
	}
	return &QuantizationConfig{Kind: kind, Double: f.Double, ComputeDType: f.ComputeDType, Skip: f.Skip}, nil
}

// MarshalJSON writes every key that transformers writes.
func (q *QuantizationConfig) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		FourBit        bool     `json:"_load_in_4bit"`
		EightBit       bool     `json:"_load_in_8bit"`
		ComputeDType   string   `json:"bnb_4bit_compute_dtype"`
		QuantStorage   string   `json:"bnb_4bit_quant_storage"`
		QuantType      string   `json:"bnb_4bit_quant_type"`
		Double         bool     `json:"bnb_4bit_use_double_quant"`
		Offload        bool     `json:"llm_int8_enable_fp32_cpu_offload"`
		FP16Weight     bool     `json:"llm_int8_has_fp16_weight"`
		Skip           []string `json:"llm_int8_skip_modules"`
		Threshold      float64  `json:"llm_int8_threshold"`
		PublicFourBit  bool     `json:"load_in_4bit"`
		PublicEightBit bool     `json:"load_in_8bit"`
		Method         string   `json:"quant_method"`
	}{
		FourBit: true, ComputeDType: q.ComputeDType, QuantStorage: "uint8", QuantType: q.Kind.String(), Double: q.Double,
		Skip: q.Skip, Threshold: 6, PublicFourBit: true, Method: "bitsandbytes",
	})
}
