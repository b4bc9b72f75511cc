package tokenizer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A byteLevelFile is a byte-level BPE tokenizer that becomes a tokenizer.json.
type byteLevelFile struct {
	vocab        map[string]int32
	merges       [][2]string
	pattern      string // cuts the text into words; "": GPT-2's
	nfc          bool
	prefixSpace  bool
	ignoreMerges bool
	added        []addedToken // the vocabulary's own, with their ids
}

// Patterns that cut a text into words.
const (
	// llama3Pattern is that of Llama 3 and of cl100k_base.
	llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	// qwenPattern is that of Qwen, Qwen 2 and Qwen 3: each digit is a word.
	qwenPattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	// o200kPattern is that of GPT-4o and gpt-oss.
	o200kPattern = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// tokenizer returns the tokenizer of the file with a folder's added tokens.
func (f *byteLevelFile) tokenizer(s *folderSettings) (*Tokenizer, error) {
	text, err := f.json(s)
	if err != nil {
		return nil, err
	}
	t, err := parse(text)
	if err != nil {
		return nil, err
	}
	t.text = text
	return t, nil
}

// json returns the tokenizer.json.
func (f *byteLevelFile) json(s *folderSettings) ([]byte, error) {
	type object = map[string]any
	var words any = object{"type": "ByteLevel", "add_prefix_space": f.prefixSpace, "trim_offsets": true, "use_regex": true}
	if f.pattern != "" {
		words = object{"type": "Sequence", "pretokenizers": []object{
			{"type": "Split", "pattern": object{"Regex": f.pattern}, "behavior": "Isolated", "invert": false},
			{"type": "ByteLevel", "add_prefix_space": f.prefixSpace, "trim_offsets": true, "use_regex": false},
		}}
	}
	var normal any
	if f.nfc {
		normal = object{"type": "NFC"}
	}
	size := int32(-1)
	for _, id := range f.vocab {
		size = max(size, id)
	}
	added := s.tokens(f.added, f.vocab, max(len(f.vocab), int(size)+1))
	slices.SortStableFunc(added, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	return marshal(struct {
		Version       string       `json:"version"`
		Truncation    any          `json:"truncation"`
		Padding       any          `json:"padding"`
		AddedTokens   []addedToken `json:"added_tokens"`
		Normalizer    any          `json:"normalizer"`
		PreTokenizer  any          `json:"pre_tokenizer"`
		PostProcessor any          `json:"post_processor"`
		Decoder       any          `json:"decoder"`
		Model         any          `json:"model"`
	}{
		"1.0", nil, nil, added, normal, words, f.template(s, added),
		object{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
		struct {
			Type         string           `json:"type"`
			Dropout      any              `json:"dropout"`
			Unk          any              `json:"unk_token"`
			Prefix       any              `json:"continuing_subword_prefix"`
			Suffix       any              `json:"end_of_word_suffix"`
			FuseUnk      bool             `json:"fuse_unk"`
			ByteFallback bool             `json:"byte_fallback"`
			IgnoreMerges bool             `json:"ignore_merges"`
			Vocab        map[string]int32 `json:"vocab"`
			Merges       [][2]string      `json:"merges"`
		}{Type: "BPE", IgnoreMerges: f.ignoreMerges, Vocab: f.vocab, Merges: f.merges},
	}, "", "")
}

// template returns the post-processor that adds BOS and EOS as the folder says, or nil.
func (f *byteLevelFile) template(s *folderSettings, added []addedToken) any {
	type object = map[string]any
	specials := object{}
	single := []object{{"Sequence": object{"id": "A", "type_id": 0}}}
	pair := []object{{"Sequence": object{"id": "A", "type_id": 0}}, {"Sequence": object{"id": "B", "type_id": 1}}}
	for _, around := range []struct {
		on   bool
		key  string
		last bool
	}{{s.addBOS, "bos_token", false}, {s.addEOS, "eos_token", true}} {
		name := s.named[around.key]
		i := slices.IndexFunc(added, func(a addedToken) bool { return a.Content == name })
		if !around.on || i < 0 {
			continue
		}
		specials[name] = object{"id": name, "ids": []int32{added[i].ID}, "tokens": []string{name}}
		token := func(kind int) object { return object{"SpecialToken": object{"id": name, "type_id": kind}} }
		if around.last {
			single = append(single, token(0))
			pair = slices.Insert(append(pair, token(1)), len(pair)-1, token(0))
		} else {
			single = slices.Insert(single, 0, token(0))
			pair = []object{token(0), pair[0], token(1), pair[1]}
		}
	}
	if len(specials) == 0 {
		return nil
	}
	return object{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": specials}
}

// fromRanks sets the vocabulary and the merges from tokens in bytes and their ranks: the pair
// that makes the token with the lowest rank merges first. Ids are ranks from base on.
func (f *byteLevelFile) fromRanks(ranks map[string]int32, base int32) error {
	f.ignoreMerges = true
	f.vocab = make(map[string]int32, len(ranks))
	order := slices.SortedFunc(maps.Keys(ranks), func(a, b string) int { return cmp.Compare(ranks[a], ranks[b]) })
	type way struct{ left, right string }
	var ways []way
	for _, token := range order {
		f.vocab[spellBytes(token)] = ranks[token] + base
		ways = ways[:0]
		for at := 1; at < len(token); at++ {
			_, left := ranks[token[:at]]
			_, right := ranks[token[at:]]
			if left && right {
				ways = append(ways, way{token[:at], token[at:]})
			}
		}
		slices.SortFunc(ways, func(a, b way) int {
			return cmp.Or(cmp.Compare(ranks[a.left], ranks[b.left]), cmp.Compare(ranks[a.right], ranks[b.right]))
		})
		for _, w := range ways {
			f.merges = append(f.merges, [2]string{spellBytes(w.left), spellBytes(w.right)})
		}
		if len(f.merges) > maxMerges {
			return fmt.Errorf("its tokens have more than %d merges", maxMerges)
		}
	}
	for b := range 256 {
		if _, ok := ranks[string([]byte{byte(b)})]; !ok {
			return fmt.Errorf("the byte %#02x has no token", b)
		}
	}
	return nil
}

// spellBytes spells bytes in the alphabet.
func spellBytes(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString(alphabet[s[i]])
	}
	return b.String()
}
