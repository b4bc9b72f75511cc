package nn

import (
	"fmt"
	"slices"

	"qlora/bindings"
)

// A Sampled is a micro-batch of completions that were sampled, a sequence each after its
// prompt. A label other than -100 belongs to the completion.
type Sampled struct {
	*Batch
	Share      []float32 // of each token's loss in the loss; 0: not the completion's, or left out
	Advantages []float32 // of each sequence
	// Old and Reference are, for each token, the loss that it had for the policy that sampled
	// it and that it has for the reference model: TokenLosses. Old nil: the policy has not moved.
	Old, Reference []float32
}

// A Policy is what sampled completions are planned for.
type Policy struct {
	Rule        bindings.PolicyRule
	Temperature float32  // that logits are divided by; 0: 1
	Old         bool     // completions have Old
	Reference   *Overlay // the adapters of the reference model, on the same base; nil: completions have no Reference
}

// policyState holds the device tensors of sampled completions.
type policyState struct {
	Policy
	share, losses, entropies, weights bindings.Tensor // F32 [1, most tokens]
	old, reference                    bindings.Tensor // the same; absent if not needed
	advantages                        bindings.Tensor // F32 [1, most sequences]
	stats                             bindings.Tensor // F32 [1, PolicyStats]
	unread                            bindings.Tensor // F32 [1, 3]: HeadLoss's stats
}

func newPolicyState(a *bindings.Arena, of *Policy, tokens, sequences int) *policyState {
	s := &policyState{Policy: *of}
	ofTokens := func() bindings.Tensor { return a.New(bindings.F32, 1, tokens) }
	s.share, s.losses, s.entropies, s.weights = ofTokens(), ofTokens(), ofTokens(), ofTokens()
	if of.Old {
		s.old = ofTokens()
	}
	if of.Reference != nil {
		s.reference = ofTokens()
	}
	s.advantages = a.New(bindings.F32, 1, sequences)
	s.stats, s.unread = a.New(bindings.F32, 1, bindings.PolicyStats), a.New(bindings.F32, 1, 3)
	return s
}

// blank returns completions with b's boundaries.
func (s *policyState) blank(b *Batch) *Sampled {
	zeros := make([]float32, b.Tokens())
	k := &Sampled{Batch: blank(b), Share: zeros, Advantages: make([]float32, b.Sequences())}
	if s.Old {
		k.Old = zeros
	}
	if s.Reference != nil {
		k.Reference = zeros
	}
	return k
}

// TrainPolicy runs forward and backward of sampled completions and adds to gradients and to
// the policy's stats. scale multiplies the loss. Like Train it does not wait for the device.
func (m *Model) TrainPolicy(dev bindings.Device, k *Sampled, scale float32, random bindings.Random) error {
	return m.improve(dev, k, scale, &random)
}

// EvaluatePolicy runs forward only and adds to the stats with a scale of 1.
func (m *Model) EvaluatePolicy(dev bindings.Device, k *Sampled) error {
	return m.improve(dev, k, 1, nil)
}

