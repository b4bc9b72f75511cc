package nn

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"

	"qlora/checkpoint"
)

// Config is a model's architecture as its config.json gives it, in the dialects
// of transformers 4 and 5, with the model class's own defaults where the file is
// silent.
type Config struct {
	ModelType    string // "llama", "mistral", "qwen2", "qwen3"
	Hidden       int
	Intermediate int
	Layers       int
	Heads        int
	KVHeads      int // key and value heads; fewer than Heads is grouped-query attention
	HeadDim      int
	Vocabulary   int
	MaxPositions int // the longest context that the model was made for
	NormEps      float32
	Tied         bool // the output head is the embedding table
	QKVBias      bool
	OutputBias   bool  // of o_proj
	MLPBias      bool  // of gate, up and down
	QKNorm       bool  // RMSNorm on each query and key head before rotation
	Windows      []int // sliding window of each layer in tokens; 0: none
	Rope         Rope
	Pad          int32 // pad_token_id; -1: none
	BOS          int32 // -1: none
	EOS          []int32
	DType        string // "F32", "BF16", "F16": the type that the file declares
	Quantization *checkpoint.Quantization
	Raw          []byte // the file, for what is written beside a trained model
}

// Rope is how positions become angles; see rope.go.
type Rope struct {
	Type            string // "default", "linear", "llama3", "yarn"
	Theta           float64
	Factor          float64
	LowFreqFactor   float64 // llama3
	HighFreqFactor  float64 // llama3
	OriginalMax     int     // llama3, yarn: context before scaling
	AttentionFactor float64 // yarn: multiplies cos and sin; 0: from Factor
	BetaFast        float64 // yarn
	BetaSlow        float64 // yarn
	MScale          float64 // yarn
	MScaleAllDim    float64 // yarn
	Truncate        bool    // yarn: correction range in whole dimensions
}

// configFile is config.json's keys. Pointers tell an absent key from a zero.
type configFile struct {
	ModelType        string                   `json:"model_type"`
	Architectures    []string                 `json:"architectures"`
	Hidden           *int                     `json:"hidden_size"`
	Intermediate     *int                     `json:"intermediate_size"`
	Layers           *int                     `json:"num_hidden_layers"`
	Heads            *int                     `json:"num_attention_heads"`
	KVHeads          *int                     `json:"num_key_value_heads"`
	HeadDim          *int                     `json:"head_dim"`
	Vocabulary       *int                     `json:"vocab_size"`
	MaxPositions     *int                     `json:"max_position_embeddings"`
	NormEps          *float64                 `json:"rms_norm_eps"`
	Tied             *bool                    `json:"tie_word_embeddings"`
	AttentionBias    bool                     `json:"attention_bias"`
	MLPBias          bool                     `json:"mlp_bias"`
	Activation       *string                  `json:"hidden_act"`
	SlidingWindow    json.RawMessage          `json:"sliding_window"`
	UseSlidingWindow bool                     `json:"use_sliding_window"`
	MaxWindowLayers  *int                     `json:"max_window_layers"`
	LayerTypes       []string                 `json:"layer_types"`
	Pad              *int32                   `json:"pad_token_id"`
	BOS              json.RawMessage          `json:"bos_token_id"`
	EOS              json.RawMessage          `json:"eos_token_id"`
	TorchDType       *string                  `json:"torch_dtype"`
	DType            *string                  `json:"dtype"`
	RopeTheta        *float64                 `json:"rope_theta"`
	RopeScaling      *ropeFile                `json:"rope_scaling"`
	RopeParameters   *ropeFile                `json:"rope_parameters"`
	PartialRotary    *float64                 `json:"partial_rotary_factor"`
	Quantization     *checkpoint.Quantization `json:"quantization_config"`
}

