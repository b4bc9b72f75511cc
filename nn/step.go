package nn

import (
	"encoding/binary"
	"math"
	"slices"

	"qlora/bindings"
)

// Stats are sums over the steps since the last call of Model.Stats.
type Stats struct {
	Loss      float64 // sum of the tokens' losses in nats, each times its step's scale
	Predicted int     // tokens with a loss
	Hits      int     // of those, correctly predicted tokens
}

// Train runs forward and backward of one micro-batch and adds to gradients and
// stats. scale multiplies the loss of each predicted token, and so do
// b.Weights. Train does not wait for
// the device; Stats returns errors of the operations.
func (m *Model) Train(dev bindings.Device, b *Batch, scale float32, random bindings.Random) error {
	longest := b.Longest()
	b = m.filled(b)
	p, err := m.begin(dev, feed{Batch: b, positions: b.positions(), longest: longest, random: &random, scale: scale})
	if err != nil {
		return err
	}
	of := lossOf{scale: scale, deviceScale: p.scale, weights: m.inputs.weights, stats: m.inputs.stats}
	p.repeat(passTrain, of, counts{}, func() {
		keepMark, workMark := p.keep.Mark(), p.work.Mark()
		m.backward(p, m.forward(p), of)
		p.keep.Release(keepMark)
		p.work.Release(workMark)
	})
	return m.shards.err
}

// backward adds to the gradients of a loss of forward's output.
func (m *Model) backward(p *pass, f forwardState, of lossOf) {
	d := p.hidden(p.work)
	m.Head.loss(p, f.x, d, of)
	wantFirst := m.Embedding.trained()
	for i, l := range slices.Backward(m.Layers) {
		m.use(p.dev, i, i-1)
		f.keeper.backward(i)
		l.backward(p, f.layers[i], d, i > 0 || wantFirst || m.Layers[0].trainedNorm())
	}
	if wantFirst {
		m.Embedding.backward(p, f.embedding, d)
	}
}

// lossBy computes the losses of tokens for forward's output, calls weigh, and in a pass with
// a backward adds to the gradients with the weights that weigh returns.
func (m *Model) lossBy(p *pass, f forwardState, of lossOf, weigh func() bindings.Tensor) {
	if p.backward {
		of.weigh = weigh
		m.backward(p, f, of)
		return
	}
	m.Head.loss(p, f.x, bindings.Tensor{}, of)
	weigh()
}

// Evaluate runs forward only and adds to the stats with a scale of 1.
func (m *Model) Evaluate(dev bindings.Device, b *Batch) error {
	return m.evaluate(dev, b, lossOf{scale: 1, stats: m.inputs.stats})
}

// evaluate runs forward only.
func (m *Model) evaluate(dev bindings.Device, b *Batch, of lossOf) error {
	longest := b.Longest()
	b = m.filled(b)
	p, err := m.begin(dev, feed{Batch: b, positions: b.positions(), longest: longest})
	if err != nil {
		return err
	}
	if !of.losses.Absent() {
		of.losses = column(m.inputs.losses, p.tokens)
	}
	p.repeat(passEvaluate, of, counts{}, func() {
		mark := p.work.Mark()
		m.Head.loss(p, m.forward(p).x, bindings.Tensor{}, of)
		p.work.Release(mark)
	})
	return m.shards.err
}

// A forwardState holds forward's output and the states for backward.
type forwardState struct {
	x         bindings.Tensor // [tokens, hidden]: the last layer's output
	embedding embeddingState
	layers    [][]branchState
	keeper    *keeper // of a pass with a backward
}

// forward runs the embedding and the layers, in training, evaluation and generation.
// A keeper has the layers' tensors for backward, p.keep those of the embedding; without a backward the layers alternate between
// two buffers of the workspace.
func (m *Model) forward(p *pass) forwardState {
	f := forwardState{}
	if p.backward {
		f.keeper = newKeeper(p)
		f.x, f.embedding = m.Embedding.forward(p, p.keep, f.keeper.input())
		for i := range m.Layers {
			m.use(p.dev, i, i+1)
			out, states := f.keeper.forward(i, f.x)
			f.layers = append(f.layers, states)
			f.x = out
		}
		return f
	}
	f.x, _ = m.Embedding.forward(p, p.work, p.work)
	other := p.hidden(p.work)
	for i, l := range m.Layers {
		m.use(p.dev, i, i+1)
		l.forward(p, f.x, other)
		f.x, other = other, f.x
	}
	return f
}

// Stats waits for the device, returns the sums and resets them. The error is the
// first of the operations since the last call.
func (m *Model) Stats(dev bindings.Device) (Stats, error) {
	var raw [12]byte
	if err := dev.Read(raw[:], m.inputs.stats); err != nil {
		return Stats{}, err
	}
	dev.Run(&bindings.Zero{T: m.inputs.stats})
	at := func(i int) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))) }
	return Stats{Loss: at(0), Predicted: int(at(1)), Hits: int(at(2))}, nil
}

// stats returns the sums that training and evaluation add to.
func (m *Model) stats() bindings.Tensor {
	switch {
	case m.policy != nil:
		return m.policy.stats
	case m.comparing != nil:
		return m.comparing.stats
	}
	return m.inputs.stats
}

// KeepStats moves the sums since they were last moved or read to row i, below Shapes.Window,
// of those that Kept returns. It does not wait for the device.
func (m *Model) KeepStats(dev bindings.Device, i int) {
	dev.Run(&bindings.Copy{Dst: m.inputs.kept.Slice(i, i+1), Src: m.stats()})
	dev.Run(&bindings.Zero{T: m.stats()})
}

// Kept waits for the device and returns the first n rows of kept sums, each as
// bindings.HeadLoss's stats or, of a model that compares, as Compared's.
func (m *Model) Kept(dev bindings.Device, n int) ([][]float32, error) {
	all, err := readFloats(dev, m.inputs.kept.Head(n))
	if err != nil {
		return nil, err
	}
	return slices.Collect(slices.Chunk(all, m.inputs.kept.Cols)), nil
}

// column returns a view of the first n elements of a vector.
func column(t bindings.Tensor, n int) bindings.Tensor {
	return t.Reshape(t.Len(), 1).Head(n).Reshape(1, n)
}
