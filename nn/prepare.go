package nn

import (
	"fmt"
	"slices"

	"qlora/bindings"
)

// Shapes are the largest micro-batches of a run. Only their boundaries count.
// Memory grows with tokens and with the longest sequence, which may be largest
// in different micro-batches: all that are largest in either belong here.
type Shapes struct {
	Train    []*Batch
	Evaluate []*Batch
	Score    []*Batch
	Generate int // longest prompt and answer together, in tokens; 0: no generation
}

// CheckShapes returns an error if a sequence is longer than the model's table of
// positions. Models without learned positions take any length.
func (m *Model) CheckShapes(s Shapes) error {
	longest := s.Generate
	for _, b := range slices.Concat(s.Train, s.Evaluate, s.Score) {
		longest = max(longest, b.Longest())
	}
	return m.checkLength(longest)
}

func (m *Model) checkLength(longest int) error {
	if e := m.Embedding.Positions; e != nil && longest > e.Longest() {
		return fmt.Errorf("a sequence has %d tokens, and the model has positions for %d: choose a smaller `max_length`", longest, e.Longest())
	}
	return nil
}

// Prepare completes the plan: places for the inputs, and all that the steps
// need, found by walking them on a device of the given profile that computes
// nothing. It comes after Parameters and before the plan is read or taken.
func (m *Model) Prepare(profile bindings.Profile, shapes Shapes) {
	m.generate = shapes.Generate
	m.declareInputs(shapes)
	dry := bindings.NewDry(profile)
	walk := func() {
		m.Derive(dry)
		for _, b := range shapes.Train {
			must(m.Train(dry, blank(b), 1, bindings.Random{Train: true}))
		}
		if len(shapes.Train) > 0 {
			dry.Run(&bindings.GradNorm{Params: m.params})
			dry.Run(&bindings.Optimize{Params: m.params, Rule: m.rule})
		}
		for _, b := range shapes.Evaluate {
			must(m.Evaluate(dry, blank(b)))
		}
		for _, b := range shapes.Score {
			must(m.evaluate(dry, blank(b), column(m.inputs.losses, b.Tokens())))
		}
		if shapes.Generate > 0 {
			c := m.newCache(shapes.Generate)
			must(m.extend(dry, c, make([]int32, shapes.Generate)))
			// A device may go over one token's keys in another way than over a prompt's.
			c.past = shapes.Generate - 1
			must(m.extend(dry, c, make([]int32, 1)))
			c.close()
		}
	}
	// Scratch lies below what a step puts into workspace, and its size is known
	// only after a walk; the second walk counts on top of it.
	walk()
	needs := dry.Needed()
	m.workspace = m.memory.Arena(bindings.Workspace).New(bindings.U8, 1, int(needs.Workspace))
	m.lossSpace = m.memory.Arena(bindings.Loss).New(bindings.U8, 1, int(needs.Loss))
	walk()
}

// blank is a batch of b's boundaries whose ids are any.
func blank(b *Batch) *Batch {
	return &Batch{IDs: make([]int32, b.Tokens()), Labels: make([]int32, b.Tokens()), Starts: b.Starts}
}

// must holds that a walk over blank batches has nothing that could be wrong.
func must(err error) {
	if err != nil {
		panic("nn: a walk on a device that computes nothing failed: " + err.Error())
	}
}

func (m *Model) declareInputs(shapes Shapes) {
	tokens, sequences, longest := shapes.Generate, 1, shapes.Generate
	for _, b := range slices.Concat(shapes.Train, shapes.Evaluate, shapes.Score) {
		tokens, sequences, longest = max(tokens, b.Tokens()), max(sequences, b.Sequences()), max(longest, b.Longest())
	}
	a := m.memory.Arena(bindings.Inputs)
	m.inputs = inputs{
		ids:       a.New(bindings.I32, 1, tokens),
		labels:    a.New(bindings.I32, 1, tokens),
		positions: a.New(bindings.I32, 1, tokens),
		starts:    a.New(bindings.I32, 1, sequences+1),
		keyStarts: a.New(bindings.I32, 1, 2),
	}
	for _, t := range m.tables {
		t.plan(a, longest)
	}
	m.inputs.stats = a.New(bindings.F32, 1, 3)
	if len(shapes.Score) > 0 {
		m.inputs.losses = a.New(bindings.F32, 1, tokens)
	}
}
