package vocabulary

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

type object = map[string]any

// definition holds the parts of a tokenizer.json.
type definition struct {
	added                               []added
	normalizer, words, around, decoders any
	model                               any
}

// An added token is cut out of the text before the model sees it.
type added struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// Files returns the tokenizer's files by name: tokenizer.json, tokenizer_config.json, and
// generation_config.json if several tokens end a text.
func (v *Vocabulary) Files() (map[string][]byte, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	text, err := v.json()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{"tokenizer.json": text}
	if files["tokenizer_config.json"], err = v.config(); err != nil {
		return nil, err
	}
	if ends := v.ends(); len(ends) > 1 {
		files["generation_config.json"], err = marshal(object{"eos_token_id": ends})
	}
	return files, err
}

// ends returns the tokens that end a text or a turn.
func (v *Vocabulary) ends() []uint32 {
	var ends []uint32
	for _, name := range []string{"eos", "eot", "eom"} {
		if id, ok := v.IDs[name]; ok && int(id) < len(v.Tokens) && !slices.Contains(ends, id) {
			ends = append(ends, id)
		}
	}
	return ends
}

// json returns the tokenizer.json.
func (v *Vocabulary) json() ([]byte, error) {
	var d *definition
	var err error
	switch v.Model {
	case GPT2Model:
		d, err = v.byteLevel()
	case LlamaModel, Gemma4Model:
		d, err = v.sentencePiece()
	case T5Model:
		d, err = v.unigram()
	case "":
		err = fmt.Errorf("tokenizer.ggml.model is missing")
	default:
		err = fmt.Errorf("tokenizer.ggml.model is %q; llama, gpt2, t5 and gemma4 are supported", v.Model)
	}
	if err != nil {
		return nil, err
	}
	return marshal(struct {
		Version       string  `json:"version"`
		Truncation    any     `json:"truncation"`
		Padding       any     `json:"padding"`
		AddedTokens   []added `json:"added_tokens"`
		Normalizer    any     `json:"normalizer"`
		PreTokenizer  any     `json:"pre_tokenizer"`
		PostProcessor any     `json:"post_processor"`
		Decoder       any     `json:"decoder"`
		Model         any     `json:"model"`
	}{"1.0", nil, nil, d.added, d.normalizer, d.words, d.around, d.decoders, d.model})
}

// A bpeModel is a BPE model of tokenizer.json.
type bpeModel struct {
	Type         string      `json:"type"`
	Dropout      any         `json:"dropout"`
	Unk          any         `json:"unk_token"`
	Prefix       any         `json:"continuing_subword_prefix"`
	Suffix       any         `json:"end_of_word_suffix"`
	FuseUnk      bool        `json:"fuse_unk"`
	ByteFallback bool        `json:"byte_fallback"`
	IgnoreMerges bool        `json:"ignore_merges"`
	Vocab        ordered     `json:"vocab"`
	Merges       [][2]string `json:"merges"`
}

// ordered is the object of token ids, in the order of the ids.
type ordered struct {
	names []string
	skip  func(id int) bool
}

func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for id, name := range o.names {
		if o.skip(id) {
			continue
		}
		text, err := marshal(name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, ",%s:%d", text, id)
	}
	text := b.Bytes()
	if len(text) == 0 {
		return []byte("{}"), nil
	}
	text[0] = '{'
	return append(text, '}'), nil
}

// byteLevel returns the definition of a byte-level BPE.
func (v *Vocabulary) byteLevel() (*definition, error) {
	rules := rulesOf(v.Pre)
	switch {
	case v.Pre == "":
		rules = rulesOf("default")
	case rules == nil:
		return nil, fmt.Errorf("tokenizer.ggml.pre is %q, whose rules to cut text into words are not known; put the model's tokenizer.json next to the file", v.Pre)
	}
	merges, err := v.pairs()
	if err != nil {
		return nil, err
	}
	d := &definition{words: rules.json(), decoders: object{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}}
	if rules.nfc {
		d.normalizer = object{"type": "NFC"}
	}
	d.added = v.addedTokens()
	d.around = v.around(rules.addBOS, false)
	d.model = bpeModel{Type: "BPE", IgnoreMerges: rules.ignoreMerges, Vocab: ordered{v.Tokens, v.outside}, Merges: merges}
	return d, nil
}

// outside reports whether a token of a byte-level BPE is not one of the model.
func (v *Vocabulary) outside(id int) bool { return v.hole(id) || v.isAdded(id) }

func (v *Vocabulary) isAdded(id int) bool {
	k := v.kind(id)
	return k == Control || k == UserDefined || k == Unknown
}

// pairs returns the merges.
func (v *Vocabulary) pairs() ([][2]string, error) {
	known := make(map[string]bool, len(v.Tokens))
	for _, name := range v.Tokens {
		known[name] = true
	}
	pairs := make([][2]string, 0, len(v.Merges))
	for i, text := range v.Merges {
		// The first token has at least one character, which may be a space.
		at := -1
		if len(text) > 0 {
			at = strings.IndexByte(text[1:], ' ') + 1
		}
		if at < 1 || at+1 >= len(text) {
			return nil, fmt.Errorf("tokenizer.ggml.merges: entry %d, %.40q, is not two tokens with a space between them", i, text)
		}
		left, right := text[:at], text[at+1:]
		for _, name := range []string{left, right, left + right} {
			if !known[name] {
				return nil, fmt.Errorf("tokenizer.ggml.merges: entry %d, %.40q: %.40q is not a token", i, text, name)
			}
		}
		pairs = append(pairs, [2]string{left, right})
	}
	return pairs, nil
}

