package nn

import (
	"fmt"
	"slices"

	"qlora/bindings"
)

// Shapes are the largest micro-batches of a run; only their sequence boundaries
// matter. Memory grows with the tokens and with the longest sequence, so include the
// batches that are largest in either.
type Shapes struct {
	Train    []*Batch
	Evaluate []*Batch
	Score    []*Batch
	Weighted bool                  // batches of Train may have weights
	Policy   *Policy               // what the batches of Train and Evaluate are sampled for; nil: they are not
	Compare  *Comparing            // what the batches of Train and Evaluate are compared by; nil: tokens are predicted
	LogProbs []*Batch              // of which LogProbs is called, with Compare
	Window   int                   // micro-batches of a step, for KeepStats; 0: it is not used
	Generate int                   // longest prompt plus answer in tokens; 0: no generation
	Step     func(bindings.Device) // runs what follows the passes of a step; nil: what one rank runs
	Together Together              // sequences that are generated together; zero: one
}

func (s *Shapes) batches() []*Batch { return slices.Concat(s.Train, s.Evaluate, s.Score, s.LogProbs) }

// CheckShapes returns an error if a sequence is longer than the model's table of
// positions. Models without learned positions take any length.
func (m *Model) CheckShapes(s Shapes) error {
	longest := s.Generate
	for _, b := range s.batches() {
		longest = max(longest, b.Longest())
	}
	return m.checkLength(longest)
}

func (m *Model) checkLength(longest int) error {
	if e := m.Embedding.Positions; e != nil && longest > e.Longest() {
		return fmt.Errorf("a sequence has %d tokens, but the model has %d positions; set a smaller `max_length`", longest, e.Longest())
	}
	return nil
}

// Prepare completes the plan with the inputs and the memory of the steps, which it
// finds by a dry run on a device of the given profile. Call it after Parameters and
// before the plan is read or allocated.
func (m *Model) Prepare(profile bindings.Profile, shapes Shapes) {
	m.decoding = newDecoding(shapes.Generate, shapes.Together, m.info)
	m.declareInputs(shapes)
	if len(shapes.batches()) > 0 {
		m.planWideHeads()
	}
	dry := bindings.NewDry(profile)
	walk := func() {
		must(m.eachOverlay(func() error { m.Derive(dry); return nil }))
		if shapes.Policy != nil {
			must(m.walkPolicy(dry, shapes))
		}
		for _, b := range shapes.Train {
			if shapes.Policy != nil {
				break
			}
			if shapes.Compare != nil {
				must(m.walking(WalkTrain, func() error { return m.TrainCompared(dry, m.comparing.blank(b), 1, bindings.Random{Train: true}) }))
				continue
			}
			of := blank(b)
			if shapes.Weighted {
				of.Weights = make([]float32, b.Tokens())
			}
			must(m.walking(WalkTrain, func() error { return m.Train(dry, of, 1, bindings.Random{Train: true}) }))
		}
		if len(shapes.Train) > 0 {
			m.Gather(dry)
			step := shapes.Step
			if step == nil {
				step = m.walkStep
			}
			step(dry)
		}
		for _, b := range shapes.Evaluate {
			if shapes.Policy != nil {
				break
			}
			if shapes.Compare != nil {
				must(m.walking(WalkEvaluate, func() error { return m.EvaluateCompared(dry, m.comparing.blank(b)) }))
				continue
			}
			must(m.walking(WalkEvaluate, func() error { return m.Evaluate(dry, blank(b)) }))
		}
		for _, b := range shapes.Score {
			must(m.evaluate(dry, blank(b), lossOf{scale: 1, losses: m.inputs.losses, stats: m.inputs.stats}))
		}
		for _, b := range shapes.LogProbs {
			must(m.walking(WalkLogProbs, func() error { return m.logProbs(dry, blank(b), m.comparing.share, m.comparing.logProbs) }))
		}
		if shapes.Generate > 0 {
			must(m.eachOverlay(func() error { return m.walkDecoding(dry) }))
		}
	}
	// Scratch precedes the step's own part of the workspace, and slots the rest of what a pass
	// keeps. Their sizes are known only after a dry run; the second run counts on top of them.
	walk()
	needs := dry.Needed()
	m.workspace = m.memory.Arena(bindings.Workspace).New(bindings.U8, 1, int(needs.Workspace))
	m.slots.fix()
	m.lossSpace = m.memory.Arena(bindings.Loss).New(bindings.U8, 1, int(needs.Loss))
	walk()
}

// walkStep runs what one rank runs after the passes of a step.
func (m *Model) walkStep(dev bindings.Device) {
	dev.Run(&bindings.Round{Params: m.params}) // which needs what Fold and Unfold need
	dev.Run(&bindings.GradNorm{Params: m.params})
	dev.Run(&bindings.Optimize{Params: m.params, Rule: m.rule})
}

// blank returns a batch with b's boundaries and shared beginnings, and arbitrary ids.
func blank(b *Batch) *Batch {
	return &Batch{IDs: make([]int32, b.Tokens()), Labels: make([]int32, b.Tokens()), Starts: b.Starts, Beginnings: b.Beginnings}
}

// must panics on err: a dry run over blank batches cannot fail.
func must(err error) {
	if err != nil {
		panic("nn: the dry run failed: " + err.Error())
	}
}

func (m *Model) declareInputs(shapes Shapes) {
	tokens, sequences, longest := m.decoding.tokens(), m.decoding.boundaries(), shapes.Generate
	keys := 0 // that are gathered
	for _, b := range shapes.batches() {
		tokens, sequences, longest = max(tokens, b.Rows()), max(sequences, b.Sequences()), max(longest, b.Longest())
		keys = max(keys, b.Gathered())
	}
	a := m.memory.Arena(bindings.Inputs)
	m.inputs = inputs{}
	tokens, sequences = m.filledTokens(tokens), m.filledSequences(sequences, keys > 0)
	if keys > 0 {
		keys = m.filledKeys(keys)
	}
	m.planInputs(a, tokens, sequences, keys, shapes.Weighted)
	for _, t := range m.tables {
		t.plan(a, longest)
	}
	must(m.eachOverlay(func() error { m.biases.plan(m, tokens); return nil }))
	m.inputs.stats = a.New(bindings.F32, 1, 3)
	if len(shapes.Score) > 0 {
		m.inputs.losses = a.New(bindings.F32, 1, tokens)
	}
	if shapes.Compare != nil {
		m.comparing = newComparing(a, shapes.Compare, tokens, sequences)
	}
	if shapes.Policy != nil {
		m.policy = newPolicyState(a, shapes.Policy, tokens, sequences)
	}
	if shapes.Window > 0 {
		m.inputs.kept = a.New(bindings.F32, shapes.Window, m.stats().Len())
	}
}
