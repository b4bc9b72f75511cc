package cpu

import (
	"qlora/bindings"
	"qlora/bindings/cpu/vector"
)

// scores transforms one head's Scale·Q·Kᵀ.
type scores struct {
	limit float32   // Cap; 0: none
	bias  []float32 // by key position; nil: none
	sink  bool
	drops bool
	draw  vector.Dropout
}

func scoresOf(op *bindings.Attend, head int) scores {
	s := scores{limit: op.Cap, sink: !op.Sinks.Absent(), drops: op.Random.Train && op.Dropout > 0}
	if !op.KeyBias.Absent() {
		n := op.KeyBias.Cols
		s.bias = f32(op.KeyBias)[head*n : (head+1)*n]
	}
	if s.drops {
		s.draw = vector.NewDropout(op.Random.Seed, op.Stream, op.Random.Step, op.Dropout)
	}
	return s
}

// bend caps a query's scores for the keys from position key on, and adds their bias.
func (s *scores) bend(row []float32, key int) {
	if s.limit > 0 {
		vector.Cap(row, s.limit)
	}
	if s.bias != nil {
		add(row, s.bias[key:])
	}
}

// bendBackward runs bend and writes the slopes of the cap to slope.
func (s *scores) bendBackward(row, slope []float32, key int) {
	if s.limit > 0 {
		vector.Cap(row, s.limit)
		capSlopes(slope, row, s.limit)
	}
	if s.bias != nil {
		add(row, s.bias[key:])
	}
}

// capSlopes computes slope = 1 - (y/limit)², the derivative of y = limit·tanh(x/limit).
func capSlopes(slope, y []float32, limit float32) {
	slope = slope[:len(y)]
	for i, v := range y {
		t := v / limit
		slope[i] = (1 - t) * (1 + t)
	}
}

// mask computes dst = x times the dropout factors of one row's probabilities from
// position key on.
func (s *scores) mask(dst, x []float32, row, key int) {
	var factors [keyTile + 8]float32
	before := key % 8
	drawn := factors[:before+len(x)]
	s.draw.FactorsFrom(drawn, row, key-before)
	vector.Mask(dst, x, drawn[before:])
}
