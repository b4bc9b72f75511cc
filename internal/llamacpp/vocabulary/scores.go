package vocabulary

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"qlora/tokenizer"
)

// sentencePiece writes a BPE with bytes for unknown characters. llama.cpp merges by the scores
// of the pieces: the scores are made from the order of the merges.
func (w *writer) sentencePiece() error {
	v := w.v
	v.Model, v.Pre = LlamaModel, "default"
	if !w.file.Model.ByteFallback {
		return fmt.Errorf("its model %s has no byte_fallback, and llama.cpp spells unknown characters in bytes", w.file.Model.Type)
	}
	prefix := false
	for _, c := range w.file.Normalizer.flat() {
		switch {
		case c.Type == "Prepend" && c.Prepend == spaceSign:
			prefix = true
		case c.isReplace():
		default:
			return fmt.Errorf("its normalizer %s has no counterpart in llama.cpp", &c)
		}
	}
	newlines := false
	for _, c := range w.file.PreTokenizer.flat() {
		switch {
		case c.Type == "Metaspace" && c.Replacement == spaceSign:
			if prefix = c.prepends(); prefix && c.PrependScheme == "first" {
				w.note("llama.cpp puts a space before text that follows a special token, which this tokenizer does not")
			}
		case c.Type == "Split" && c.Pattern.String != nil && *c.Pattern.String == " ": // the normalizer left no space
		case c.Type == "Split" && c.Pattern.Regex != nil && (*c.Pattern.Regex == "\n+" || *c.Pattern.Regex == `\n+`) && c.Behavior == "Isolated":
			newlines = true
		default:
			return fmt.Errorf("its pre-tokenizer %s has no counterpart in llama.cpp", &c)
		}
	}
	v.AddSpacePrefix = &prefix
	pairs, err := w.file.merges()
	if err != nil {
		return err
	}
	w.markBytes()
	if newlines {
		v.Model, v.Pre = Gemma4Model, ""
		for _, p := range pairs {
			v.Merges = append(v.Merges, p[0]+" "+p[1])
		}
		return nil
	}
	return w.scoresOfMerges(pairs)
}

// markBytes sets the kinds of the byte tokens and of the unknown one.
func (w *writer) markBytes() {
	for id, name := range w.v.Tokens {
		if _, ok := byteValue(name); ok {
			w.v.Types[id] = Byte
		}
	}
	if unk := w.file.Model.Unk; unk != nil {
		if id, ok := w.t.ID(*unk); ok {
			w.v.Types[id], w.v.IDs["unk"] = Unknown, uint32(id)
		}
	}
}

func byteValue(name string) (byte, bool) {
	if len(name) != 6 || name[:3] != "<0x" || name[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(name[3:5], 16, 8)
	return byte(b), err == nil
}

// scoresOfMerges sets the score of each piece to minus its place in the order of the merges. It
// returns an error if scores cannot say what the merges do: if those of one piece are not
// neighbours in the list, or if a piece has a split that is no merge.
func (w *writer) scoresOfMerges(pairs [][2]string) error {
	v := w.v
	ids := make(map[string]int, len(v.Tokens))
	for id, name := range v.Tokens {
		if v.Types[id] == Normal {
			ids[name] = id
		}
	}
	v.Scores = make([]float32, len(v.Tokens))
	ways := make(map[string]int, len(pairs)) // of making a piece
	next := 0
	last := ""
	for _, p := range pairs {
		made := p[0] + p[1]
		id, ok := ids[made]
		_, left := ids[p[0]]
		if _, right := ids[p[1]]; !ok || !left || !right {
			continue // of an added token, which is cut out of the text before
		}
		if made != last {
			if ways[made] > 0 {
				return fmt.Errorf("the merges of %.40q are not in one place of the list, which llama.cpp's scores cannot express", made)
			}
			v.Scores[id] = float32(-next)
			next++
			last = made
		}
		ways[made]++
	}
	for id, name := range v.Tokens {
		switch v.Types[id] {
		case Normal:
			if ways[name] == 0 {
				v.Scores[id] = float32(-next)
				next++
			}
			if n := splits(name, ids); n != ways[name] {
				return fmt.Errorf("%.40q has %d merges and %d ways to be made of two tokens, and llama.cpp takes any", name, ways[name], n)
			}
		case Control, UserDefined:
			v.Scores[id] = addedScore
		case Unused:
			v.Scores[id] = unusedScore
		}
	}
	return nil
}

// addedScore is llama.cpp's score of added tokens.
const addedScore = -1000

// splits returns the number of ways to make a piece of two others.
func splits(name string, ids map[string]int) int {
	n := 0
	for at := range name {
		if at == 0 || !utf8.RuneStart(name[at]) {
			continue
		}
		if _, ok := ids[name[:at]]; ok {
			if _, ok := ids[name[at:]]; ok {
				n++
			}
		}
	}
	return n
}

// fromPieces writes a SentencePiece model.
func (w *writer) fromPieces(p *tokenizer.Pieces) error {
	v := w.v
	w.listTokens()
	w.listSpecials()
	v.Scores = make([]float32, len(v.Tokens))
	for id, name := range v.Tokens {
		v.Scores[id] = addedScore
		kind := UserDefined
		if id < len(p.Names) {
			name, kind = p.Names[id], Kind(p.Kinds[id])
			v.Scores[id] = p.Scores[id]
		}
		if v.Types[id] == Control && (kind == Normal || kind == UserDefined) || kind == UserDefined && looksSpecial(name) {
			kind, v.Scores[id] = Control, addedScore
		}
		if kind == UserDefined {
			name = spaced(name)
		}
		v.Tokens[id], v.Types[id] = name, kind
	}
	v.Pre = "default"
	v.AddSpacePrefix = &p.SpacePrefix
	if p.Unigram {
		v.Model, v.Charsmap, v.RemoveSpaces = T5Model, p.Charsmap, &p.RemoveExtraSpaces
		return nil
	}
	v.Model = LlamaModel
	if len(p.Charsmap) > 0 {
		w.note("llama.cpp does not normalize characters as the SentencePiece model does")
	}
	if p.RemoveExtraSpaces {
		w.note("llama.cpp keeps runs of spaces, which the SentencePiece model makes one")
	}
	return nil
}
