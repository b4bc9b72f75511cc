package nn

import (
	"encoding/binary"
	"fmt"
	"math"

	"qlora/bindings"
)

// inputs are the device's places for a micro-batch and for what steps report.
type inputs struct {
	ids, labels, positions bindings.Tensor // I32 [1, most tokens]
	starts                 bindings.Tensor // I32 [1, most sequences + 1]
	keyStarts              bindings.Tensor // I32 [1, 2], of the one sequence being generated
	cos, sin               bindings.Tensor // F32 [positions, head_dim/2]
	stats                  bindings.Tensor // F32 [1, 3], see bindings.HeadLoss
	losses                 bindings.Tensor // F32 [1, most tokens]; absent: nothing is scored
}

// Stats are what the steps since the last reading add up to.
type Stats struct {
	Loss      float64 // sum of the tokens' losses, each times the scale it was trained with
	Predicted int     // tokens that a loss fell on
	Hits      int     // of those, the ones predicted right
}

// Train runs forward and backward of one micro-batch: gradients and stats are
// added to. The loss of each predicted token counts scale times. Nothing waits
// for the device; errors of the operations come with Stats.
func (m *Model) Train(dev bindings.Device, b *Batch, scale float32, random bindings.Random) error {
	p, err := m.start(dev, b)
	if err != nil {
		return err
	}
	p.random, p.backward = random, true
	keepMark, workMark := p.keep.Mark(), p.work.Mark()
	acts := make([]activations, len(m.layers))
	x := p.embed(p.keep)
	for i, l := range m.layers {
		acts[i].in = x
		x = p.hidden(p.keep)
		l.forward(p, &acts[i], x)
	}
	d := p.hidden(p.work)
	m.loss(p, x, d, scale, bindings.Tensor{})
	wantFirst := !m.embeddingGrad.Absent() || !m.layers[0].inputNorm.grad.Absent()
	for i := len(m.layers) - 1; i >= 0; i-- {
		m.layers[i].backward(p, &acts[i], d, i > 0 || wantFirst)
	}
	if !m.embeddingGrad.Absent() {
		dev.EmbedBackward(&bindings.Embed{IDs: column(m.inputs.ids, p.tokens), DY: d, DTable: m.embeddingGrad, Pad: m.Config.Pad})
	}
	p.keep.Release(keepMark)
	p.work.Release(workMark)
	return nil
}

// Evaluate runs forward only; stats are added to, with a scale of 1.
func (m *Model) Evaluate(dev bindings.Device, b *Batch) error {
	return m.forward(dev, b, bindings.Tensor{})
}

// forward evaluates; with losses present it also leaves each token's loss there.
func (m *Model) forward(dev bindings.Device, b *Batch, losses bindings.Tensor) error {
	p, err := m.start(dev, b)
	if err != nil {
		return err
	}
	mark := p.work.Mark()
	x, y := p.embed(p.work), p.hidden(p.work)
	for _, l := range m.layers {
		l.forward(p, &activations{in: x}, y)
		x, y = y, x
	}
	m.loss(p, x, bindings.Tensor{}, 1, losses)
	p.work.Release(mark)
	return nil
}

// loss is the final norm, the head and the cross-entropy; with d present also
// the gradient of x, with losses present those of the tokens.
func (m *Model) loss(p *pass, x, d bindings.Tensor, scale float32, losses bindings.Tensor) {
	mark := p.work.Mark()
	y, inv := p.normalize(p.work, &m.norm, x)
	op := &bindings.HeadLoss{
		X: y, Linear: &m.head.Linear, Labels: column(m.inputs.labels, p.tokens), Scale: scale,
		Stats: m.inputs.stats, Losses: losses,
	}
	if !d.Absent() {
		op.DX, op.DWeight = y, m.head.DWeight
	}
	p.dev.HeadLoss(op)
	if !d.Absent() {
		p.normBackward(&m.norm, x, inv, y, d, false)
	}
	p.work.Release(mark)
}

// start puts a micro-batch on the device.
func (m *Model) start(dev bindings.Device, b *Batch) (*pass, error) {
	if err := b.check(m.Config.Vocabulary); err != nil {
		return nil, err
	}
	p := &pass{
		m: m, dev: dev, tokens: b.Tokens(), keep: m.memory.Arena(bindings.Activations), work: m.memory.Arena(bindings.Workspace),
		positions: column(m.inputs.positions, b.Tokens()),
		sequences: bindings.Sequences{Starts: b.Starts, Device: column(m.inputs.starts, len(b.Starts))},
	}
	for _, w := range []struct {
		to   bindings.Tensor
		from []int32
	}{
		{column(m.inputs.ids, p.tokens), b.IDs},
		{column(m.inputs.labels, p.tokens), b.shifted()},
		{p.positions, b.positions()},
		{p.sequences.Device, b.Starts},
	} {
		if err := dev.Write(w.to, int32Bytes(w.from)); err != nil {
			return nil, fmt.Errorf("putting a micro-batch of %d tokens on the device: %w", p.tokens, err)
		}
	}
	return p, nil
}

func (p *pass) embed(to *bindings.Arena) bindings.Tensor {
	x := p.hidden(to)
	p.dev.Embed(&bindings.Embed{
		IDs: column(p.m.inputs.ids, p.tokens), Table: p.m.embedding, Y: x,
		Noise: p.m.noise(p.sequences.Longest()), Random: p.random, Pad: -1,
	})
	return x
}

// noise is the bound of NEFTune's noise.
func (m *Model) noise(longest int) float32 {
	if m.Options.NoiseAlpha == 0 || longest == 0 {
		return 0
	}
	return float32(m.Options.NoiseAlpha / math.Sqrt(float64(longest*m.Config.Hidden)))
}

// Stats waits for the device, gives what was added up, and starts over.
func (m *Model) Stats(dev bindings.Device) (Stats, error) {
	var raw [12]byte
	if err := dev.Read(raw[:], m.inputs.stats); err != nil {
		return Stats{}, err
	}
	dev.Zero(m.inputs.stats)
	at := func(i int) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))) }
	return Stats{Loss: at(0), Predicted: int(at(1)), Hits: int(at(2))}, nil
}

// column is the first n elements of a vector.
func column(t bindings.Tensor, n int) bindings.Tensor {
	return t.Reshape(t.Len(), 1).Head(n).Reshape(1, n)
}

func int32Bytes(v []int32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, uint32(x))
	}
	return out
}