type ropeFile struct {
	Type            string   `json:"type"`
	RopeType        string   `json:"rope_type"`
	Theta           *float64 `json:"rope_theta"`
	Factor          *float64 `json:"factor"`
	LowFreqFactor   *float64 `json:"low_freq_factor"`
	HighFreqFactor  *float64 `json:"high_freq_factor"`
	OriginalMax     *int     `json:"original_max_position_embeddings"`
	AttentionFactor *float64 `json:"attention_factor"`
	BetaFast        *float64 `json:"beta_fast"`
	BetaSlow        *float64 `json:"beta_slow"`
	MScale          *float64 `json:"mscale"`
	MScaleAllDim    *float64 `json:"mscale_all_dim"`
	Truncate        *bool    `json:"truncate"`
	PartialRotary   *float64 `json:"partial_rotary_factor"`
}

// family is what a model class brings by itself (transformers'
// models/<name>/configuration_<name>.py).
type family struct {
	intermediate, kvHeads, headDim, vocabulary, maxPositions int
	bos, eos                                                 int32
	qkvBias, qkNorm                                          bool
	biasFlags                                                bool // attention_bias and, for Llama, mlp_bias are read
	window                                                   int  // default sliding_window; 0: only where the file asks
}

var families = map[string]family{
	"llama":   {intermediate: 11008, vocabulary: 32000, maxPositions: 2048, bos: 1, eos: 2, biasFlags: true},
	"mistral": {intermediate: 14336, kvHeads: 8, vocabulary: 32000, maxPositions: 131072, bos: 1, eos: 2, window: 4096},
	"qwen2":   {intermediate: 22016, kvHeads: 32, vocabulary: 151936, maxPositions: 32768, bos: -1, eos: -1, qkvBias: true},
	"qwen3":   {intermediate: 22016, kvHeads: 32, headDim: 128, vocabulary: 151936, maxPositions: 32768, bos: -1, eos: -1, qkNorm: true, biasFlags: true},
}

// ReadConfig reads config.json of a model folder.
func ReadConfig(dir string) (*Config, error) {
	data, err := checkpoint.ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "config.json"), err)
	}
	return c, nil
}

// ParseConfig reads the text of a config.json.
func ParseConfig(data []byte) (*Config, error) {
	var f configFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("not a readable config.json: %w", err)
	}
	fam, ok := families[f.ModelType]
	if !ok {
		return nil, fmt.Errorf("model_type %q is not supported; llama, mistral, qwen2 and qwen3 are", f.ModelType)
	}
	if a := or(f.Activation, "silu"); a != "silu" && a != "swish" {
		return nil, fmt.Errorf("hidden_act %q is not supported for %s; silu is", a, f.ModelType)
	}
	c := &Config{
		ModelType:    f.ModelType,
		Hidden:       or(f.Hidden, 4096),
		Intermediate: or(f.Intermediate, fam.intermediate),
		Layers:       or(f.Layers, 32),
		Heads:        or(f.Heads, 32),
		Vocabulary:   or(f.Vocabulary, fam.vocabulary),
		MaxPositions: or(f.MaxPositions, fam.maxPositions),
		NormEps:      float32(or(f.NormEps, 1e-6)),
		Tied:         or(f.Tied, false),
		QKVBias:      fam.qkvBias || fam.biasFlags && f.AttentionBias,
		OutputBias:   fam.biasFlags && f.AttentionBias,
		MLPBias:      f.ModelType == "llama" && f.MLPBias,
		QKNorm:       fam.qkNorm,
		Pad:          or(f.Pad, -1),
		Raw:          data,
	}
	if c.Heads > 0 {
		c.KVHeads = or(f.KVHeads, orZero(fam.kvHeads, c.Heads))
		c.HeadDim = or(f.HeadDim, orZero(fam.headDim, c.Hidden/c.Heads))
	}
	var err error
	if c.BOS, c.EOS, err = specialTokens(&f, fam); err != nil {
		return nil, err
	}
	if c.DType, err = declaredType(&f); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Windows, err = windows(&f, fam, c.Layers); err != nil {
		return nil, err
	}
	if c.Rope, err = parseRope(&f, c.MaxPositions); err != nil {
		return nil, err
	}
	c.Quantization = f.Quantization
	return c, nil
}

