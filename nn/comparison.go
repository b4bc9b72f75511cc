package nn

import (
	"encoding/binary"
	"fmt"
	"math"

	"qlora/bindings"
)

// A Comparison is a micro-batch of completions that were compared or judged: a sequence
// each, pairs as the chosen and then the rejected one. A label other than -100 belongs to
// the completion, or has a fit.
type Comparison struct {
	*Batch
	// Share and Fit have an element for each token, as labels do. A share is the token's part
	// of its completion's log-probability: 1, or 1/n for the mean of n tokens. A fit is the
	// factor of the token's loss in the loss. nil: no fit.
	Share, Fit []float32
	Lengths    []float32 // the completions' tokens
	Desirable  []float32 // 1 or 0 for each completion; nil: pairs
	Reference  []float32 // the reference model's log-probabilities; nil: computed, if the loss has a reference
	// Others are, for KTO, the prompts with completions of other prompts, and OtherShare
	// their shares. nil: none.
	Others          *Batch
	OtherShare      []float32
	OtherReferences []float32 // the reference model's, like Reference
}

// A Comparing is what comparisons are planned for.
type Comparing struct {
	Rule bindings.PreferenceRule
	// Reference is the adapters of the reference model, on the same base. nil: the loss has
	// no reference, or each comparison has the log-probabilities.
	Reference *Overlay
	Given     bool // each comparison has the reference model's log-probabilities
	Fit       bool // comparisons have fits
	Judged    bool // completions are judged one by one
	Others    bool // comparisons have other completions
}

// comparing holds the device tensors of comparisons.
type comparing struct {
	Comparing
	share, fit, otherShare                    bindings.Tensor // F32 [1, most tokens]; the last two absent if not needed
	losses, weights                           bindings.Tensor // F32 [1, most tokens]
	lengths, desirable, logProbs, slopes      bindings.Tensor // F32 [1, most sequences]
	reference, otherLogProbs, otherReferences bindings.Tensor // F32 [1, most sequences]
	stats                                     bindings.Tensor // F32 [1, PreferenceStats]
	unread                                    bindings.Tensor // F32 [1, 3]: HeadLoss's stats
}

func newComparing(a *bindings.Arena, of *Comparing, tokens, sequences int) *comparing {
	c := &comparing{Comparing: *of}
	ofTokens := func() bindings.Tensor { return a.New(bindings.F32, 1, tokens) }
	ofSequences := func() bindings.Tensor { return a.New(bindings.F32, 1, sequences) }
	c.share, c.losses, c.weights = ofTokens(), ofTokens(), ofTokens()
	c.lengths, c.logProbs, c.slopes = ofSequences(), ofSequences(), ofSequences()
	if of.Fit {
		c.fit = ofTokens()
	}
	if of.Judged {
		c.desirable = ofSequences()
	}
	if of.Given || of.Reference != nil {
		c.reference = ofSequences()
	}
	if of.Others {
		c.otherShare, c.otherLogProbs, c.otherReferences = ofTokens(), ofSequences(), ofSequences()
	}
	c.stats, c.unread = a.New(bindings.F32, 1, bindings.PreferenceStats), a.New(bindings.F32, 1, 3)
	return c
}

// blank returns a comparison of a batch with b's boundaries.
func (c *comparing) blank(b *Batch) *Comparison {
	n, tokens := b.Sequences(), b.Tokens()
	k := &Comparison{Batch: blank(b), Share: make([]float32, tokens), Lengths: make([]float32, n)}
	if c.Fit {
		k.Fit = make([]float32, tokens)
	}
	if c.Judged {
		k.Desirable = make([]float32, n)
	}
	if c.Given {
		k.Reference = make([]float32, n)
	}
	if c.Others {
		k.Others, k.OtherShare = blank(b), make([]float32, tokens)
		if c.Given {
			k.OtherReferences = make([]float32, n)
		}
	}
	return k
}

// TrainCompared runs forward and backward of a comparison, and before them the forward of
// the reference model, and adds to gradients and to the comparisons' stats. scale multiplies the
// comparison's loss. Like Train it does not wait for the device.
func (m *Model) TrainCompared(dev bindings.Device, k *Comparison, scale float32, random bindings.Random) error {
	return m.compare(dev, k, scale, &random)
}

// EvaluateCompared runs forward only and adds to the stats with a scale of 1.
func (m *Model) EvaluateCompared(dev bindings.Device, k *Comparison) error {
	return m.compare(dev, k, 1, nil)
}

