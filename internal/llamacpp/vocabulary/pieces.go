package vocabulary

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// sentencePiece returns the definition of a BPE with bytes for unknown characters: of model
// llama with merges made from the scores, of gemma4 with the file's.
func (v *Vocabulary) sentencePiece() (*definition, error) {
	names, list := v.pieceNames()
	d := &definition{added: list}
	prefix := v.Model == LlamaModel
	if v.AddSpacePrefix != nil {
		prefix = *v.AddSpacePrefix
	}
	replace := object{"type": "Replace", "pattern": object{"String": " "}, "content": spaceSign}
	d.normalizer = replace
	decoders := []object{{"type": "Replace", "pattern": object{"String": spaceSign}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}}
	if prefix {
		d.normalizer = object{"type": "Sequence", "normalizers": []object{{"type": "Prepend", "prepend": spaceSign}, replace}}
		decoders = append(decoders, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	d.decoders = object{"type": "Sequence", "decoders": decoders}
	var merges [][2]string
	var err error
	if v.Model == Gemma4Model {
		merges, err = v.pairs()
		// llama.cpp cuts the text at runs of newlines.
		d.words = object{"type": "Split", "pattern": object{"Regex": "\n+"}, "behavior": "Isolated", "invert": false}
	} else {
		merges, err = v.mergesOfScores(names)
	}
	if err != nil {
		return nil, err
	}
	d.around = v.around(true, false)
	unk, fallback := any(nil), 0
	for id := range v.Tokens {
		switch v.kind(id) {
		case Unknown:
			unk = names[id]
		case Byte:
			fallback++
		}
	}
	if name, ok := v.token("unk"); ok {
		unk = name
	}
	d.model = bpeModel{Type: "BPE", Unk: unk, FuseUnk: true, ByteFallback: fallback > 0, Vocab: ordered{names, v.hole}, Merges: merges}
	return d, nil
}

// pieceNames returns the tokens with U+2581 for spaces, and the tokens that are cut out of the
// text. A user-defined token is found in the normalized text: GGUF has spaces in it where the
// vocabulary has U+2581.
func (v *Vocabulary) pieceNames() ([]string, []added) {
	names := slices.Clone(v.Tokens)
	taken := make(map[string]bool, len(names))
	for _, name := range names {
		taken[name] = true
	}
	list := []added{}
	for id, name := range v.Tokens {
		if !v.isAdded(id) || v.hole(id) {
			continue
		}
		a := added{ID: id, Content: name, Special: v.kind(id) != UserDefined, RStrip: v.stripsRight(name, id)}
		if spelled := strings.ReplaceAll(name, " ", spaceSign); !a.Special && spelled != name && !taken[spelled] {
			names[id], a.Content, a.Normalized = spelled, spelled, true
		}
		list = append(list, a)
	}
	return names, list
}

// mergesOfScores returns the merges that make the pieces: the piece with the highest score
// first. Each way to split a piece in two pieces is a merge.
func (v *Vocabulary) mergesOfScores(names []string) ([][2]string, error) {
	if v.Scores == nil {
		return nil, fmt.Errorf("tokenizer.ggml.scores is missing")
	}
	ids := make(map[string]int, len(names))
	var order []int
	for id, name := range names {
		if k := v.kind(id); k == Normal {
			ids[name] = id
			order = append(order, id)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(v.Scores[b], v.Scores[a]) })
	merges := [][2]string{}
	for _, id := range order {
		name := names[id]
		first := len(merges)
		for at := range name {
			if at == 0 || !utf8.RuneStart(name[at]) {
				continue
			}
			left, right := name[:at], name[at:]
			if _, ok := ids[left]; !ok {
				continue
			}
			if _, ok := ids[right]; ok {
				merges = append(merges, [2]string{left, right})
			}
		}
		slices.SortStableFunc(merges[first:], func(a, b [2]string) int {
			return cmp.Or(cmp.Compare(ids[a[0]], ids[b[0]]), cmp.Compare(ids[a[1]], ids[b[1]]))
		})
		if len(merges) > maxMerges {
			return nil, fmt.Errorf("tokenizer.ggml.tokens: its pieces have more than %d merges", maxMerges)
		}
	}
	return merges, nil
}