// check refuses shapes that no model has, before anything is allocated by them.
func (c *Config) check() error {
	for _, v := range []struct {
		name  string
		value int
		most  int
	}{
		{"hidden_size", c.Hidden, 1 << 17},
		{"intermediate_size", c.Intermediate, 1 << 19},
		{"num_hidden_layers", c.Layers, 1 << 12},
		{"num_attention_heads", c.Heads, 1 << 12},
		{"num_key_value_heads", c.KVHeads, 1 << 12},
		{"head_dim", c.HeadDim, 1 << 12},
		{"vocab_size", c.Vocabulary, 1 << 24},
		{"max_position_embeddings", c.MaxPositions, 1 << 30},
	} {
		if v.value < 1 || v.value > v.most {
			return fmt.Errorf("%s is %d; it must be from 1 to %d", v.name, v.value, v.most)
		}
	}
	if c.Heads%c.KVHeads != 0 {
		return fmt.Errorf("num_attention_heads %d is not a multiple of num_key_value_heads %d", c.Heads, c.KVHeads)
	}
	if c.HeadDim%2 != 0 {
		return fmt.Errorf("head_dim %d is odd; rotary positions need pairs", c.HeadDim)
	}
	if !(c.NormEps > 0) || math.IsInf(float64(c.NormEps), 0) {
		return fmt.Errorf("rms_norm_eps is %v; it must be a small positive number", c.NormEps)
	}
	return nil
}

func specialTokens(f *configFile, fam family) (bos int32, eos []int32, err error) {
	bos = fam.bos
	var one *int32
	if len(f.BOS) > 0 {
		if err := json.Unmarshal(f.BOS, &one); err != nil {
			return 0, nil, fmt.Errorf("bos_token_id: %w", err)
		}
		bos = or(one, -1)
	}
	if len(f.EOS) == 0 {
		if fam.eos >= 0 {
			eos = []int32{fam.eos}
		}
		return bos, eos, nil
	}
	one = nil
	if json.Unmarshal(f.EOS, &one) == nil {
		if one != nil {
			eos = []int32{*one}
		}
		return bos, eos, nil
	}
	if err := json.Unmarshal(f.EOS, &eos); err != nil {
		return 0, nil, fmt.Errorf("eos_token_id: %w", err)
	}
	return bos, eos, nil
}

func declaredType(f *configFile) (string, error) {
	dtype, err := checkpoint.ParseTorch(or(f.DType, or(f.TorchDType, "float32")))
	return string(dtype), err
}

// windows gives each layer its sliding window: Mistral's in all layers, Qwen's
// in the layers from max_window_layers on, or as layer_types says.
func windows(f *configFile, fam family, layers int) ([]int, error) {
	w := make([]int, layers)
	size := orZero(fam.window, 4096)
	if len(f.SlidingWindow) > 0 {
		var p *int
		if err := json.Unmarshal(f.SlidingWindow, &p); err != nil {
			return nil, fmt.Errorf("sliding_window: %w", err)
		}
		size = or(p, 0)
	}
	if size < 0 {
		return nil, fmt.Errorf("sliding_window is %d; it must be positive or null", size)
	}
	switch f.ModelType {
	case "llama":
		return w, nil
	case "mistral":
		for i := range w {
			w[i] = size
		}
		return w, nil
	}
	if len(f.LayerTypes) > 0 && len(f.LayerTypes) != layers {
		return nil, fmt.Errorf("layer_types names %d layers of %d", len(f.LayerTypes), layers)
	}
	if !f.UseSlidingWindow {
		size = 0
	}
	first := or(f.MaxWindowLayers, 28)
	for i := range w {
		if len(f.LayerTypes) == 0 {
			if i >= first {
				w[i] = size
			}
			continue
		}
		switch f.LayerTypes[i] {
		case "full_attention":
		case "sliding_attention":
			w[i] = size
		default:
			return nil, fmt.Errorf("layer_types: %q is not supported; full_attention and sliding_attention are", f.LayerTypes[i])
		}
	}
	return w, nil
}

// or is *p, or def where p is nil.
func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

func orZero(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}