// compare trains if random is not nil.
func (m *Model) compare(dev bindings.Device, k *Comparison, scale float32, random *bindings.Random) error {
	c := m.comparing
	n, tokens, others := k.Sequences(), m.filledTokens(k.Rows()), 0
	if c.Others {
		others = m.filledTokens(k.Others.Rows())
	}
	if err := c.write(dev, k, tokens, others); err != nil {
		return fmt.Errorf("copy a micro-batch of %d tokens to the device: %w", tokens, err)
	}
	op := &bindings.Preference{
		PreferenceRule: c.Rule, LogProbs: column(c.logProbs, n), Lengths: column(c.lengths, n), Losses: column(c.losses, tokens), Share: column(c.share, tokens),
		Scale: scale, Slopes: column(c.slopes, n), Stats: c.stats,
	}
	if !c.desirable.Absent() {
		op.Desirable = column(c.desirable, n)
	}
	if !c.fit.Absent() {
		op.Fit = column(c.fit, tokens)
	}
	if !c.reference.Absent() {
		op.Reference = column(c.reference, n)
	}
	if c.Others {
		op.KL, op.KLReference = column(c.otherLogProbs, k.Others.Sequences()), column(c.otherReferences, k.Others.Sequences())
		if err := m.logProbs(dev, k.Others, c.otherShare, c.otherLogProbs); err != nil {
			return err
		}
	}
	if c.Reference != nil {
		err := m.with(dev, c.Reference, func() error {
			err := m.logProbs(dev, k.Batch, c.share, c.reference)
			if err == nil && c.Others {
				err = m.logProbs(dev, k.Others, c.otherShare, c.otherReferences)
			}
			return err
		})
		if err != nil {
			return err
		}
	}

	p, err := m.start(dev, k.Batch, random)
	if err != nil {
		return err
	}
	op.Sequences = p.counted
	if random != nil {
		op.Weights = column(c.weights, tokens)
	}
	of := lossOf{scale: 1, losses: op.Losses, stats: c.unread}
	p.repeat(passCompare, of, counts{sequences: n, others: op.KL.Len(), scale: scale}, func() {
		keepMark, workMark := p.keep.Mark(), p.work.Mark()
		m.lossBy(p, m.forward(p), of, func() bindings.Tensor {
			p.run(&bindings.LogProbs{Losses: op.Losses, Share: op.Share, Sequences: p.counted, Out: op.LogProbs})
			p.run(op)
			return op.Weights
		})
		p.keep.Release(keepMark)
		p.work.Release(workMark)
	})
	return m.shards.err
}

// logProbs computes the log-probability of each sequence of b.
func (m *Model) logProbs(dev bindings.Device, b *Batch, share, out bindings.Tensor) error {
	p, err := m.start(dev, b, nil)
	if err != nil {
		return err
	}
	n := b.Sequences()
	of := lossOf{scale: 1, losses: column(m.comparing.losses, p.tokens), stats: m.comparing.unread}
	p.repeat(passLogProbs, of, counts{sequences: n, share: share, out: out}, func() {
		mark := p.work.Mark()
		m.Head.loss(p, m.forward(p).x, bindings.Tensor{}, of)
		p.run(&bindings.LogProbs{Losses: of.losses, Share: column(share, p.tokens), Sequences: p.counted, Out: column(out, n)})
		p.work.Release(mark)
	})
	return m.shards.err
}

// LogProbs returns the log-probability of each sequence of b, the sum of its tokens' with
// their shares, with the adapters that are on. It needs Shapes.LogProbs, and waits for the
// device.
func (m *Model) LogProbs(dev bindings.Device, b *Batch, share []float32) ([]float32, error) {
	c := m.comparing
	rows := m.filledTokens(b.Rows())
	if err := dev.Write(column(c.share, rows), float32Bytes(padded(b.shiftedFloats(share), rows))); err != nil {
		return nil, err
	}
	if err := m.logProbs(dev, b, c.share, c.logProbs); err != nil {
		return nil, err
	}
	return readFloats(dev, column(c.logProbs, b.Sequences()))
}

// Compared waits for the device, returns the sums of the comparisons since the last call,
// by bindings.StatLoss and so on, and resets them.
func (m *Model) Compared(dev bindings.Device) ([]float32, error) {
	stats, err := readFloats(dev, m.comparing.stats)
	dev.Run(&bindings.Zero{T: m.comparing.stats})
	return stats, err
}

// write copies a comparison's numbers to the device: of so many rows, and of so many of its others.
func (c *comparing) write(dev bindings.Device, k *Comparison, rows, others int) error {
	writes := []struct {
		to   bindings.Tensor
		from []float32
	}{
		{c.share, padded(k.shiftedFloats(k.Share), rows)},
		{c.fit, padded(k.shiftedFloats(k.Fit), rows)},
		{c.lengths, k.Lengths},
		{c.desirable, k.Desirable},
		{c.reference, k.Reference},
		{c.otherShare, padded(k.Others.shiftedFloats(k.OtherShare), others)},
		{c.otherReferences, k.OtherReferences},
	}
	for _, w := range writes {
		if len(w.from) == 0 {
			continue
		}
		if err := dev.Write(column(w.to, len(w.from)), float32Bytes(w.from)); err != nil {
			return err
		}
	}
	return nil
}

// shiftedFloats returns what each row has of what each token has, shifted by one position, as
// shifted does labels. The last row of a sequence has 0.
func (b *Batch) shiftedFloats(x []float32) []float32 {
	if len(x) == 0 {
		return nil
	}
	out := make([]float32, len(x))
	for s := range b.Sequences() {
		if from, to := b.Starts[s], b.Starts[s+1]; from < to {
			copy(out[from:to-1], x[from+1:to])
		}
	}
	return ofRows(b, out)
}

// padded appends zeros to x up to n elements, of the rows that fill up a micro-batch. Without
// elements x stays without.
func padded(x []float32, n int) []float32 {
	if len(x) == 0 {
		return x
	}
	return append(x, make([]float32, n-len(x))...)
}

func readFloats(dev bindings.Device, t bindings.Tensor) ([]float32, error) {
	raw := make([]byte, t.Bytes())
	if err := dev.Read(raw, t); err != nil {
		return nil, err
	}
	out := make([]float32, t.Len())
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out, nil
}
