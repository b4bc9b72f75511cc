package nn

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"qlora/bindings"
)

// inputs holds the device tensors of a micro-batch and of the steps' results. Those of a
// micro-batch follow each other in packed, so that one write copies them all; where one lies
// depends on the micro-batch's shape.
type inputs struct {
	packed bindings.Tensor // I32 [1, …]

	ids, labels, positions bindings.Tensor // I32 [1, tokens]
	starts                 bindings.Tensor // I32 [1, sequences + 1]
	weights                bindings.Tensor // F32 [1, tokens]; absent if no token is weighed
	place                  bindings.Tensor // I32 [1, 2]: of bindings.Random
	scale, noise           bindings.Tensor // F32 [1, 1]: of the loss; the bound of NEFTune's

	stats  bindings.Tensor // F32 [1, 3], see bindings.HeadLoss
	losses bindings.Tensor // F32 [1, most tokens]; absent without scoring
	kept   bindings.Tensor // F32 [Shapes.Window, …]: stats of micro-batches
}

// packedAlignment is that of each array in packed, in elements.
const packedAlignment = 4

// packedLen returns how much of packed n elements take.
func packedLen(n int) int { return (n + packedAlignment - 1) / packedAlignment * packedAlignment }

// A packing collects the arrays of a micro-batch.
type packing struct {
	to    bindings.Tensor
	bytes []byte
}

// ints appends v and returns its tensor, [1, len(v)].
func (k *packing) ints(v []int32) bindings.Tensor {
	t := k.next(len(v))
	for _, x := range v {
		k.bytes = binary.LittleEndian.AppendUint32(k.bytes, uint32(x))
	}
	return t
}

func (k *packing) floats(v []float32) bindings.Tensor {
	t := k.next(len(v))
	for _, x := range v {
		k.bytes = binary.LittleEndian.AppendUint32(k.bytes, math.Float32bits(x))
	}
	return t.As(bindings.F32)
}

func (k *packing) next(n int) bindings.Tensor {
	at := packedLen(len(k.bytes) / 4)
	k.bytes = append(k.bytes, make([]byte, 4*at-len(k.bytes))...)
	return k.to.Columns(at, at+n)
}

// write copies what was collected to the device.
func (k *packing) write(dev bindings.Device) error {
	return dev.Write(k.to.Columns(0, len(k.bytes)/4), k.bytes)
}

// A feed is what a micro-batch copies to the device next to its tokens.
type feed struct {
	*Batch
	positions []int32
	longest   int // tokens of the longest sequence, including cached ones
	cache     *cache
	random    *bindings.Random // of a micro-batch that trains; nil: another
	scale     float32          // of the loss
	counted   int              // sequences that are not there to fill it up, if they are counted; 0: they are not
}

// start copies comparisons or sampled completions to the device, filled up. random is nil if they
// do not train.
func (m *Model) start(dev bindings.Device, b *Batch, random *bindings.Random) (*pass, error) {
	f := m.filled(b)
	return m.begin(dev, feed{Batch: f, positions: f.positions(), longest: b.Longest(), random: random, counted: b.Sequences()})
}

// begin copies a micro-batch to the device.
func (m *Model) begin(dev bindings.Device, f feed) (*pass, error) {
	if err := f.check(m.Config.Vocabulary); err != nil {
		return nil, err
	}
	if err := m.checkLength(f.longest); err != nil {
		return nil, err
	}
	p := &pass{
		m: m, dev: dev, tokens: f.Rows(), longest: f.longest,
		keep: m.memory.Arena(bindings.Activations), work: m.memory.Arena(bindings.Workspace), cache: f.cache,
	}
	k, in := packing{to: m.inputs.packed, bytes: make([]byte, 0, m.inputs.packed.Bytes())}, &m.inputs
	in.ids, in.labels, in.positions = k.ints(ofRows(f.Batch, f.IDs)), k.ints(f.shifted()), k.ints(f.positions)
	p.positions = in.positions
	if c := f.cache; c != nil {
		c.pass.queries.Device, c.pass.keys.Device = k.ints(c.pass.queries.Starts), k.ints(c.pass.keys.Starts)
		c.pass.places = k.ints(c.pass.rows)
	} else {
		starts := f.rowStarts()
		in.starts = k.ints(starts)
		p.sequences = bindings.Sequences{Starts: starts, Device: in.starts}
		p.counted = p.sequences
		if n := f.counted; n > 0 && n < f.Sequences() {
			own := append(slices.Clone(starts[:n]), int32(p.tokens))
			p.counted = bindings.Sequences{Starts: own, Device: k.ints(own)}
		}
	}
	for _, r := range m.rows {
		if r.placed {
			r.places = k.ints(r.placesOf(ofRows(f.Batch, f.IDs), m.Config.Pad))
		}
	}
	in.weights = bindings.Tensor{}
	if f.random != nil {
		p.random, p.backward = *f.random, true
		if f.Weights != nil {
			in.weights = k.floats(f.shiftedFloats(f.Weights))
		}
	}
	if m.repeats() {
		in.place = k.ints([]int32{int32(p.random.Step), int32(p.random.Row)})
		numbers := k.floats([]float32{f.scale, m.noise(p.longest, m.Embedding.Size)})
		in.scale, in.noise = numbers.Columns(0, 1), numbers.Columns(1, 2)
		p.random.Device, p.scale = in.place, in.scale
		if m.Options.NoiseAlpha != 0 {
			p.bound = in.noise
		}
		if f.cache == nil {
			p.sequences.Within = within(&p.sequences)
		}
	}
	p.keys = p.sequences
	if f.Beginnings != nil {
		p.keys = bindings.Sequences{Starts: f.Starts, Device: k.ints(f.Starts)}
		if m.repeats() {
			p.keys.Within = within(&p.keys)
		}
		p.gathered = k.gather(f.Batch)
	}
	if err := k.write(dev); err != nil {
		return nil, fmt.Errorf("copy a micro-batch of %d tokens to the device: %w", p.tokens, err)
	}
	return p, nil
}

// planInputs allocates what micro-batches of up to so many tokens and sequences copy to the device,
// and so many keys that are gathered.
func (m *Model) planInputs(a *bindings.Arena, tokens, sequences, keys int, weighted bool) {
	arrays := 3 // of tokens
	for _, r := range m.rows {
		if r.placed = !r.grad.Absent() && r.whole.Absent(); r.placed {
			arrays++
		}
	}
	if weighted {
		arrays++
	}
	gathered := 0
	if keys > 0 {
		gathered = 2*packedLen(keys) + packedLen(tokens+1) + packedLen(sequences+1)
	}
	m.inputs.packed = a.New(bindings.I32, 1, arrays*packedLen(tokens)+2*packedLen(sequences+1)+packedLen(m.decoding.boundaries())+packedLen(m.decoding.tokens())+gathered+2*packedAlignment)
}
