package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qlora/internal/chattemplate"
	"qlora/internal/generationconfig"
	"qlora/internal/gguf"
	"qlora/internal/ollama"
	"qlora/lora/merge"
	"qlora/option"
)

const modelfile = "Modelfile"

// ollamaWork writes a model for Ollama: a folder with a Modelfile and its GGUF files, or
// blobs and a manifest in a store, or both.
type ollamaWork struct {
	opts    Options
	base    *Job
	adapter *Job // with AdapterOnly; nil: merged into base
	model   ollama.Model
	name    ollama.Name
	store   string // where the manifest goes; "": a folder with a Modelfile alone
	notes   []string
}

func newOllama(o Options, product merge.Product) (*ollamaWork, error) {
	w := &ollamaWork{opts: o}
	if o.OutputDir != "" {
		if err := o.checkFolder(); err != nil {
			return nil, err
		}
	}
	if o.OllamaName != "" {
		var err error
		if w.name, err = ollama.ParseName(o.OllamaName); err != nil {
			return nil, err
		}
		if w.store = o.OutputDir; w.store == "" {
			w.store = ollama.FindStore()
		}
		if w.store == "" {
			return nil, option.Errorf("ollama_name", o.OllamaName, "there is no Ollama on this machine: set OLLAMA_MODELS to its folder of models, or give an `output_dir`, which becomes one")
		}
	}
	if err := w.open(product); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *ollamaWork) open(product merge.Product) error {
	base := w.opts
	base.Format, base.AdapterOnly = "gguf", false
	base.OutFile = filepath.Join(w.place(), "model.gguf")
	if w.opts.AdapterOnly {
		base.Adapters, base.Weights = nil, nil
		alone := w.opts
		alone.Format, alone.OutFile, alone.OutType = "gguf", filepath.Join(w.place(), "adapter.gguf"), "auto"
		var err error
		if w.adapter, err = NewJob(alone, product); err != nil {
			return err
		}
	}
	var err error
	if w.base, err = NewJob(base, product); err != nil {
		return err
	}
	return w.describe()
}

// place returns the folder of the output.
func (w *ollamaWork) place() string {
	if w.opts.OutputDir != "" {
		return w.opts.OutputDir
	}
	return w.store
}

// describe sets the template, the parameters and the licence.
func (w *ollamaWork) describe() error {
	files := w.base.view.Files()
	stop, err := w.ends(files)
	if err != nil {
		return err
	}
	made, err := w.template()
	switch {
	case errors.Is(err, chattemplate.ErrNoTemplate):
		w.notes = append(w.notes, "the model has no chat template, so the Modelfile has none either: Ollama gives it the prompt as it is")
	case err != nil:
		w.notes = append(w.notes, fmt.Sprintf("%v; the Modelfile has no TEMPLATE, and Ollama looks for one like it", err))
	case made.NoSystem:
		w.notes = append(w.notes, "the model's chat template has no place for a system message: SYSTEM has no effect in Ollama")
	}
	w.model.Template = made.Text
	for _, text := range made.Stop {
		if !slices.Contains(stop, text) {
			stop = append(stop, text)
		}
	}
	generation, err := generationconfig.Read(files)
	if err != nil {
		return err
	}
	if w.model.Parameters, err = ollama.Parameters(generation, stop); err != nil {
		return fmt.Errorf("%s: %w", w.opts.Model, err)
	}
	w.model.License, err = license(files)
	return err
}

