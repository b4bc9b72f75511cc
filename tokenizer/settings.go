package tokenizer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// folderSettings holds what the files beside a vocabulary say of the tokenizer: tokens, and the
// class that runs it in transformers.
type folderSettings struct {
	class     string // without "Fast" at its end; "": the files name none
	modelType string // of config.json
	added     []addedToken

	addBOS, addEOS bool
	legacy         bool
	prefixSpace    *bool

	names defaultNames
}

// defaultNames are the tokens that a vocabulary or a class names where no file does.
type defaultNames struct{ bos, eos string }

// readSettings reads the files of a folder without tokenizer.json. Where tokenizer_config.json
// lists the added tokens, special_tokens_map.json and added_tokens.json are not asked for them.
func (t *Tokenizer) readSettings(dir string) (*folderSettings, error) {
	var config struct {
		Class          string                 `json:"tokenizer_class"`
		AddBOS         bool                   `json:"add_bos_token"`
		AddEOS         bool                   `json:"add_eos_token"`
		Legacy         bool                   `json:"legacy"`
		AddPrefixSpace *bool                  `json:"add_prefix_space"`
		Decoder        map[string]*addedToken `json:"added_tokens_decoder"`
		specialTokens
	}
	if err := t.readJSON(filepath.Join(dir, "tokenizer_config.json"), &config); err != nil {
		return nil, err
	}
	var model struct {
		Class     string `json:"tokenizer_class"`
		ModelType string `json:"model_type"`
	}
	if err := t.readJSON(filepath.Join(dir, "config.json"), &model); err != nil {
		return nil, err
	}
	s := &folderSettings{
		class: strings.TrimSuffix(cmp.Or(config.Class, model.Class), "Fast"), modelType: model.ModelType,
		addBOS: config.AddBOS, addEOS: config.AddEOS, legacy: config.Legacy, prefixSpace: config.AddPrefixSpace,
	}
	special := config.names()
	if config.Decoder != nil {
		for key, a := range config.Decoder {
			id, err := strconv.ParseInt(key, 10, 32)
			if err != nil || id < 0 || a == nil || a.Content == "" {
				return nil, fmt.Errorf("%s: added_tokens_decoder: entry %q is not a token", filepath.Join(dir, "tokenizer_config.json"), key)
			}
			a.ID = int32(id)
			s.added = append(s.added, *a)
		}
	} else {
		var named specialTokens
		if err := t.readJSON(filepath.Join(dir, "special_tokens_map.json"), &named); err != nil {
			return nil, err
		}
		special = append(special, named.names()...)
		var table map[string]int32
		if err := t.readJSON(filepath.Join(dir, "added_tokens.json"), &table); err != nil {
			return nil, err
		}
		for content, id := range table {
			is := slices.Contains(special, content)
			s.added = append(s.added, addedToken{ID: id, Content: content, Special: is, Normalized: !is})
		}
	}
	for _, name := range special {
		if !slices.ContainsFunc(s.added, func(a addedToken) bool { return a.Content == name }) {
			s.added = append(s.added, addedToken{ID: -1, Content: name, Special: true})
		}
	}
	slices.SortFunc(s.added, func(a, b addedToken) int {
		return cmp.Or(cmp.Compare(uint32(a.ID), uint32(b.ID)), cmp.Compare(a.Content, b.Content))
	})
	return s, nil
}

// specialTokens are the tokens that tokenizer_config.json or special_tokens_map.json names.
type specialTokens struct {
	BOS        namedToken      `json:"bos_token"`
	EOS        namedToken      `json:"eos_token"`
	PAD        namedToken      `json:"pad_token"`
	UNK        namedToken      `json:"unk_token"`
	SEP        namedToken      `json:"sep_token"`
	CLS        namedToken      `json:"cls_token"`
	Mask       namedToken      `json:"mask_token"`
	Additional json.RawMessage `json:"additional_special_tokens"`
	Extra      json.RawMessage `json:"extra_special_tokens"`
}

func (s *specialTokens) names() []string {
	var names []string
	add := func(more ...namedToken) {
		for _, name := range more {
			if name != "" && !slices.Contains(names, string(name)) {
				names = append(names, string(name))
			}
		}
	}
	add(s.BOS, s.EOS, s.UNK, s.SEP, s.PAD, s.CLS, s.Mask)
	for _, raw := range []json.RawMessage{s.Additional, s.Extra} {
		var list []namedToken
		var byName map[string]namedToken
		if json.Unmarshal(raw, &list) == nil {
			add(list...)
		} else if json.Unmarshal(raw, &byName) == nil {
			for _, name := range byName {
				add(name)
			}
		}
	}
	return names
}

// merge returns a vocabulary's own special tokens and the added ones, which override them. A
// token that only its name is known of is one of the vocabulary, or is left to readNamed to
// refuse.
func (s *folderSettings) merge(own []addedToken, ids map[string]int32) []addedToken {
	added := slices.Clone(own)
	for _, a := range s.added {
		if id, ok := ids[a.Content]; ok {
			a.ID = id
		}
		if a.ID < 0 {
			continue
		}
		if i := slices.IndexFunc(added, func(o addedToken) bool { return o.Content == a.Content }); i >= 0 {
			added[i] = a
			continue
		}
		added = append(added, a)
	}
	return added
}
