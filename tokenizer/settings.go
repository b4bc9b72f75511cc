package tokenizer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// folderSettings holds what the files beside a vocabulary say of the tokenizer: its tokens, and
// the class that runs it in transformers.
type folderSettings struct {
	class     string // without "Fast" at its end; "": the files name none
	modelType string // of config.json
	added     []addedToken
	named     map[string]string // by key, such as "eos_token"; "": null
	special   []string          // additional_special_tokens
	decoder   bool              // tokenizer_config.json lists the added tokens

	addBOS, addEOS bool
	noBOS          bool // add_bos_token is false, not absent
	legacy         bool
	prefixSpace    *bool
}

// namedKeys are the keys of single special tokens, in the order in which new ones get ids.
var namedKeys = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

// readSettings reads the files next to a vocabulary. Where tokenizer_config.json lists the added
// tokens, special_tokens_map.json and added_tokens.json are not read.
func (t *Tokenizer) readSettings(dir place) (*folderSettings, error) {
	var config struct {
		Class       string                 `json:"tokenizer_class"`
		AddBOS      *bool                  `json:"add_bos_token"`
		AddEOS      bool                   `json:"add_eos_token"`
		Legacy      bool                   `json:"legacy"`
		PrefixSpace *bool                  `json:"add_prefix_space"`
		Decoder     map[string]*addedToken `json:"added_tokens_decoder"`
	}
	var raw, more map[string]json.RawMessage
	path := dir.path("tokenizer_config.json")
	if err := t.readJSON(dir, path, &raw); err != nil {
		return nil, err
	}
	if err := t.readJSON(dir, path, &config); err != nil {
		return nil, err
	}
	s := &folderSettings{
		class: strings.TrimSuffix(config.Class, "Fast"), named: map[string]string{},
		addBOS: config.AddBOS != nil && *config.AddBOS, noBOS: config.AddBOS != nil && !*config.AddBOS, addEOS: config.AddEOS, legacy: config.Legacy, prefixSpace: config.PrefixSpace,
	}
	if err := s.readNames(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.decoder = config.Decoder != nil; s.decoder {
		for key, a := range config.Decoder {
			id, err := strconv.ParseInt(key, 10, 32)
			if err != nil || id < 0 || a == nil || a.Content == "" {
				return nil, fmt.Errorf("%s: added_tokens_decoder: entry %q is not a token", path, key)
			}
			a.ID = int32(id)
			s.added = append(s.added, *a)
		}
		s.sortAdded()
		return s, nil
	}
	path = dir.path("special_tokens_map.json")
	if err := t.readJSON(dir, path, &more); err != nil {
		return nil, err
	}
	if err := s.readNames(more); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, s.readTable(t, dir, dir.path("added_tokens.json"))
}

// readModelSettings also reads the model's type from config.json, and its class if
// tokenizer_config.json has none.
func (t *Tokenizer) readModelSettings(dir place) (*folderSettings, error) {
	s, err := t.readSettings(dir)
	if err != nil {
		return nil, err
	}
	var model struct {
		Class     string `json:"tokenizer_class"`
		ModelType string `json:"model_type"`
	}
	if err := t.readJSON(dir, dir.path("config.json"), &model); err != nil {
		return nil, err
	}
	s.class, s.modelType = cmp.Or(s.class, strings.TrimSuffix(model.Class, "Fast")), model.ModelType
	return s, nil
}

// readTable reads an added_tokens.json: the ids by token.
func (s *folderSettings) readTable(t *Tokenizer, dir place, path string) error {
	var table map[string]int32
	if err := t.readJSON(dir, path, &table); err != nil {
		return err
	}
	for content, id := range table {
		if content == "" || id < 0 {
			return fmt.Errorf("%s: %q has the id %d", path, content, id)
		}
		special := slices.Contains(s.special, content)
		for _, name := range s.named {
			special = special || name == content
		}
		s.added = append(s.added, addedToken{ID: id, Content: content, Special: special, Normalized: !special})
	}
	s.sortAdded()
	return nil
}

func (s *folderSettings) sortAdded() {
	slices.SortFunc(s.added, func(a, b addedToken) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Content, b.Content))
	})
}

// readNames reads the special tokens that tokenizer_config.json or special_tokens_map.json
// names.
func (s *folderSettings) readNames(raw map[string]json.RawMessage) error {
	for _, key := range namedKeys {
		value, ok := raw[key]
		if !ok {
			continue
		}
		var name namedToken
		if err := json.Unmarshal(value, &name); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		s.named[key] = string(name)
	}
	for _, key := range []string{"additional_special_tokens", "extra_special_tokens"} {
		var list []namedToken
		var byName map[string]namedToken
		if json.Unmarshal(raw[key], &list) == nil {
			for _, name := range list {
				s.special = append(s.special, string(name))
			}
		} else if json.Unmarshal(raw[key], &byName) == nil {
			for _, name := range byName {
				s.special = append(s.special, string(name))
			}
			slices.Sort(s.special)
		}
	}
	return nil
}

// setDefaults names the tokens of a class for the keys that no file has.
func (s *folderSettings) setDefaults(names map[string]string) {
	for key, name := range names {
		if _, ok := s.named[key]; !ok {
			s.named[key] = name
		}
	}
}

// tokens returns the added tokens: a vocabulary's own, and those of the files, which override
// them. A token that only has a name gets the next id.
func (s *folderSettings) tokens(own []addedToken, ids map[string]int32, size int) []addedToken {
	added := slices.Clone(own)
	at := make(map[string]int, len(added))
	next := int32(size)
	put := func(a addedToken) {
		i, ok := at[a.Content]
		if !ok {
			i = len(added)
			added = append(added, a)
			at[a.Content] = i
		}
		added[i] = a
		next = max(next, a.ID+1)
	}
	for i, a := range own {
		at[a.Content] = i
		next = max(next, a.ID+1)
	}
	for _, a := range s.added {
		if id, ok := ids[a.Content]; ok {
			a.ID = id
		}
		put(a)
	}
	for _, content := range s.names() {
		if _, ok := at[content]; ok {
			continue
		}
		id, ok := ids[content]
		if !ok {
			id = next
		}
		put(addedToken{ID: id, Content: content, Special: true})
	}
	return added
}

// names returns the special tokens that are named.
func (s *folderSettings) names() []string {
	var names []string
	for _, key := range namedKeys {
		if name := s.named[key]; name != "" {
			names = append(names, name)
		}
	}
	for _, name := range s.special {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// name sets the named tokens.
func (s *folderSettings) name(t *Tokenizer) {
	t.names = s.named
	for key, name := range s.named {
		id, ok := t.ids[name]
		if !ok || name == "" {
			continue
		}
		t.special[id] = true
		switch key {
		case "bos_token":
			t.bos = id
		case "eos_token":
			t.eos = id
		case "pad_token":
			t.pad = id
		}
	}
}

// surround sets the tokens around a text, after name.
func (s *folderSettings) surround(t *Tokenizer) {
	if s.addBOS && t.bos >= 0 {
		t.post.prefix = []int32{t.bos}
	}
	if s.addEOS && t.eos >= 0 {
		t.post.suffix = []int32{t.eos}
	}
}
