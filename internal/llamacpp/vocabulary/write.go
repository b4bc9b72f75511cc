package vocabulary

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"qlora/tokenizer"
)

// A Model says what the tokenizer belongs to.
type Model struct {
	Architecture string // general.architecture of llama.cpp, such as "starcoder2"
	Rows         int    // of the embedding: ids without a token become unused ones
}

// Of returns the vocabulary of a tokenizer, and notes on what llama.cpp does otherwise. The
// chat template is not part of it. A tokenizer that llama.cpp would cut otherwise is refused.
func Of(t *tokenizer.Tokenizer, m Model) (v *Vocabulary, notes []string, err error) {
	w := &writer{t: t, model: m, v: &Vocabulary{IDs: map[string]uint32{}, Architecture: m.Architecture}}
	if pieces, ok := t.Pieces(); ok {
		err = w.fromPieces(pieces)
	} else {
		err = w.fromJSON()
	}
	if err == nil {
		err = w.pad()
	}
	if err == nil {
		err = w.v.check()
	}
	return w.v, w.notes, err
}

type writer struct {
	t     *tokenizer.Tokenizer
	model Model
	v     *Vocabulary
	notes []string
	file  source
}

func (w *writer) note(format string, args ...any) {
	w.notes = append(w.notes, fmt.Sprintf(format, args...))
}

func (w *writer) fromJSON() error {
	text, err := w.t.JSON()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &w.file); err != nil {
		return err
	}
	w.listTokens()
	w.listSpecials()
	w.setPhi3()
	steps := w.file.PreTokenizer.flat()
	isBytes := slices.ContainsFunc(steps, func(c component) bool { return c.Type == "ByteLevel" })
	switch {
	case w.file.Model.Type == "Unigram":
		return w.unigram()
	case isBytes:
		return w.byteLevel()
	}
	return w.sentencePiece()
}

// listTokens sets the tokens and their kinds.
func (w *writer) listTokens() {
	n := w.t.Size()
	w.v.Tokens, w.v.Types = make([]string, n), make([]Kind, n)
	isAdded := map[string]bool{}
	for _, a := range w.file.Added {
		isAdded[a.Content] = true
	}
	for id := range n {
		name := w.t.Token(int32(id))
		kind := Normal
		switch {
		case name == "":
			kind = Unused
		case w.t.Special(int32(id)) || isAdded[name] && looksSpecial(name):
			kind = Control
		case isAdded[name]:
			kind = UserDefined
			name = spaced(name)
		}
		w.v.Tokens[id], w.v.Types[id] = name, kind
	}
}

// looksSpecial reports whether llama.cpp takes an added token for a control token by its name.
func looksSpecial(name string) bool {
	has := func(before, after string) bool {
		return strings.HasPrefix(name, before) && strings.HasSuffix(name, after)
	}
	return slices.Contains([]string{"<pad>", "<mask>", "<2mass>", "[@BOS@]"}, name) ||
		has("<|", "|>") || has("<｜", "｜>") || has("<unused", ">")
}

// pad fills the rows of the embedding that have no token.
func (w *writer) pad() error {
	if n := len(w.v.Tokens); w.model.Rows > 0 && n > w.model.Rows {
		return fmt.Errorf("the tokenizer has %d tokens, and the embedding %d rows", n, w.model.Rows)
	}
	for id := range w.v.Tokens {
		if w.v.Tokens[id] == "" {
			w.v.Tokens[id], w.v.Types[id] = fmt.Sprintf("[PAD%d]", id), Unused
		}
	}
	for id := len(w.v.Tokens); id < w.model.Rows; id++ {
		w.v.Tokens = append(w.v.Tokens, fmt.Sprintf("[PAD%d]", id))
		w.v.Types = append(w.v.Types, Unused)
		if w.v.Scores != nil {
			w.v.Scores = append(w.v.Scores, unusedScore)
		}
	}
	return nil
}

// unusedScore is llama.cpp's score of rows without a token.
const unusedScore = -10000

// listSpecials sets the ids of the special tokens and what is added around a text.
func (w *writer) listSpecials() {
	for key, name := range w.t.SpecialTokens() {
		i := slices.IndexFunc(specials, func(s special) bool { return s.config == key })
		if id, ok := w.t.ID(name); ok && i >= 0 {
			w.v.IDs[specials[i].name] = uint32(id)
		}
	}
	if id, ok := w.t.EOS(); ok {
		w.v.IDs["eos"] = uint32(id)
	}
	w.v.AddBOS = w.adds("bos", w.t.Prefix(), "before")
	w.v.AddEOS = w.adds("eos", w.t.Suffix(), "after")
}

// adds reports whether the tokens around a text are one that llama.cpp can add, and makes it
// the special token that it adds.
func (w *writer) adds(name string, ids []int32, where string) *bool {
	id, named := w.v.IDs[name]
	on := len(ids) == 1 && (!named || uint32(ids[0]) == id)
	if on {
		w.v.IDs[name] = uint32(ids[0])
	} else if len(ids) > 0 {
		var names []string
		for _, id := range ids {
			names = append(names, w.t.Token(id))
		}
		w.note("llama.cpp will not add %s %s a text; only the chat template has it", strings.Join(names, ""), where)
	}
	return &on
}

