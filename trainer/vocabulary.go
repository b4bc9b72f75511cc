package trainer

import (
	"slices"
	"strings"

	"qlora/checkpoint"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/family"
	"qlora/tokenizer"
)

// ResizeTokens gives the embedding and the head that many rows, one for each token. New
// rows are the mean of the others, as transformers' resize_token_embeddings has them but
// for its noise. Adapters are saved with both, as PEFT does. Call it after ApplyLora.
func (b *Base) ResizeTokens(rows int) error {
	config, weights, err := family.Resize(b.Config, b.Weights, rows)
	if err != nil {
		return err
	}
	b.Config, b.Weights = config, weights
	if b.Lora != nil {
		b.Lora.SaveEmbeddings, b.Lora.Resized = true, true
	}
	return nil
}

// TrainTokens trains the rows of these tokens next to new adapters, of the embedding and
// of the head, and reports whether it does: not if rows, whole modules or adapters are
// trained there already. Call it after ApplyLora.
func (b *Base) TrainTokens(ids []int32) bool {
	if len(ids) == 0 || b.Lora == nil || b.Adapter != "" || !b.Lora.Tokens.Empty() {
		return false
	}
	e, modules := nn.EndsOf(b.Config, b.Weights), b.Lora.Modules()
	for _, module := range e.Modules() {
		if modules.Pick(module) || b.Lora.Adapts(module) {
			return false
		}
	}
	b.Lora.Tokens = lora.TrainableTokens{IDs: ids}
	if !e.Tied {
		b.Lora.Tokens = lora.TrainableTokens{Modules: map[string][]int32{e.Embedding: ids, e.Head: ids}}
	}
	return true
}

// TokenizerFolder returns the path of the tokenizer that an adapter was trained with: the
// adapter's folder, if it has one, else the model. adapter may be "".
func TokenizerFolder(model, adapter string) string {
	if adapter == "" || !tokenizer.Exists(adapter) {
		return model
	}
	return adapter
}

// OpenTokenizer reads the tokenizer of TokenizerFolder. If no file of an adapter's folder says
// which token ends a sequence, it is the model's.
func OpenTokenizer(model, adapter string) (*tokenizer.Tokenizer, error) {
	dir := TokenizerFolder(model, adapter)
	tok, err := checkpoint.Tokenizer(dir)
	if err != nil || dir == model || model == "" {
		return tok, err
	}
	files, err := checkpoint.Files(model)
	if err != nil {
		return nil, err
	}
	return tok, tok.FindEOS(files, model)
}

// UntrainedTokens returns the modules, of the embedding and the head, in which the rows
// of some of these tokens are not trained. A tied head's are the embedding's.
func (b *Base) UntrainedTokens(ids []int32) []string {
	if len(ids) == 0 || b.Lora == nil {
		return nil
	}
	e, modules := nn.EndsOf(b.Config, b.Weights), b.Lora.Modules()
	var untrained []string
	for _, module := range e.Modules() {
		rows := b.Lora.Tokens.IDs
		if module == e.Head && !e.Tied {
			rows = nil
		}
		for name, own := range b.Lora.Tokens.Modules {
			if strings.HasSuffix(module, name) {
				rows = own
			}
		}
		all := !slices.ContainsFunc(ids, func(id int32) bool { return !slices.Contains(rows, id) })
		tied := module == e.Head && e.Tied && !slices.Contains(untrained, e.Embedding)
		if !all && !tied && !modules.Pick(module) && !b.Lora.Adapts(module) {
			untrained = append(untrained, module)
		}
	}
	return untrained
}