// template translates the chat template of the merged model.
func (w *ollamaWork) template() (ollama.Template, error) {
	_, dir := w.base.view.Tokenizer()
	folder, err := chattemplate.OpenFolder(dir)
	if err == nil && !folder.Has() {
		folder, err = chattemplate.OpenFolder(w.opts.Model)
	}
	if err != nil {
		return ollama.Template{}, err
	}
	chat, err := chattemplate.NewChat(folder, "")
	if err != nil {
		return ollama.Template{}, err
	}
	bos := ""
	if adds, ok := gguf.Of[bool](w.base.metadata, "tokenizer.ggml.add_bos_token"); adds || !ok {
		bos = folder.Tokens["bos_token"]
	}
	if strings.Contains(chat.Source(), "strftime_now") {
		w.notes = append(w.notes, "the model's chat template writes the date, which Ollama's language cannot in its form: TEMPLATE has today's")
	}
	return ollama.Translate(func(messages []ollama.Message, prompt bool) (string, error) {
		var c chattemplate.Conversation
		for _, m := range messages {
			d := chattemplate.NewDict()
			d.Set("role", m.Role)
			d.Set("content", m.Content)
			c.Messages = append(c.Messages, d)
		}
		made, err := chat.Render(&c, prompt)
		return made.Text, err
	}, bos)
}

// ends returns the texts of the tokens that end a reply.
func (w *ollamaWork) ends(files fs.FS) ([]string, error) {
	ids, err := generationconfig.Stops(files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.opts.Model, err)
	}
	tokens, _ := gguf.Of[[]string](w.base.metadata, "tokenizer.ggml.tokens")
	var all []string
	for _, id := range ids {
		if id >= 0 && int(id) < len(tokens) && !slices.Contains(all, tokens[id]) {
			all = append(all, tokens[id])
		}
	}
	return all, nil
}

// license returns the text of the model's licence, if its folder has one.
func license(files fs.FS) (string, error) {
	const most = 1 << 20
	for _, name := range []string{"LICENSE", "LICENSE.txt"} {
		info, err := fs.Stat(files, name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > most {
			continue
		}
		text, err := fs.ReadFile(files, name)
		return strings.ToValidUTF8(string(text), "\uFFFD"), err
	}
	return "", nil
}

// Notes returns those of the GGUF files, too.
func (w *ollamaWork) Notes() []string {
	notes := slices.Concat(w.base.Notes(), w.notes)
	if w.adapter != nil {
		notes = append(w.adapter.Notes(), notes...)
	}
	return notes
}

// Write writes the folder, or the store through a folder that it removes.
func (w *ollamaWork) Write(ctx context.Context, progress func(done, total int64)) error {
	if w.opts.OutputDir != "" {
		return replaceDir(w.opts.OutputDir, func(tmp string) error { return w.write(ctx, tmp, tmp, progress) })
	}
	if err := os.MkdirAll(w.store, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(w.store, ".qlora-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	return w.write(ctx, tmp, w.store, progress)
}

// write writes the GGUF files and the Modelfile into dir, and the model into the store.
func (w *ollamaWork) write(ctx context.Context, dir, store string, progress func(done, total int64)) error {
	w.model.From = filepath.Join(dir, "model.gguf")
	w.base.opts.OutFile = w.model.From
	if w.adapter != nil {
		w.model.Adapter = filepath.Join(dir, "adapter.gguf")
		w.adapter.opts.OutFile = w.model.Adapter
		if err := w.adapter.Write(ctx, nil); err != nil {
			return err
		}
	}
	if err := w.base.Write(ctx, progress); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, modelfile), w.model.Modelfile(), 0o644); err != nil {
		return err
	}
	if w.store == "" {
		return nil
	}
	return w.model.Store(ctx, store, w.name, nil)
}

// Result says how Ollama takes what was written.
func (w *ollamaWork) Result() string {
	switch {
	case w.opts.OutputDir == "":
		return "ollama run " + w.name.String()
	case w.store != "":
		return w.opts.OutputDir
	}
	return filepath.Join(w.opts.OutputDir, modelfile)
}

// Close closes the base and the adapters.
func (w *ollamaWork) Close() error {
	var errs []error
	for _, j := range []*Job{w.base, w.adapter} {
		if j != nil {
			errs = append(errs, j.Close())
		}
	}
	return errors.Join(errs...)
}