// byteLevel writes a byte-level BPE.
func (w *writer) byteLevel() error {
	v := w.v
	v.Model = GPT2Model
	nfc := false
	for _, c := range w.file.Normalizer.flat() {
		if c.Type != "NFC" {
			return fmt.Errorf("its normalizer %s has no counterpart in llama.cpp", &c)
		}
		nfc = true
	}
	rules, err := w.rules(nfc)
	if err != nil {
		return err
	}
	v.Pre = w.nameOf(rules)
	if nfc && !rules.nfc {
		w.note("llama.cpp does not compose characters (NFC): text with combining accents will have other tokens")
	}
	pairs, err := w.file.merges()
	if err != nil {
		return err
	}
	if rules.ignoreMerges != w.file.Model.IgnoreMerges {
		if name, ok := w.unreachable(pairs); ok {
			return fmt.Errorf("ignore_merges is %t, and with llama.cpp's pre-tokenizer %s it is %t, which changes the tokens of %.40q", w.file.Model.IgnoreMerges, v.Pre, rules.ignoreMerges, name)
		}
	}
	v.Merges = make([]string, len(pairs))
	for i, p := range pairs {
		v.Merges[i] = p[0] + " " + p[1]
	}
	return nil
}

// rules returns the rules of the pre-tokenizer; of several, those with the same normalizer and
// the same ignore_merges come first.
func (w *writer) rules(nfc bool) (*ruleSet, error) {
	steps, ok := w.file.steps()
	var best *ruleSet
	score := -1
	for i := range ruleSets {
		r := &ruleSets[i]
		if !ok || !slices.Equal(r.steps, steps) {
			continue
		}
		s := 0
		if r.ignoreMerges == w.file.Model.IgnoreMerges {
			s += 2
		}
		if r.nfc == nfc {
			s++
		}
		if s > score {
			best, score = r, s
		}
	}
	if best == nil {
		var names []string
		for _, c := range w.file.PreTokenizer.flat() {
			names = append(names, c.String())
		}
		return nil, fmt.Errorf("its pre-tokenizer (%s) is none that llama.cpp knows, and llama.cpp would cut text into other words", strings.Join(names, ", "))
	}
	return best, nil
}

// nameOf returns the name of rules: of several, that of the architecture.
func (w *writer) nameOf(r *ruleSet) string {
	for arch, name := range map[string]string{
		"starcoder": "starcoder", "starcoder2": "starcoder", "glm4": "glm4", "chatglm": "chatglm-bpe", "phi2": "phi-2",
		"exaone": "exaone", "exaone4": "exaone4", "mpt": "mpt", "gptneox": "olmo", "hunyuan-dense": "hunyuan-dense",
	} {
		if arch == w.model.Architecture && slices.Contains(r.names, name) {
			return name
		}
	}
	return r.names[0]
}

// unigram writes a Unigram model.
func (w *writer) unigram() error {
	v := w.v
	v.Model, v.Pre = T5Model, "default"
	var pieces [][2]any
	if err := json.Unmarshal(w.file.Model.Vocab, &pieces); err != nil {
		return err
	}
	v.Scores = make([]float32, len(v.Tokens))
	for id := range v.Scores {
		if v.Scores[id] = unusedScore; id < len(pieces) {
			score, _ := pieces[id][1].(float64)
			v.Scores[id] = float32(score)
		}
		if _, ok := byteValue(v.Tokens[id]); ok && w.file.Model.ByteFallback {
			v.Types[id] = Byte
		}
	}
	if id := w.file.Model.UnkID; id != nil && int(*id) < len(v.Types) {
		v.IDs["unk"], v.Types[*id] = *id, Unknown
	}
	remove := false
	for _, c := range w.file.Normalizer.flat() {
		switch {
		case c.Type == "Precompiled":
			table, err := base64.StdEncoding.DecodeString(c.Charsmap)
			if err != nil {
				return fmt.Errorf("precompiled_charsmap: %w", err)
			}
			v.Charsmap = table
		case c.Type == "Strip":
		case c.Type == "Replace" && c.Pattern.Regex != nil && *c.Pattern.Regex == " {2,}" && (c.Content == " " || c.Content == spaceSign):
			remove = true
		default:
			return fmt.Errorf("its normalizer %s has no counterpart in llama.cpp", &c)
		}
	}
	v.RemoveSpaces = &remove
	prefix := true
	for _, c := range w.file.PreTokenizer.flat() {
		switch {
		case c.Type == "WhitespaceSplit":
		case c.Type == "Metaspace" && c.Replacement == spaceSign:
			prefix = c.prepends()
		default:
			return fmt.Errorf("its pre-tokenizer %s has no counterpart in llama.cpp", &c)
		}
	}
	v.AddSpacePrefix = &prefix
	return nil
}

// prepends reports whether a Metaspace puts a space before a text.
func (c *component) prepends() bool {
	return (c.AddPrefixSpace == nil || *c.AddPrefixSpace) && c.PrependScheme != "never"
}

// spaced spells a user-defined token as llama.cpp finds it in the text.
func spaced(name string) string { return strings.ReplaceAll(name, spaceSign, " ") }
