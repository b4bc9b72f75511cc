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
	load    func(dir, path string, data []byte) (*Tokenizer, *folderSettings, error)
}

// sources lists the kinds of files in the order in which they are looked for.
var sources = []source{
	{"tekken.json", loadTekken},
	{"tokenizer.model", loadTokenizerModel},
	{"tokenizer.model.v*", loadTokenizerModel},
	{"*.tiktoken", loadTiktoken},
	{"tiktoken.model", loadTiktoken},
	{"vocab.json", loadBPE},
}

// vocabularyFiles are other files of a tokenizer, which are not read.
var vocabularyFiles = []string{"vocab.txt", "spiece.model", "sentencepiece.bpe.model", "spm.model", "merges.txt"}

// findSource returns the file that defines a folder's tokenizer, and its kind; "" and nil for
// tokenizer.json. An error that is [fs.ErrNotExist] says that there is none.
func findSource(dir string) (string, *source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if slices.Contains(names, "tokenizer.json") {
		return filepath.Join(dir, "tokenizer.json"), nil, nil
	}
	for i := range sources {
		for _, name := range names {
			if ok, _ := filepath.Match(sources[i].pattern, name); ok {
				return filepath.Join(dir, name), &sources[i], nil
			}
		}
	}
	for _, name := range vocabularyFiles {
		if slices.Contains(names, name) {
			return "", nil, unsupported(filepath.Join(dir, name), "it alone is not a tokenizer that is read here")
		}
	}
	return "", nil, fmt.Errorf("%s has no tokenizer: neither tokenizer.json nor tokenizer.model is there: %w", dir, fs.ErrNotExist)
}

// Exists reports whether a folder has a file that defines a tokenizer.
func Exists(dir string) bool {
	_, _, err := findSource(dir)
	return !errors.Is(err, fs.ErrNotExist)
}

// unsupported returns the error for a file that is not read, with the command that converts it.
func unsupported(path, why string) error {
	dir := filepath.Dir(path)
	return fmt.Errorf("%s: %s; write a tokenizer.json with: python -c \"from transformers import AutoTokenizer as A; A.from_pretrained('%s').save_pretrained('%s')\"", path, why, dir, dir)
}

// loadSource reads the file that defines a folder's tokenizer.
func loadSource(dir string) (*Tokenizer, *folderSettings, error) {
	path, s, err := findSource(dir)
	if err != nil {
		return nil, nil, err
	}
	if s == nil {
		t, err := Load(path)
		return t, nil, err
	}
	data, err := readFile(path)
	if err != nil {
		return nil, nil, err
	}
	t, settings, err := s.load(dir, path, data)
	if err != nil {
		return nil, nil, err
	}
	t.path = path
	t.digest(path, data)
	return t, settings, nil
}

// plainClasses are the classes of transformers, and of models that bring their own, that run a
// SentencePiece model with its own ids.
var plainClasses = []string{
	"", "LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "Phi3Tokenizer", "MistralTokenizer", "YiTokenizer",
	"InternLM2Tokenizer", "BaichuanTokenizer", "TokenizersBackend", "PreTrainedTokenizer", "PythonBackend", "SentencePieceBackend",
}

// loadTokenizerModel reads a tokenizer.model: a SentencePiece model, or a file of tiktoken.
func loadTokenizerModel(dir, path string, data []byte) (*Tokenizer, *folderSettings, error) {
	if bytes.HasPrefix(data, []byte("version https://git-lfs")) {
		return nil, nil, fmt.Errorf("%s is a Git LFS pointer, not the file; fetch it with: git lfs pull", path)
	}
	if isTiktoken(data) {
		return loadTiktoken(dir, path, data)
	}
	var reader Tokenizer
	settings, err := reader.readSettings(dir)
	if err != nil {
		return nil, nil, err
	}
	if !slices.Contains(plainClasses, settings.class) {
		return nil, nil, unsupported(path, fmt.Sprintf("the class %s is not supported with this file", settings.class))
	}
	m, err := parseSPM(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s is not a SentencePiece model: %w", path, err)
	}
	if m.modelType == spmWord || m.modelType == spmChar {
		return nil, nil, unsupported(path, "a SentencePiece model of words or characters is not supported")
	}
	settings.setDefaults(m.names(settings.class))
	t, err := newSPM(m, settings)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	t.sum = reader.sum
	return t, settings, nil
}
