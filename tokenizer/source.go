package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// A source is a kind of file that defines the tokenizer of a folder.
type source struct {
	pattern string // of its name; of several files the first by name is read
	load    func(dir place, path string, data []byte) (*Tokenizer, *folderSettings, error)
}

// sources lists the kinds of files in the order in which they are looked for.
var sources = []source{
	{"tekken.json", loadTekken},
	{"tokenizer.model", loadTokenizerModel},
	{"tokenizer.model.v[123]", loadTokenizerModel},
	{"tokenizer.model.v7*", loadTokenizerModel},
	{"*.tiktoken", loadTiktoken},
	{"tiktoken.model", loadTiktoken},
	{"vocab.json", loadBPE},
}

// convertedFiles are files of a tokenizer that transformers converts with rules of their class.
var convertedFiles = []string{"spiece.model", "sentencepiece.bpe.model", "spm.model", "source.spm"}

// findSource returns the file that defines a folder's tokenizer, and its kind; "" and nil for
// tokenizer.json. An error that is [fs.ErrNotExist] says that there is none.
func findSource(dir place) (string, *source, error) {
	entries, err := dir.entries()
	if err != nil {
		return "", nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if slices.Contains(names, "tokenizer.json") {
		return dir.path("tokenizer.json"), nil, nil
	}
	for i := range sources {
		for _, name := range names {
			if ok, _ := filepath.Match(sources[i].pattern, name); ok {
				return dir.path(name), &sources[i], nil
			}
		}
	}
	for _, name := range convertedFiles {
		if slices.Contains(names, name) {
			return "", nil, unsupported(dir.path(name), "a tokenizer is not read from this file")
		}
	}
	if slices.Contains(names, "vocab.txt") {
		return "", nil, fmt.Errorf("%s: a WordPiece tokenizer is not supported; take a model with BPE or Unigram", dir.path("vocab.txt"))
	}
	return "", nil, missing{dir.name}
}

// missing is the error for a folder without a tokenizer.
type missing struct{ dir string }

func (m missing) Error() string {
	return m.dir + " has no tokenizer; copy tokenizer.json or tokenizer.model of the model into it"
}

func (m missing) Is(target error) bool { return target == fs.ErrNotExist }

// Exists reports whether a folder has a file that defines a tokenizer.
func Exists(dir string) bool { return ExistsIn(os.DirFS(dir)) }

// ExistsIn reports whether one of files defines a tokenizer.
func ExistsIn(files fs.FS) bool {
	_, _, err := findSource(place{files, ""})
	return !errors.Is(err, fs.ErrNotExist)
}

// unsupported returns the error for a file that is not read, with the command that converts it.
func unsupported(path, why string) error {
	return fmt.Errorf("%s: %s; in its folder run: python -c \"from transformers import AutoTokenizer as A; A.from_pretrained('.').save_pretrained('.')\"", path, why)
}

// loadSource reads the file that defines a folder's tokenizer.
func loadSource(dir place) (*Tokenizer, *folderSettings, error) {
	path, s, err := findSource(dir)
	if err != nil {
		return nil, nil, err
	}
	if s == nil {
		t, err := dir.load(path)
		if err != nil {
			return nil, nil, err
		}
		return t.withFolder(dir)
	}
	data, err := dir.read(path)
	if err != nil {
		return nil, nil, err
	}
	t, settings, err := s.load(dir, path, data)
	if err != nil {
		return nil, nil, err
	}
	t.path, t.dir = path, dir
	t.digest(path, data)
	return t, settings, nil
}

// withFolder returns the tokenizer of a tokenizer.json with the tokens that only the files next
// to it list or name, or list with other flags, as transformers adds them.
func (t *Tokenizer) withFolder(dir place) (*Tokenizer, *folderSettings, error) {
	s, err := t.readSettings(dir)
	if err != nil {
		return nil, nil, err
	}
	var more []AddedToken
	known := make(map[string]addedToken, len(t.list))
	for _, a := range t.list {
		known[a.Content] = a
	}
	for _, a := range s.added {
		old, ok := known[a.Content]
		for _, name := range s.named {
			a.Special = a.Special || name == a.Content
		}
		if a.ID = old.ID; ok && (a == old || !s.decoder) {
			continue
		}
		known[a.Content] = a
		more = append(more, AddedToken{a.Content, a.Special, a.Normalized, a.SingleWord, a.LStrip, a.RStrip})
	}
	for _, name := range s.names() {
		if _, ok := known[name]; !ok {
			known[name] = addedToken{}
			more = append(more, AddedToken{Content: name, Special: true})
		}
	}
	if more == nil {
		return t, s, nil
	}
	n, err := t.Add(more)
	if err != nil {
		return nil, nil, err
	}
	n.added = nil // the folder's files have them
	return n, s, nil
}

// plainClasses are the classes of transformers, and of models that bring their own, that run a
// SentencePiece model with its own ids.
var plainClasses = []string{
	"", "LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "Phi3Tokenizer", "MistralTokenizer", "YiTokenizer",
	"InternLM2Tokenizer", "BaichuanTokenizer", "TokenizersBackend", "PreTrainedTokenizer", "PythonBackend", "SentencePieceBackend",
}

// loadTokenizerModel reads a tokenizer.model: a SentencePiece model, or a file of tiktoken.
func loadTokenizerModel(dir place, path string, data []byte) (*Tokenizer, *folderSettings, error) {
	if bytes.HasPrefix(data, []byte("version https://git-lfs")) {
		return nil, nil, fmt.Errorf("%s is a Git LFS pointer, not the file; fetch it with: git lfs pull", path)
	}
	if isTiktoken(data) {
		return loadTiktoken(dir, path, data)
	}
	var reader Tokenizer
	settings, err := reader.readModelSettings(dir)
	if err != nil {
		return nil, nil, err
	}
	if !slices.Contains(plainClasses, settings.class) {
		return nil, nil, unsupported(path, fmt.Sprintf("the class %s is not supported with this file", settings.class))
	}
	m, err := parseSPM(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s is neither a SentencePiece model nor a file of tiktoken: %w", path, err)
	}
	settings.setDefaults(m.names(settings.class))
	build := func(more []addedToken) (*Tokenizer, error) {
		s := *settings
		s.added = slices.Concat(s.added, more)
		t, err := newSPM(m, &s)
		if err == nil {
			s.name(t)
			s.surround(t)
		}
		return t, err
	}
	t, err := build(nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	t.withAdded, t.sum = build, reader.sum
	return t, settings, nil
}
