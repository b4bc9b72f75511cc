package verbs

import (
	"path/filepath"

	"qlora/checkpoint"
	"qlora/cmd/internal/exit"
	"qlora/lora"
	"qlora/nn/family"
	"qlora/nn/quantize"
	"qlora/tokenizer"
	"qlora/trainer"
)

// methods are the values of --method.
const (
	methodQLoRA = "qlora"
	methodLoRA  = "lora"
	methodFull  = "full"
)

// method configures a model for a --method.
func method(m *trainer.Base, how methodOptions, q quantize.Options, adapters lora.Options) error {
	m.Quantize, m.Lora, m.Adapter = nil, nil, ""
	quantized, err := q.Device()
	if err != nil {
		return exit.AsWrong(err)
	}
	quantized.Keep = how.Keep
	switch how.Method {
	case methodQLoRA:
		m.Quantize = quantized
	case methodLoRA:
	case methodFull:
		return nil
	default:
		return exit.Wrongf("--method is %q, but it can be qlora, lora or full", how.Method)
	}
	if adapters.Adapter != "" {
		if err := m.UseAdapter(adapters.Adapter); err != nil {
			return exit.AsWrong(err)
		}
	} else {
		config, err := adapters.Config()
		if err != nil {
			return exit.AsWrong(err)
		}
		m.ApplyLora(config)
	}
	return nil
}

// placedOptions say where a model that is not trained is kept.
type placedOptions struct {
	Embedding bool `option:"embedding_on_host" alias:"offload_embedding" help:"keep an embedding that is not the output head's, too, in the host's memory, from where a GPU reads the rows of its tokens"`
}

// openModel opens a model. With planning, a folder without weights is allowed; its base
// is nil.
func openModel(dir string, planning bool) (*trainer.Base, error) {
	if err := required("model", dir); err != nil {
		return nil, err
	}
	if !planning || checkpoint.HasWeights(dir) {
		m, err := trainer.OpenBase(dir)
		return m, exit.AsWrong(err)
	}
	config, err := family.ReadConfig(dir)
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	dir = filepath.Clean(dir)
	return &trainer.Base{Name: dir, Folder: dir, Config: config}, nil
}

func openTokenizer(model, adapter string) (*tokenizer.Tokenizer, error) {
	tok, err := trainer.OpenTokenizer(model, adapter)
	return tok, exit.AsWrong(err)
}

// openTokenizerIfAny returns nil for a model without a tokenizer. Records of token
// ids need none, and package dataset refuses all others.
func openTokenizerIfAny(model, adapter string) (*tokenizer.Tokenizer, error) {
	if !checkpoint.HasTokenizer(trainer.TokenizerFolder(model, adapter)) {
		return nil, nil
	}
	return openTokenizer(model, adapter)
}
