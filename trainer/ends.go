package trainer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"qlora/chat"
	"qlora/checkpoint"
	"qlora/internal/generationconfig"
	"qlora/tokenizer"
	"qlora/trainer/dataset"
)

// Ends returns the tokens at which generation stops, each once: those of
// generation_config.json of the base and of the adapter, of config.json and of the
// tokenizer, and the one with which the chat template ends a turn. A nil template stands
// for that of the adapter's folder or the base's, if it has one that is valid.
func (b *Base) Ends(tok *tokenizer.Tokenizer, template *chat.Template) ([]int32, error) {
	text, err := b.generation()
	if err != nil {
		return nil, err
	}
	ends, err := generationconfig.Ends(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(b.Folder, generationconfig.File), err)
	}
	learnt, err := b.adapterEnds()
	if err != nil {
		return nil, err
	}
	ends = generationconfig.Union(ends, learnt, b.Config.EOS)
	if id, ok := tok.EOS(); ok {
		ends = generationconfig.Union(ends, []int32{id})
	}
	if template == nil {
		template = b.template(tok)
	}
	if template != nil {
		if id, ok := template.End(); ok {
			ends = generationconfig.Union(ends, []int32{id})
		}
	}
	return ends, nil
}

// generation returns the text of the base's generation_config.json, or nil.
func (b *Base) generation() ([]byte, error) {
	switch {
	case b.Weights != nil:
		return generationconfig.Read(b.Weights.Files())
	case b.Folder != "":
		in, err := checkpoint.Files(b.Folder)
		if err != nil {
			return nil, err
		}
		return generationconfig.Read(in)
	}
	return nil, nil
}

// adapterEnds returns the tokens of the generation_config.json of the adapter's folder.
func (b *Base) adapterEnds() ([]int32, error) {
	if b.Adapter == "" {
		return nil, nil
	}
	text, err := generationconfig.Read(os.DirFS(b.Adapter))
	if err != nil {
		return nil, err
	}
	ends, err := generationconfig.Ends(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(b.Adapter, generationconfig.File), err)
	}
	return ends, nil
}

// template returns the chat template of the adapter's folder or the base's, or nil.
func (b *Base) template(tok *tokenizer.Tokenizer) *chat.Template {
	if b.Folder == "" {
		return nil
	}
	folder, err := chat.Folder(b.Folder, b.Adapter)
	if err != nil {
		return nil
	}
	template, err := chat.Open(folder, "", tok)
	if err != nil { // texts need no template
		return nil
	}
	return template
}

// WithEnds returns files with a generation_config.json that stops generation at the ends
// that examples train on, and at those of the adapter that the run starts from. All else
// in the base's file stays. ends are those of Ends.
func (b *Base) WithEnds(files []File, ends []int32, examples []dataset.Example) ([]File, error) {
	more, err := b.adapterEnds()
	if err != nil {
		return nil, err
	}
	for _, id := range ends {
		if slices.ContainsFunc(examples, func(e dataset.Example) bool { return slices.Contains(e.Labels, id) }) {
			more = append(more, id)
		}
	}
	var text []byte
	at := slices.IndexFunc(files, func(f File) bool { return f.Name == generationconfig.File })
	if at >= 0 {
		text = files[at].Data
	}
	text, err = generationconfig.Extend(text, generationconfig.Model{Config: b.Config.Raw, Ends: b.Config.EOS}, more)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(b.Folder, generationconfig.File), err)
	}
	if text == nil {
		return files, nil
	}
	if at < 0 {
		return append(slices.Clip(files), File{Name: generationconfig.File, Data: text}), nil
	}
	files = slices.Clone(files)
	files[at].Data = text
	return files, nil
}
