package trainer

import (
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
// of the head, and reports whether it does: not if the adapters have rows or whole
// modules of their own to train there. Call it after ApplyLora.
func (b *Base) TrainTokens(ids []int32) bool {
	if len(ids) == 0 || b.Lora == nil || b.Adapter != "" || !b.Lora.Tokens.Empty() {
		return false
	}
	e, modules := nn.EndsOf(b.Config, b.Weights), b.Lora.Modules()
	if modules.Pick(e.Embedding) || modules.Pick(e.Head) {
		return false
	}
	b.Lora.Tokens = lora.TrainableTokens{IDs: ids}
	if !e.Tied {
		b.Lora.Tokens = lora.TrainableTokens{Modules: map[string][]int32{e.Embedding: ids, e.Head: ids}}
	}
	return true
}

// TokenizerFolder returns the folder of the tokenizer that an adapter was trained with:
// its own, if it has one, else the model's. adapter may be "".
func TokenizerFolder(model, adapter string) string {
	if adapter == "" || !tokenizer.Exists(adapter) {
		return model
	}
	return adapter
}
