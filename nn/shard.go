package nn

import (
	"fmt"

	"qlora/bindings"
)

// A Gatherer begins to fill all with the parts of all ranks in their order, next to what the device
// computes; arrive makes later work wait for it. It is a collective call: every rank makes the same
// ones in the same order, and one is under way at a time.
type Gatherer func(dev bindings.Device, all, part bindings.Tensor) (arrive func() error, err error)

// gatherBuffers are where whole layers are, by turns.
var gatherBuffers = [2]bindings.Category{bindings.Gathered0, bindings.Gathered1}

// shards are the layers of a model in parts. They are whole in two buffers by turns: those
// that have the same buffer lie at the same places in it, and one of them is there at a time.
type shards struct {
	parts  int // of each layer; 0, 1: it is whole on every rank
	rank   int // which part is here
	gather Gatherer
	held   [len(gatherBuffers)]*shard // which layer each buffer has, or gets; nil: none
	coming func() error               // waits for the gather that is under way; nil: there is none
	next   int                        // buffer of the next layer that is laid out
	err    error                      // the first of a gather

	walks   map[Walk][]*shard
	planned []*shard // what the walk on a dry device has needed
}

// A shard is one layer's.
type shard struct {
	of     *shards
	buffer int             // among gatherBuffers
	part   bindings.Tensor // U8: this rank's
	whole  bindings.Tensor // U8, in the buffer
}

// ShareOut says which of Options.Shards parts the model holds, and what gathers all. Call it
// before Load.
func (m *Model) ShareOut(rank int, gather Gatherer) { m.shards.rank, m.shards.gather = rank, gather }

// Sharded reports whether the model holds only a part of every layer.
func (m *Model) Sharded() bool { return m.shards.parts > 1 }

// begin starts to bring a layer into its buffer, if it is not there. What is computed until need may
// not use the buffer.
func (s *shard) begin(dev bindings.Device) {
	if s == nil {
		return
	}
	if _, dry := dev.(*bindings.Dry); dry {
		s.of.planned = append(s.of.planned, s)
		return
	}
	if s.of.held[s.buffer] == s {
		return
	}
	s.of.arrive()
	s.of.held[s.buffer] = s
	var err error
	s.of.coming, err = s.of.gather(dev, s.whole, s.part)
	s.of.failed(err)
}

// need makes what is computed next wait until a layer is in its buffer.
func (s *shard) need(dev bindings.Device) {
	if s != nil {
		s.begin(dev)
		s.of.arrive()
	}
}

// arrive waits for the gather that is under way.
func (s *shards) arrive() {
	if arrive := s.coming; arrive != nil {
		s.coming = nil
		s.failed(arrive())
	}
}

func (s *shards) failed(err error) {
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("gather a layer of the base: %w", err)
	}
}

// own returns the place of this rank's part in the buffer.
func (s *shard) own() bindings.Tensor {
	n := s.part.Len()
	return s.whole.Columns(s.of.rank*n, (s.of.rank+1)*n)
}

// keep stores this rank's part of a layer that is in its buffer; nil does nothing.
func (s *shard) keep(dev bindings.Device) {
	if s == nil {
		return
	}
	dev.Run(&bindings.Copy{Dst: s.part, Src: s.own()})
}

// use brings layer i together before it is computed with, and begins to with the one that is computed
// with next: its buffer is free from here on.
func (m *Model) use(dev bindings.Device, i, next int) {
	m.Layers[i].shard.need(dev)
	if next >= 0 && next < len(m.Layers) {
		m.Layers[next].shard.begin(dev)
	}
}

// A Walk is a way through the layers.
type Walk uint8

// The walks of what ranks share.
const (
	WalkTrain    Walk = iota // of Train, TrainCompared and TrainPolicy
	WalkEvaluate             // of Evaluate, EvaluateCompared and EvaluatePolicy
	WalkLogProbs             // of LogProbs
)

// Accompany gathers the layers as a walk does: for a rank that has nothing to compute while
// others, which need its parts, do.
func (m *Model) Accompany(dev bindings.Device, w Walk) error {
	for _, s := range m.shards.walks[w] {
		s.need(dev)
	}
	return m.shards.err
}

// walking plans a walk: it runs do, which is one on a dry device.
func (m *Model) walking(w Walk, do func() error) error {
	m.shards.planned = nil
	err := do()
	m.shards.walks[w] = m.shards.planned
	return err
}

// beginShard makes the linear layers that are declared next parts of a layer in a buffer.
func (d *declarer) beginShard() {
	if s := &d.m.shards; d.m.Sharded() {
		d.shard = &shard{of: s, buffer: s.next}
		d.m.memory.Arena(gatherBuffers[s.next]).Release(0)
	}
}

// endShard lays out this rank's part of layer l.
func (d *declarer) endShard(l *Layer) {
	s := d.shard
	d.shard = nil
	if s == nil {
		return
	}
	buffer := d.m.memory.Arena(gatherBuffers[s.buffer])
	bytes := int(buffer.Mark())
	if bytes == 0 { // all of it is trained
		return
	}
	of := d.m.shards.parts
	part := (bytes + of*bindings.Alignment - 1) / (of * bindings.Alignment) * bindings.Alignment
	buffer.Release(0)
	s.whole = buffer.New(bindings.U8, 1, of*part)
	s.part = d.m.memory.Arena(bindings.Weights4Bit).New(bindings.U8, 1, part)
	l.shard = s
	for _, p := range l.projections() {
		p.shard = s
	}
	d.m.shards.next = 1 - s.buffer
}

// codes returns the arena of a frozen linear layer, otherwise being that of a rank that holds
// all.
func (d *declarer) codes(otherwise bindings.Category) *bindings.Arena {
	if d.shard != nil {
		return d.m.memory.Arena(gatherBuffers[d.shard.buffer])
	}
	return d.m.memory.Arena(otherwise)
}

// A span is the bytes of a weight in the buffer of its layer.
type span struct {
	shard    *shard // nil: the weight is whole on every rank
	from, to int64
}

// since returns the span of what an arena has allocated since a mark.
func (d *declarer) since(a *bindings.Arena, mark int64) span {
	return span{d.shard, mark, a.Mark()}
}

// ours reports whether this rank holds some of the weight.
func (s span) ours() bool {
	if s.shard == nil {
		return true
	}
	n := int64(s.shard.part.Len())
	first := int64(s.shard.of.rank) * n
	return s.from < first+n && s.to > first
}
