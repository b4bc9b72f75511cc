package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// maxMerges bounds the ways to split the pieces of a SentencePiece model in two.
const maxMerges = 1 << 23

// newSPM returns the tokenizer of a SentencePiece model: normalizer, pieces and decoder. Control
// and unknown symbols are special tokens, found in the text as added tokens are; user-defined
// symbols are pieces that are always whole.
func newSPM(m *spmModel, settings *folderSettings) (*Tokenizer, error) {
	t := &Tokenizer{bos: -1, eos: -1, pad: -1, pieces: m}
	n, err := newSPMNormalizer(m, settings)
	if err != nil {
		return nil, err
	}
	t.spacePrefix = n.prefix
	switch m.modelType {
	case spmUnigram:
		t.model = newSPMUnigram(m)
		t.preTokenizers = []preTokenizer{n.cut(nil)}
	case spmBPE, spmChar:
		b, err := newSPMBPE(m)
		if err != nil {
			return nil, err
		}
		t.model = b
		t.preTokenizers = []preTokenizer{n.cut(b)}
	case spmWord:
		return nil, errors.New("a SentencePiece model of words is not supported; train one of type unigram, bpe or char")
	default:
		return nil, fmt.Errorf("its type %d is unknown", m.modelType)
	}
	t.ids = make(map[string]int32, len(m.pieces))
	var added []addedToken
	for id, p := range m.pieces {
		if _, ok := t.ids[p.name]; !ok || !p.inText() {
			t.ids[p.name] = int32(id)
		}
		if p.kind == spmControl || p.kind == spmUnknown {
			added = append(added, addedToken{ID: int32(id), Content: p.name, Special: true})
		}
	}
	added = settings.tokens(added, t.ids, len(m.pieces))
	if err := t.numberTokens(added); err != nil {
		return nil, err
	}
	t.modelSize = len(m.pieces)
	t.splitAdded(added)
	t.decoders, err = n.decoders(m)
	return t, err
}

// newSPMBPE returns a BPE model in which the pair that makes the piece with the highest score
// merges first. User-defined symbols do not merge; in a model of characters nothing does.
func newSPMBPE(m *spmModel) (*bpe, error) {
	b := &bpe{ids: make(map[string]int32, len(m.pieces)), symbols: map[string]int32{}}
	var normal []int32
	for id, p := range m.pieces {
		switch p.kind {
		case spmNormal:
			b.ids[p.name] = int32(id)
			normal = append(normal, int32(id))
		case spmUserDefined:
			b.symbols[p.name] = int32(id)
		case spmUnknown:
			b.unk = int32(id)
		case spmUnused:
			return nil, fmt.Errorf("piece %d, %q, is an unused one, which bpe does not support", id, p.name)
		}
	}
	b.fuseUnk = true
	if m.byteFallback {
		b.bytes = spmBytes(m)
	}
	slices.SortStableFunc(normal, func(x, y int32) int { return cmp.Compare(m.pieces[y].score, m.pieces[x].score) })
	b.merges = make(map[pair]merge, len(normal))
	rank := int32(-1)
	for i, id := range normal {
		if i == 0 || m.pieces[id].score != m.pieces[normal[i-1]].score {
			rank++
		}
		name := m.pieces[id].name
		if m.modelType == spmChar {
			break
		}
		for at := charLen(name); at < len(name); at += charLen(name[at:]) {
			left, ok := b.ids[name[:at]]
			if !ok {
				continue
			}
			if right, ok := b.ids[name[at:]]; ok {
				b.merges[pair{left, right}] = merge{rank, id}
			}
		}
		if len(b.merges) > maxMerges {
			return nil, fmt.Errorf("its pieces have more than %d merges", maxMerges)
		}
	}
	return b, nil
}

func spmBytes(m *spmModel) *byteTable {
	ids := make(map[string]int32, 256)
	for id, p := range m.pieces {
		if p.kind == spmByte {
			ids[p.name] = int32(id)
		}
	}
	return newByteTable(ids)
}

