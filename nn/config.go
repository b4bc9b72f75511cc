package nn

import (
	"fmt"

	"qlora/checkpoint"
)

// Config is a model's architecture. Package family reads it from config.json.
type Config struct {
	ModelType    string
	Hidden       int
	Layers       int
	Vocabulary   int
	MaxPositions int     // the model's context length in tokens
	Tied         bool    // the output head shares the embedding table
	Pad          int32   // pad_token_id; -1: none
	BOS          int32   // -1: none
	EOS          []int32 //
	DType        string  // "F32", "BF16", "F16": the type that the file declares
	Quantization *checkpoint.Quantization
	Raw          []byte // config.json, copied next to a trained model

	// Targets are PEFT's default target_modules; empty if PEFT has none for this
	// family.
	Targets []string
	// Prefixes are alternative name prefixes in a checkpoint, tried after the
	// model's own.
	Prefixes []Prefix
	// Part is the module that holds the transformer in a model with other modules,
	// and Beside names those ("model.vision_tower"). "": the transformer is the model.
	Part   string
	Beside []string
	// Note, if not empty, is a message to the user about how the file was read.
	Note string
	// Compose returns the model's parts; each call returns new ones.
	Compose func() *Transformer
}

// A Prefix is a name prefix in the model and the one that replaces it in a checkpoint.
type Prefix struct{ Model, Stored string }

// A Transformer is the parts of a decoder-only model.
type Transformer struct {
	Embedding Embedding
	Layers    []*Layer
	Head      Head
}

// Check returns an error for sizes out of range, before anything is allocated.
func (c *Config) Check() error {
	for _, v := range []struct {
		name  string
		value int
		most  int
	}{
		{"hidden_size", c.Hidden, 1 << 17},
		{"num_hidden_layers", c.Layers, 1 << 12},
		{"vocab_size", c.Vocabulary, 1 << 24},
		{"max_position_embeddings", c.MaxPositions, 1 << 30},
	} {
		if v.value < 1 || v.value > v.most {
			return fmt.Errorf("%s is %d; it must be from 1 to %d", v.name, v.value, v.most)
		}
	}
	return nil
}
