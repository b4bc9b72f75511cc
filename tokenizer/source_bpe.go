package tokenizer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// endOfText is the special token of GPT-2 and its relatives.
const endOfText = "<|endoftext|>"

// A bpeClass is a class of transformers that runs a vocab.json and a merges.txt.
type bpeClass struct {
	name    string
	pattern string // "": GPT-2's
	nfc     bool
	names   map[string]string // tokens that no file names
	types   []string          // values of model_type in config.json whose class it is
}

var bpeClasses = []bpeClass{
	{
		name:  "GPT2Tokenizer",
		names: map[string]string{"bos_token": endOfText, "eos_token": endOfText, "unk_token": endOfText},
		types: []string{"gpt2", "gpt_neo", "gptj", "opt", "phi", "starcoder2"},
	},
	{
		name:  "CodeGenTokenizer",
		names: map[string]string{"bos_token": endOfText, "eos_token": endOfText, "unk_token": endOfText},
	},
	{
		name: "GPTNeoXTokenizer", nfc: true,
		names: map[string]string{"bos_token": endOfText, "eos_token": endOfText, "unk_token": endOfText, "pad_token": "<|padding|>"},
		types: []string{"gpt_neox", "mpt", "olmo"},
	},
	{
		name: "Qwen2Tokenizer", pattern: qwenPattern, nfc: true,
		names: map[string]string{"eos_token": endOfText, "unk_token": endOfText, "pad_token": endOfText},
		types: []string{"qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen3", "qwen3_moe", "qwen3_vl"},
	},
}

// jsonOnlyTypes are values of model_type for which transformers (5) ignores the class and reads
// tokenizer.json only.
var jsonOnlyTypes = []string{
	"ernie4_5", "glm", "glm4", "gpt_bigcode", "granite", "granitemoe", "hyperclovax", "internlm2", "ministral", "ministral3",
	"mistral", "mistral3", "mixtral", "nemotron", "olmo2", "olmo3", "phi3", "stablelm",
}

// bpeClassOf returns the class that AutoTokenizer of transformers (5.23) picks, or nil.
func (s *folderSettings) bpeClassOf() *bpeClass {
	byType := slices.IndexFunc(bpeClasses, func(c bpeClass) bool { return slices.Contains(c.types, s.modelType) })
	byName := slices.IndexFunc(bpeClasses, func(c bpeClass) bool { return c.name == s.class })
	switch {
	case slices.Contains(jsonOnlyTypes, s.modelType):
		return nil
	case byType >= 0 && (s.class == "" || s.modelType == "qwen2"):
		return &bpeClasses[byType]
	case byName >= 0:
		return &bpeClasses[byName]
	}
	return nil
}

// loadBPE reads a vocab.json and the merges.txt next to it.
func loadBPE(dir place, path string, data []byte) (*Tokenizer, *folderSettings, error) {
	var reader Tokenizer
	s, err := reader.readModelSettings(dir)
	if err != nil {
		return nil, nil, err
	}
	class := s.bpeClassOf()
	if class == nil {
		return nil, nil, fmt.Errorf("%s: model_type %q with tokenizer_class %q does not say how text is cut into words; copy the model's tokenizer.json into the folder", path, s.modelType, s.class)
	}
	f := &byteLevelFile{pattern: class.pattern, nfc: class.nfc, prefixSpace: s.prefixSpace != nil && *s.prefixSpace}
	if f.vocab, err = readBPEVocab(data); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	merges := dir.path("merges.txt")
	text, err := dir.read(merges)
	if err != nil {
		return nil, nil, err
	}
	reader.digest(merges, text)
	if f.merges, err = readMergesText(text); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", merges, err)
	}
	s.setDefaults(class.names)
	t, err := f.tokenizer(s)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	t.sum = reader.sum
	return t, s, nil
}

// readMergesText reads a merges.txt: a line for each pair of tokens, after a comment with the
// version.
func readMergesText(text []byte) ([][2]string, error) {
	var pairs [][2]string
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#version") {
			continue
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return nil, fmt.Errorf("line %d, %.40q, is not two tokens with a space between them", n, line)
		}
		pairs = append(pairs, [2]string{left, right})
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, errors.New("a line has more than 64 KiB")
	}
	return pairs, lines.Err()
}