// improve trains if random is not nil.
func (m *Model) improve(dev bindings.Device, k *Sampled, scale float32, random *bindings.Random) error {
	s, n, tokens := m.policy, k.Sequences(), m.filledTokens(k.Rows())
	for _, w := range []struct {
		to   bindings.Tensor
		from []float32
	}{{s.share, padded(k.shiftedFloats(k.Share), tokens)}, {s.old, padded(k.shiftedFloats(k.Old), tokens)}, {s.reference, padded(k.shiftedFloats(k.Reference), tokens)}, {s.advantages, k.Advantages}} {
		if len(w.from) == 0 {
			continue
		}
		if err := dev.Write(column(w.to, len(w.from)), float32Bytes(w.from)); err != nil {
			return fmt.Errorf("copy a micro-batch of %d tokens to the device: %w", tokens, err)
		}
	}
	p, err := m.start(dev, k.Batch, random)
	if err != nil {
		return err
	}
	op := &bindings.Policy{
		PolicyRule: s.Rule, Losses: column(s.losses, tokens), Entropies: column(s.entropies, tokens), Share: column(s.share, tokens), Advantages: column(s.advantages, n),
		Sequences: p.counted, Scale: scale, Stats: s.stats,
	}
	if k.Old != nil {
		op.Old = column(s.old, tokens)
	}
	if k.Reference != nil {
		op.Reference = column(s.reference, tokens)
	}
	if random != nil {
		op.Weights = column(s.weights, tokens)
	}
	of := lossOf{scale: 1, losses: op.Losses, entropies: op.Entropies, stats: s.unread, temperature: s.Temperature}
	p.repeat(passPolicy, of, counts{sequences: n, scale: scale, old: k.Old != nil, reference: k.Reference != nil}, func() {
		keepMark, workMark := p.keep.Mark(), p.work.Mark()
		m.lossBy(p, m.forward(p), of, func() bindings.Tensor {
			p.run(op)
			return op.Weights
		})
		p.keep.Release(keepMark)
		p.work.Release(workMark)
	})
	return m.shards.err
}

// TokenLosses returns the loss of each token of b with a label, and 0 of the others, with the
// adapters that are on, or with those of the reference model. It needs Shapes.Policy, and waits for
// the device.
func (m *Model) TokenLosses(dev bindings.Device, b *Batch, reference bool) ([]float32, error) {
	losses := func() error { return m.tokenLosses(dev, b) }
	var err error
	if reference {
		err = m.with(dev, m.policy.Reference, losses)
	} else {
		err = losses()
	}
	if err != nil {
		return nil, err
	}
	rows, err := readFloats(dev, column(m.policy.losses, b.Rows()))
	if err != nil {
		return nil, err
	}
	out, starts := make([]float32, b.Tokens()), b.rowStarts()
	for s := range b.Sequences() {
		if own := rows[starts[s]:starts[s+1]]; len(own) > 0 {
			copy(out[int(b.Starts[s])+b.beginning(s)+1:b.Starts[s+1]], own)
		}
	}
	return out, nil
}

func (m *Model) tokenLosses(dev bindings.Device, b *Batch) error {
	p, err := m.start(dev, b, nil)
	if err != nil {
		return err
	}
	s := m.policy
	of := lossOf{scale: 1, losses: column(s.losses, p.tokens), stats: s.unread, temperature: s.Temperature}
	p.repeat(passTokenLosses, of, counts{}, func() {
		mark := p.work.Mark()
		m.Head.loss(p, m.forward(p).x, bindings.Tensor{}, of)
		p.work.Release(mark)
	})
	return m.shards.err
}

// Improved waits for the device, returns the sums of the sampled completions since the last
// call, by bindings.PolicyStatLoss and so on, and resets them.
func (m *Model) Improved(dev bindings.Device) ([]float32, error) {
	stats, err := readFloats(dev, m.policy.stats)
	dev.Run(&bindings.Zero{T: m.policy.stats})
	return stats, err
}

// walkPolicy runs the largest micro-batches on a dry device.
func (m *Model) walkPolicy(dry bindings.Device, shapes Shapes) error {
	for _, b := range shapes.Train {
		if err := m.walking(WalkTrain, func() error { return m.TrainPolicy(dry, m.policy.blank(b), 1, bindings.Random{Train: true}) }); err != nil {
			return err
		}
		if !m.policy.Old {
			continue
		}
		if err := m.tokenLosses(dry, blank(b)); err != nil {
			return err
		}
	}
	for _, b := range shapes.Evaluate {
		if err := m.walking(WalkEvaluate, func() error { return m.EvaluatePolicy(dry, m.policy.blank(b)) }); err != nil {
			return err
		}
	}
	if m.policy.Reference == nil {
		return nil
	}
	return m.with(dry, m.policy.Reference, func() error {
		for _, b := range slices.Concat(shapes.Train, shapes.Evaluate) {
			if err := m.tokenLosses(dry, blank(b)); err != nil {
				return err
			}
		}
		return nil
	})
}
