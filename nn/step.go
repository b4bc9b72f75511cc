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
	p, err := m.start(dev, b, nil)
	if err != nil {
		return err
	}
	p.random, p.backward = random, true
	keepMark, workMark := p.keep.Mark(), p.work.Mark()
	f := m.forward(p)
	d := p.hidden(p.work)
	m.Head.loss(p, f.x, d, scale, bindings.Tensor{})
	wantFirst := m.Embedding.trained()
	for i := len(m.Layers) - 1; i >= 0; i-- {
		m.Layers[i].backward(p, f.layers[i], d, i > 0 || wantFirst || m.Layers[0].trainedNorm())
	}
	if wantFirst {
		m.Embedding.backward(p, f.embedding, d)
	}
	p.keep.Release(keepMark)
	p.work.Release(workMark)
	return nil
}

// Evaluate runs forward only; stats are added to, with a scale of 1.
func (m *Model) Evaluate(dev bindings.Device, b *Batch) error {
	return m.evaluate(dev, b, bindings.Tensor{})
}

// evaluate also leaves each token's loss in losses, if that is present.
func (m *Model) evaluate(dev bindings.Device, b *Batch, losses bindings.Tensor) error {
	p, err := m.start(dev, b, nil)
	if err != nil {
		return err
	}
	mark := p.work.Mark()
	m.Head.loss(p, m.forward(p).x, bindings.Tensor{}, 1, losses)
	p.work.Release(mark)
	return nil
}

// A forwardState is what forward leaves: its output, and what backward reads.
type forwardState struct {
	x         bindings.Tensor // [tokens, hidden]: the last layer's output
	embedding embeddingState
	layers    [][]branchState
}

// forward takes the micro-batch through the embedding and the layers. It is the one
// forward of training, evaluation and generation: what a backward reads lies in
// p.keep; where none follows two buffers of the workspace take turns.
func (m *Model) forward(p *pass) forwardState {
	f := forwardState{}
	if p.backward {
		f.x, f.embedding = m.Embedding.forward(p, p.keep)
		for _, l := range m.Layers {
			out := p.hidden(p.keep)
			f.layers = append(f.layers, l.forward(p, f.x, out))
			f.x = out
		}
		return f
	}
	f.x, _ = m.Embedding.forward(p, p.work)
	other := p.hidden(p.work)
	for _, l := range m.Layers {
		l.forward(p, f.x, other)
		f.x, other = other, f.x
	}
	return f
}

// start puts a micro-batch on the device; with a cache it goes on from what that has.
func (m *Model) start(dev bindings.Device, b *Batch, c *cache) (*pass, error) {
	if err := b.check(m.Config.Vocabulary); err != nil {
		return nil, err
	}
	p := &pass{
		m: m, dev: dev, tokens: b.Tokens(), longest: b.Longest(), keep: m.memory.Arena(bindings.Activations), work: m.memory.Arena(bindings.Workspace),
		positions: column(m.inputs.positions, b.Tokens()),
		sequences: bindings.Sequences{Starts: b.Starts, Device: column(m.inputs.starts, len(b.Starts))},
		cache:     c,
	}
	positions := b.positions()
	if c != nil {
		p.longest += c.past
		for i := range positions {
			positions[i] += int32(c.past)
		}
	}
	if err := m.checkLength(p.longest); err != nil {
		return nil, err
	}
	for _, w := range []struct {
		to   bindings.Tensor
		from []int32
	}{
		{column(m.inputs.ids, p.tokens), b.IDs},
		{column(m.inputs.labels, p.tokens), b.shifted()},
		{p.positions, positions},
		{p.sequences.Device, b.Starts},
	} {
		if err := dev.Write(w.to, int32Bytes(w.from)); err != nil {
			return nil, fmt.Errorf("putting a micro-batch of %d tokens on the device: %w", p.tokens, err)
		}
	}
	if c != nil {
		return p, c.start(p)
	}
	return p, nil
}

// Stats waits for the device, returns what was added up, and starts over.
func (m *Model) Stats(dev bindings.Device) (Stats, error) {
	var raw [12]byte
	if err := dev.Read(raw[:], m.inputs.stats); err != nil {
		return Stats{}, err
	}
	dev.Run(&bindings.Zero{T: m.inputs.stats})
	at := func(i int) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))) }
	return Stats{Loss: at(0), Predicted: int(at(1)), Hits: int(at(2))}, nil
}

// column returns the first n elements of a vector.
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
