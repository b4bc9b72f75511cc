package nn

import (
	"fmt"

	"qlora/checkpoint"
)

// Config is a model's architecture, as package family reads it from config.json.
type Config struct {
	ModelType    string
	Hidden       int
	Layers       int
	Vocabulary   int
	MaxPositions int     // the longest context that the model was made for
	Tied         bool    // the output head is the embedding table
	Pad          int32   // pad_token_id; -1: none
	BOS          int32   // -1: none
	EOS          []int32 //
	DType        string  // "F32", "BF16", "F16": the type that the file declares
	Quantization *checkpoint.Quantization
	Raw          []byte // the text of the file, which is written with a trained model

	// Targets are the linear layers that PEFT adapts by default; none: it has no
	// default for this family.
	Targets []string
	// Prefixes are other beginnings that names may have in a checkpoint, tried after
	// the model's own.
	Prefixes []Prefix
	// Part is the module that the transformer is, of a model that has more, and Beside
	// are the modules beside it: "model.vision_tower". "": it is all.
	Part   string
	Beside []string
	// Note says what a person should know of how the file was read; "": nothing.
	Note string
	// Compose returns the model's parts, new at each call.
	Compose func() *Transformer
}

// A Prefix is the beginning of names in the model, and in a checkpoint.
type Prefix struct{ Model, Stored string }

// A Transformer is a decoder-only model as its parts.
type Transformer struct {
	Embedding Embedding
	Layers    []*Layer
	Head      Head
}

// Check refuses shapes that no model has, before anything is laid out by them.
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
