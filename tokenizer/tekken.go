package tokenizer

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// maxSpecials bounds the special tokens of a tekken.json; real ones have 1,000.
const maxSpecials = 1 << 16

// A tekkenFile is Mistral's tekken.json.
type tekkenFile struct {
	Config struct {
		Pattern  string `json:"pattern"`
		Size     *int   `json:"default_vocab_size"` // special tokens included
		Specials *int   `json:"default_num_special_tokens"`
	} `json:"config"`
	Vocab []struct {
		Bytes string `json:"token_bytes"` // in base64
	} `json:"vocab"` // by rank
	Special *[]tekkenSpecial `json:"special_tokens"`
}

type tekkenSpecial struct {
	Rank  int    `json:"rank"`
	Token string `json:"token_str"`
}

// oldTekkenSpecials are the special tokens of a file that does not list them.
var oldTekkenSpecials = []string{
	"<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]",
	"[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
}

// loadTekken reads a tekken.json.
func loadTekken(dir place, path string, data []byte) (*Tokenizer, *folderSettings, error) {
	var reader Tokenizer
	s, err := reader.readModelSettings(dir)
	if err != nil {
		return nil, nil, err
	}
	f, err := parseTekken(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	names := map[string]string{}
	for key, name := range map[string]string{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"} {
		if slices.ContainsFunc(f.added, func(a addedToken) bool { return a.Content == name }) {
			names[key] = name
		}
	}
	s.setDefaults(names)
	s.addBOS = !s.noBOS // as mistral_common
	t, err := f.tokenizer(s)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	t.sum = reader.sum
	return t, s, nil
}

// parseTekken returns the tokenizer of a tekken.json. The special tokens have the first ids.
func parseTekken(data []byte) (*byteLevelFile, error) {
	var file tekkenFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	if file.Config.Pattern == "" {
		return nil, errors.New("config.pattern is missing")
	}
	specials, err := file.specials()
	if err != nil {
		return nil, err
	}
	size := len(file.Vocab)
	if file.Config.Size != nil {
		size = *file.Config.Size - len(specials)
	}
	if size < 0 || size > len(file.Vocab) || size > maxRanks {
		return nil, fmt.Errorf("config.default_vocab_size leaves %d tokens of vocab, which has %d", size, len(file.Vocab))
	}
	ranks := make(map[string]int32, size)
	for i, v := range file.Vocab[:size] {
		token, err := base64.StdEncoding.DecodeString(v.Bytes)
		if err != nil || len(token) == 0 || len(token) > maxRankBytes {
			return nil, fmt.Errorf("vocab: entry %d is not a token of 1 to %d bytes in base64", i, maxRankBytes)
		}
		if _, ok := ranks[string(token)]; ok {
			return nil, fmt.Errorf("vocab: entry %d is there twice", i)
		}
		ranks[string(token)] = int32(i)
	}
	f := &byteLevelFile{pattern: file.Config.Pattern, added: specials}
	return f, f.fromRanks(ranks, int32(len(specials)))
}

// specials returns the special tokens, and the fillers up to their declared number.
func (file *tekkenFile) specials() ([]addedToken, error) {
	var names []string
	if file.Special == nil {
		names = slices.Clone(oldTekkenSpecials)
	} else {
		if len(*file.Special) > maxSpecials {
			return nil, fmt.Errorf("special_tokens has %d entries, more than %d", len(*file.Special), maxSpecials)
		}
		seen := make(map[string]bool, len(*file.Special))
		list := slices.SortedFunc(slices.Values(*file.Special), func(a, b tekkenSpecial) int { return cmp.Compare(a.Rank, b.Rank) })
		for i, special := range list {
			if special.Rank != i || special.Token == "" || seen[special.Token] {
				return nil, fmt.Errorf("special_tokens: rank %d is missing, empty or there twice", i)
			}
			seen[special.Token] = true
			names = append(names, special.Token)
		}
	}
	count := len(names)
	if file.Config.Specials != nil {
		count = *file.Config.Specials
	}
	if count < len(names) || count > maxSpecials {
		return nil, fmt.Errorf("config.default_num_special_tokens is %d; special_tokens has %d", count, len(names))
	}
	for i := len(names); i < count; i++ {
		names = append(names, fmt.Sprintf("<SPECIAL_%d>", i))
	}
	return numbered(0, names...), nil
}
