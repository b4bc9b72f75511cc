package tokenizer

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Limits on a file of tiktoken or Mistral; real ones stay far below them.
const (
	maxRanks     = 1 << 21
	maxRankBytes = 1 << 10 // of a token
)

// A tiktokenKind is a vocabulary of tiktoken whose file does not hold all of it.
type tiktokenKind struct {
	pattern string
	nfc     bool
	names   map[string]string
	special func(size int32) []addedToken // the tokens after the file's
}

var (
	llama3Kind = tiktokenKind{
		pattern: llama3Pattern,
		names:   map[string]string{"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"},
		special: func(size int32) []addedToken {
			if size != 128000 {
				return nil
			}
			list := numbered(size, "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
				"<|finetune_right_pad_id|>", "<|reserved_special_token_2|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>", "<|python_tag|>")
			for i := 3; i <= 247; i++ {
				list = append(list, numbered(size+int32(len(list)), fmt.Sprintf("<|reserved_special_token_%d|>", i))...)
			}
			return list
		},
	}
	qwenKind = tiktokenKind{
		pattern: qwenPattern, nfc: true,
		names: map[string]string{"eos_token": endOfText, "pad_token": endOfText},
		special: func(size int32) []addedToken {
			list := numbered(size, endOfText, "<|im_start|>", "<|im_end|>")
			for i := range 205 {
				list = append(list, numbered(size+int32(len(list)), fmt.Sprintf("<|extra_%d|>", i))...)
			}
			return list
		},
	}
	cl100kKind = tiktokenKind{
		pattern: llama3Pattern,
		names:   map[string]string{"eos_token": endOfText},
		special: func(int32) []addedToken {
			return append(numbered(100257, endOfText, "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"), numbered(100276, "<|endofprompt|>")...)
		},
	}
	o200kKind = tiktokenKind{
		pattern: o200kPattern,
		names:   map[string]string{"eos_token": endOfText},
		special: func(int32) []addedToken {
			return append(numbered(199999, endOfText), numbered(200018, "<|endofprompt|>")...)
		},
	}
)

// numbered returns special tokens with ids from first on.
func numbered(first int32, names ...string) []addedToken {
	list := make([]addedToken, len(names))
	for i, name := range names {
		list[i] = addedToken{ID: first + int32(i), Content: name, Special: true}
	}
	return list
}

// tiktokenKindOf returns the kind of a file: by its name, or Llama 3 for a tokenizer.model, as
// in transformers.
func tiktokenKindOf(name, class string) *tiktokenKind {
	switch {
	case name == "qwen.tiktoken":
		return &qwenKind
	case name == "cl100k_base.tiktoken":
		return &cl100kKind
	case name == "o200k_base.tiktoken":
		return &o200kKind
	case name == "tokenizer.model" && slices.Contains([]string{"", "LlamaTokenizer", "PreTrainedTokenizer", "TokenizersBackend"}, class):
		return &llama3Kind
	}
	return nil
}

// loadTiktoken reads a file of tiktoken: a line for each token, in base64, with its rank.
func loadTiktoken(dir place, path string, data []byte) (*Tokenizer, *folderSettings, error) {
	var reader Tokenizer
	s, err := reader.readModelSettings(dir)
	if err != nil {
		return nil, nil, err
	}
	kind := tiktokenKindOf(filepath.Base(path), s.class)
	if kind == nil {
		return nil, nil, unsupported(path, "the file does not say how text is cut into words, and it is not Llama 3's, qwen, cl100k_base or o200k_base")
	}
	ranks, err := parseTiktoken(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	f := &byteLevelFile{pattern: kind.pattern, nfc: kind.nfc}
	if err := f.fromRanks(ranks, 0); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(s.added) == 0 {
		f.added = kind.special(int32(len(ranks)))
		names := map[string]string{}
		for key, name := range kind.names {
			if slices.ContainsFunc(f.added, func(a addedToken) bool { return a.Content == name }) {
				names[key] = name
			}
		}
		s.setDefaults(names)
	}
	t, err := f.tokenizer(s)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	t.sum = reader.sum
	return t, s, nil
}

// isTiktoken reports whether a file begins with a line of tiktoken.
func isTiktoken(data []byte) bool {
	line, _, _ := bytes.Cut(data[:min(len(data), 4*maxRankBytes)], []byte("\n"))
	_, _, err := parseRank(string(bytes.TrimSuffix(line, []byte("\r"))))
	return err == nil
}

func parseRank(line string) (string, int32, error) {
	encoded, number, ok := strings.Cut(line, " ")
	token, err := base64.StdEncoding.DecodeString(encoded)
	rank, err2 := strconv.ParseInt(number, 10, 32)
	if !ok || err != nil || err2 != nil || rank < 0 || len(token) == 0 {
		return "", 0, errors.New("it is not a token in base64 and its rank")
	}
	if len(token) > maxRankBytes {
		return "", 0, fmt.Errorf("the token has %d bytes, more than %d", len(token), maxRankBytes)
	}
	return string(token), int32(rank), nil
}

// parseTiktoken returns the ranks by token.
func parseTiktoken(data []byte) (map[string]int32, error) {
	ranks := map[string]int32{}
	used := map[int32]bool{}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			continue
		}
		token, rank, err := parseRank(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if _, ok := ranks[token]; ok || used[rank] {
			return nil, fmt.Errorf("line %d: the token or its rank, %d, is there twice", n, rank)
		}
		if len(ranks) == maxRanks {
			return nil, fmt.Errorf("it has more than %d tokens", maxRanks)
		}
		ranks[token], used[rank] = rank, true
	}
	return ranks, nil
}
