package family

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"qlora/nn"
)

// A language locates the text part of a vision-language model. Only the text part is
// computed and trained; the folder's other tensors stay unchanged.
type language struct {
	text     string // default model_type of the text part
	read     kinds  // readers by model_type
	flat     bool   // older files have the text part's keys at the top level
	absent   string // default text keys if there are none; "": the class's
	tied     bool   // default of tie_word_embeddings
	prefixes []nn.Prefix
	beside   []string // modules outside the text part
}

type kinds map[string]func(*file) *nn.Config

// languageRoot is the module of the text part's layers in transformers 5.
const languageRoot = "model.language_model"

// llavaPrefixes are the name prefixes in checkpoints of LLaVA's relatives.
var llavaPrefixes = []nn.Prefix{
	{Model: languageRoot + ".", Stored: "language_model.model."},
	{Model: "lm_head.", Stored: "language_model.lm_head."},
}

// llavaBeside are the modules outside the text part of LLaVA's relatives.
var llavaBeside = []string{"model.vision_tower", "model.multi_modal_projector"}

// language reads the text part of a vision-language model.
func (f *file) language(l language) *nn.Config {
	text := &file{keys: map[string]json.RawMessage{}, asked: map[string]bool{}, root: languageRoot}
	switch {
	case f.has("text_config"):
		f.value("text_config", &text.keys)
	case l.flat:
		maps.Copy(text.keys, f.keys)
		delete(text.keys, "model_type")
	case l.absent != "":
		if err := json.Unmarshal([]byte(l.absent), &text.keys); err != nil {
			f.fail("%w", err)
		}
	}
	text.modelType = text.text("model_type", l.text)
	read, ok := l.read[text.modelType]
	if !ok {
		f.fail("text_config has model_type %q, which is not supported for %s; use %s", text.modelType, f.modelType,
			strings.Join(slices.Sorted(maps.Keys(l.read)), " or "))
	}
	flatTied := l.flat && text.bool("tie_word_embeddings", false)
	// The whole model's values win, except pad_token_id, which belongs to the embedding.
	for _, key := range []string{"dtype", "torch_dtype", "quantization_config", "tie_word_embeddings", "bos_token_id", "eos_token_id"} {
		if f.present(key) {
			text.keys[key] = f.keys[key]
		}
	}
	if flatTied { // transformers 4's place for Qwen2-VL
		text.keys["tie_word_embeddings"] = json.RawMessage("true")
	}
	if !text.has("tie_word_embeddings") && l.tied {
		text.keys["tie_word_embeddings"] = json.RawMessage("true")
	}
	text.err = f.err
	if text.err != nil {
		return &nn.Config{}
	}
	c := read(text)
	f.err = text.err
	if f.has("text_config") { // which has no keys of the other parts
		f.textUnread = text.unknown()
	}
	c.ModelType, c.Prefixes, c.Part, c.Beside = f.modelType, l.prefixes, languageRoot, l.beside
	c.Note = fmt.Sprintf("only the text part of model_type %q is used; the other tensors stay unchanged", f.modelType)
	return c
}
