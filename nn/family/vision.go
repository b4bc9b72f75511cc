package family

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"qlora/nn"
)

// A language says where the text part of a vision-language model is. The text part is
// what is computed and trained; the folder's other tensors stay as they are.
type language struct {
	text     string // the text part's model_type, where it says none
	read     kinds  // by model_type
	flat     bool   // older files have the text part's keys beside the others
	absent   string // the text part's keys where there are none; "": the class's
	tied     bool   // by default
	prefixes []nn.Prefix
	beside   []string // the other modules
}

type kinds map[string]func(*file) *nn.Config

// languageRoot is the module of the text part's layers, as transformers 5 has it.
const languageRoot = "model.language_model"

// llavaPrefixes are names as LLaVA's kin have them in files.
var llavaPrefixes = []nn.Prefix{
	{Model: languageRoot + ".", Stored: "language_model.model."},
	{Model: "lm_head.", Stored: "language_model.lm_head."},
}

// llavaBeside are the other modules of LLaVA's kin.
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
		f.fail("text_config has model_type %q, which is not supported for %s; %s is", text.modelType, f.modelType,
			strings.Join(slices.Sorted(maps.Keys(l.read)), " or "))
	}
	flatTied := l.flat && text.bool("tie_word_embeddings", false)
	// What the whole model says of itself counts. Padding is the embedding's matter.
	for _, key := range []string{"dtype", "torch_dtype", "quantization_config", "tie_word_embeddings", "bos_token_id", "eos_token_id"} {
		if f.present(key) {
			text.keys[key] = f.keys[key]
		}
	}
	if flatTied { // transformers 4 said it there, of Qwen2-VL
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
	c.ModelType, c.Prefixes, c.Part, c.Beside = f.modelType, l.prefixes, languageRoot, l.beside
	c.Note = fmt.Sprintf("of model_type %q the text part is read; the rest stays as it is", f.modelType)
	return c
}
