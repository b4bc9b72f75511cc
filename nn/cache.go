package nn

import "qlora/bindings"

// A cache holds the keys and values of one sequence during generation.
type cache struct {
	m         *Model
	mark      int64
	keys      []bindings.Tensor // per attention: [longest, kv heads·head_dim]
	values    []bindings.Tensor
	logits    bindings.Tensor // [1, vocabulary], of the next token
	past      int             // tokens so far
	longest   int
	ids       []int32 // so far
	sequences bindings.Sequences
}

// newCache allocates a cache for up to longest tokens.
func (m *Model) newCache(longest int) *cache {
	a := m.memory.Arena(bindings.Activations)
	c := &cache{m: m, mark: a.Mark(), longest: longest}
	for _, width := range m.cached {
		c.keys = append(c.keys, a.New(m.info.Activation, longest, width))
		c.values = append(c.values, a.New(m.info.Activation, longest, width))
	}
	c.logits = a.New(m.info.Activation, 1, m.Config.Vocabulary)
	return c
}

func (c *cache) close() { c.m.memory.Arena(bindings.Activations).Release(c.mark) }

// start copies the boundaries of the keys to the device.
func (c *cache) start(p *pass) error {
	c.sequences = bindings.Sequences{Starts: []int32{0, int32(c.past + p.tokens)}, Device: c.m.inputs.keyStarts}
	return p.dev.Write(c.sequences.Device, int32Bytes(c.sequences.Starts))
}

// extend appends the keys and values of an attention and returns all cached ones.
func (c *cache) extend(p *pass, attention int, k, v bindings.Tensor) (keys, values bindings.Tensor) {
	to := c.past + p.tokens
	p.run(&bindings.Copy{Dst: c.keys[attention].Slice(c.past, to), Src: k})
	p.run(&bindings.Copy{Dst: c.values[attention].Slice(c.past, to), Src: v})
	return c.keys[attention].Head(to), c.values[attention].Head(to)
}

// extend appends ids to the cache's sequence and writes the logits of the next
// token to c.logits.
func (m *Model) extend(dev bindings.Device, c *cache, ids []int32) error {
	c.ids = append(c.ids[:c.past], ids...)
	if m.switches(c.past, c.past+len(ids)) {
		ids, c.past = c.ids, 0
	}
	p, err := m.start(dev, &Batch{IDs: ids, Labels: make([]int32, len(ids)), Starts: []int32{0, int32(len(ids))}}, c)
	if err != nil {
		return err
	}
	mark := p.work.Mark()
	x := m.forward(p).x
	m.Head.logits(p, x.Slice(len(ids)-1, len(ids)), c.logits)
	p.work.Release(mark)
	c.past += len(ids)
	return nil
}

// switches reports whether growing from past to n tokens changes the RoPE table,
// which requires the keys to be recomputed.
func (m *Model) switches(past, n int) bool {
	for _, t := range m.tables {
		if r, ok := t.(*Rotary); ok && past > 0 && r.at(past) != r.at(n) {
			return true
		}
	}
	return false
}

// read copies the logits of the next token to logits as float32; raw is a buffer
// for them in the device's element type.
func (c *cache) read(dev bindings.Device, raw []byte, logits []float32) error {
	if err := dev.Read(raw, c.logits); err != nil {
		return err
	}
	decode(logits, raw, c.logits.DType)
	c.m.Head.finish(logits)
	return nil
}
