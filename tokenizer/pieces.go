package tokenizer

// Pieces holds the pieces of a SentencePiece model.
type Pieces struct {
	Names  []string // by id
	Scores []float32
	Kinds  []int // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte

	Unigram           bool // else BPE
	SpacePrefix       bool // a text begins with a space
	RemoveExtraSpaces bool // runs of spaces become one
	Charsmap          []byte
}

// Pieces returns the pieces of a tokenizer that was read from a SentencePiece model; false for
// another.
func (t *Tokenizer) Pieces() (*Pieces, bool) {
	if t.pieces == nil {
		return nil, false
	}
	m := t.pieces
	p := &Pieces{Unigram: m.modelType == spmUnigram, SpacePrefix: t.spacePrefix, RemoveExtraSpaces: m.removeExtra, Charsmap: m.charsmap}
	for _, piece := range m.pieces {
		p.Names = append(p.Names, piece.name)
		p.Scores = append(p.Scores, piece.score)
		p.Kinds = append(p.Kinds, piece.kind)
	}
	return p, true
}