// newSPMUnigram returns a Unigram model with the scores of the sentencepiece library (0.2.3):
// sums are rounded to 32 bits, and a user-defined symbol beats other spellings.
func newSPMUnigram(m *spmModel) *unigram {
	u := &unigram{ids: make(map[string]int32, len(m.pieces)), unk: -1, single: true}
	u.pieces = make([]scoredPiece, len(m.pieces))
	lowest := float32(math.MaxFloat32)
	for _, p := range m.pieces {
		if p.kind == spmNormal {
			lowest = min(lowest, p.score)
		}
	}
	for id, p := range m.pieces {
		u.pieces[id] = scoredPiece{p.name, float64(p.score)}
		switch p.kind {
		case spmUserDefined:
			u.pieces[id].score = float64(float32(0.1 * float64(len(p.name)-1)))
		case spmUnknown:
			u.unk = int32(id)
		}
		if p.inText() {
			u.ids[p.name] = int32(id)
		}
	}
	u.unkAt = float64(lowest - unknownPenalty)
	u.index()
	if m.byteFallback {
		u.bytes = spmBytes(m)
	}
	return u
}

func newSPMNormalizer(m *spmModel, settings *folderSettings) (*spmNormalizer, error) {
	table, err := newCharsmap(m.charsmap)
	if err == nil && table.longest > maxGrowth {
		err = fmt.Errorf("a replacement has %d bytes", table.longest)
	}
	if err != nil {
		return nil, fmt.Errorf("precompiled_charsmap: %w", err)
	}
	n := &spmNormalizer{charsmap: table, symbols: newAddedSet(), space: " ", removeExtra: m.removeExtra, always: settings.legacy}
	if m.escapeSpaces {
		n.space = spaceSign
	}
	dummy := m.dummyPrefix
	if settings.prefixSpace != nil {
		dummy = *settings.prefixSpace
	}
	n.prefix, n.suffix = dummy && !m.asSuffix, dummy && m.asSuffix
	for id, p := range m.pieces {
		if p.kind == spmUserDefined {
			n.symbols.add(p.name, &addedToken{ID: int32(id), Content: p.name})
		}
	}
	return n, nil
}

// cut returns the pre-tokenizer that normalizes a text and, for BPE, cuts out the user-defined
// symbols and cuts the rest before spaces if the pieces allow it.
func (n *spmNormalizer) cut(b *bpe) preTokenizer {
	if b == nil {
		return func(p piece, yield func(piece)) { yield(n.normalize(p)) }
	}
	words := func(p piece, yield func(piece)) { yield(p) }
	if b.cutsBeforeSpaces() {
		words = cutBeforeSpaces
	}
	return func(p piece, yield func(piece)) {
		n.symbols.split(n.normalize(p), func(q piece, symbol *addedToken) {
			if symbol != nil {
				yield(q)
				return
			}
			words(q, yield)
		})
	}
}

// decoders returns the steps of LlamaTokenizer's decoder, except that spaces are stripped from the
// beginning as the sentencepiece library does.
func (n *spmNormalizer) decoders(m *spmModel) ([]decoder, error) {
	steps := []component{{Type: "Replace", Pattern: &pattern{String: &n.space}, Content: " "}, {Type: "Fuse"}}
	if m.byteFallback {
		steps = slices.Insert(steps, 1, component{Type: "ByteFallback"})
	}
	list, err := newDecoders(&component{Type: "Sequence", Decoders: steps})
	if n.prefix || n.suffix || n.removeExtra {
		list = slices.Insert(list, 0, n.strip)
	}
	return list, err
}

// strip removes the space of the first token, and with removeExtra those of the next ones as
// long as the text is empty.
func (n *spmNormalizer) strip(tokens []string) []string {
	for i, s := range tokens {
		rest := strings.TrimPrefix(s, n.space)
		tokens[i] = rest
		if rest != "" || s != rest && !n.removeExtra {
			break
		}
	}
	return tokens
}

// names returns the tokens that the model names, and the padding token of Gemma.
func (m *spmModel) names(class string) map[string]string {
	names := map[string]string{}
	for key, token := range map[string]struct {
		id   int32
		name string
	}{"bos_token": {m.bos, m.bosPiece}, "eos_token": {m.eos, m.eosPiece}} {
		if token.id >= 0 && int(token.id) < len(m.pieces) && m.pieces[token.id].name == token.name {
			names[key] = token.name
		}
	}
	for _, p := range m.pieces {
		if p.kind == spmUnknown {
			names["unk_token"] = p.name
		}
		if p.name == "<pad>" && class == "GemmaTokenizer" {
			names["pad_token"] = p.name
		}
	}
	return names
}