// addedTokens returns the tokens that are cut out of the text.
func (v *Vocabulary) addedTokens() []added {
	list := []added{}
	for id, name := range v.Tokens {
		if v.isAdded(id) && !v.hole(id) {
			list = append(list, added{ID: id, Content: name, Special: v.kind(id) != UserDefined, RStrip: v.stripsRight(name, id)})
		}
	}
	return list
}

// around returns the post-processor that adds BOS and EOS.
func (v *Vocabulary) around(bosDefault, eosDefault bool) any {
	single := []object{{"Sequence": object{"id": "A", "type_id": 0}}}
	pair := []object{{"Sequence": object{"id": "A", "type_id": 0}}, {"Sequence": object{"id": "B", "type_id": 1}}}
	tokens := object{}
	on := func(flag *bool, otherwise bool) bool { return flag == nil && otherwise || flag != nil && *flag }
	one := func(name string, kind int) object { return object{"SpecialToken": object{"id": name, "type_id": kind}} }
	if name, ok := v.token("bos"); ok && on(v.AddBOS, bosDefault) {
		tokens[name] = object{"id": name, "ids": []uint32{v.IDs["bos"]}, "tokens": []string{name}}
		single = slices.Insert(single, 0, one(name, 0))
		pair = []object{one(name, 0), pair[0], one(name, 1), pair[1]}
	}
	if name, ok := v.token("eos"); ok && on(v.AddEOS, eosDefault) {
		tokens[name] = object{"id": name, "ids": []uint32{v.IDs["eos"]}, "tokens": []string{name}}
		single = append(single, one(name, 0))
		pair = slices.Insert(append(pair, one(name, 1)), len(pair)/2, one(name, 0))
	}
	if len(tokens) == 0 {
		return nil
	}
	return object{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}
}

// config returns the tokenizer_config.json.
func (v *Vocabulary) config() ([]byte, error) {
	config := object{"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false}
	for _, s := range specials {
		if name, ok := v.token(s.name); ok && s.config != "" {
			config[s.config] = name
		}
	}
	if v.AddBOS != nil {
		config["add_bos_token"] = *v.AddBOS
	}
	if v.AddEOS != nil {
		config["add_eos_token"] = *v.AddEOS
	}
	switch {
	case len(v.Templates) > 0:
		var list []object
		if v.Template != "" {
			list = append(list, object{"name": "default", "template": v.Template})
		}
		for _, name := range slices.Sorted(maps.Keys(v.Templates)) {
			list = append(list, object{"name": name, "template": v.Templates[name]})
		}
		config["chat_template"] = list
	case v.Template != "":
		config["chat_template"] = v.Template
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(config)
	return b.Bytes(), err
}

// json returns the pre_tokenizer of tokenizer.json.
func (r *ruleSet) json() any {
	var list []object
	for _, s := range r.steps {
		switch s.kind {
		case "Split":
			list = append(list, object{"type": "Split", "pattern": object{"Regex": s.pattern}, "behavior": "Isolated", "invert": false})
		case "Digits":
			list = append(list, object{"type": "Digits", "individual_digits": s.single})
		case "Punctuation":
			list = append(list, object{"type": "Punctuation", "behavior": "Contiguous"})
		case "ByteLevel":
			list = append(list, object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": s.pattern != ""})
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	return object{"type": "Sequence", "pretokenizers": list}
}

// unigram returns the definition of a Unigram model.
func (v *Vocabulary) unigram() (*definition, error) {
	if v.Scores == nil {
		return nil, fmt.Errorf("tokenizer.ggml.scores is missing")
	}
	d := &definition{added: v.addedTokens(), around: v.around(false, true)}
	var normal []object
	if len(v.Charsmap) > 0 {
		normal = append(normal, object{"type": "Precompiled", "precompiled_charsmap": base64.StdEncoding.EncodeToString(v.Charsmap)})
	}
	if v.RemoveSpaces != nil && *v.RemoveSpaces {
		normal = append(normal,
			object{"type": "Strip", "strip_left": true, "strip_right": true},
			object{"type": "Replace", "pattern": object{"Regex": " {2,}"}, "content": " "})
	}
	if normal != nil {
		d.normalizer = object{"type": "Sequence", "normalizers": normal}
	}
	scheme := "always"
	if v.AddSpacePrefix != nil && !*v.AddSpacePrefix {
		scheme = "never"
	}
	space := object{"type": "Metaspace", "replacement": spaceSign, "prepend_scheme": scheme, "split": true}
	d.words, d.decoders = space, space
	pieces := make([][2]any, len(v.Tokens))
	for id, name := range v.Tokens {
		pieces[id] = [2]any{name, v.Scores[id]}
	}
	var unk any
	bytes := 0
	for id := range v.Tokens {
		switch v.kind(id) {
		case Unknown:
			unk = id
		case Byte:
			bytes++
		}
	}
	if id, ok := v.IDs["unk"]; ok && int(id) < len(v.Tokens) {
		unk = id
	}
	d.model = struct {
		Type  string   `json:"type"`
		Unk   any      `json:"unk_id"`
		Vocab [][2]any `json:"vocab"`
		Bytes bool     `json:"byte_fallback"`
	}{"Unigram", unk, pieces, bytes == 256}
	return d, nil
}

// marshal returns a value in JSON, with < and > as they are.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
