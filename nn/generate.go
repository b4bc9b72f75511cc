package nn

import (
	"context"
	"fmt"
	"slices"

	"qlora/bindings"
)

// Sampling says how the next token is chosen from the logits.
type Sampling struct {
	Temperature float64 // 0: the likeliest token (greedy)
	TopK        int     // only the k likeliest; 0: all
	TopP        float64 // only the likeliest that add up to p; 1: all
	Seed        uint64
}

// generation is one sequence being extended: the keys and values of what it has
// so far.
type generation struct {
	m      *Model
	mark   int64
	k, v   []bindings.Tensor // a layer each: [longest, kv heads·head_dim]
	logits bindings.Tensor   // [1, vocabulary]
	past   int
}

func (m *Model) newGeneration(longest int) *generation {
	a := m.memory.Arena(bindings.Activations)
	g := &generation{m: m, mark: a.Mark()}
	for range m.layers {
		g.k = append(g.k, a.New(m.info.Activation, longest, m.Config.KVHeads*m.Config.HeadDim))
		g.v = append(g.v, a.New(m.info.Activation, longest, m.Config.KVHeads*m.Config.HeadDim))
	}
	g.logits = a.New(m.info.Activation, 1, m.Config.Vocabulary)
	return g
}

func (g *generation) close() { g.m.memory.Arena(bindings.Activations).Release(g.mark) }

// extend appends ids to the sequence and leaves the logits of what follows in
// g.logits.
func (g *generation) extend(dev bindings.Device, ids []int32) error {
	m := g.m
	labels := make([]int32, len(ids))
	p, err := m.start(dev, &Batch{IDs: ids, Labels: labels, Starts: []int32{0, int32(len(ids))}})
	if err != nil {
		return err
	}
	positions := make([]int32, len(ids))
	for i := range positions {
		positions[i] = int32(g.past + i)
	}
	keys := bindings.Sequences{Starts: []int32{0, int32(g.past + len(ids))}, Device: m.inputs.keyStarts}
	if err := dev.Write(p.positions, int32Bytes(positions)); err != nil {
		return err
	}
	if err := dev.Write(keys.Device, int32Bytes(keys.Starts)); err != nil {
		return err
	}
	mark := p.work.Mark()
	x, y := p.embed(p.work), p.hidden(p.work)
	for i, l := range m.layers {
		inner := p.work.Mark()
		a := &activations{in: x}
		l.queryKeyValue(p, a, p.work)
		g.attend(p, l, a, i, keys)
		l.output(p, a, p.work)
		l.mlp(p, a, y, p.work)
		p.work.Release(inner)
		x, y = y, x
	}
	last, _ := p.normalize(p.work, &m.norm, x.Slice(len(ids)-1, len(ids)))
	dev.Project(&bindings.Project{X: last, Parts: []bindings.Part{{Linear: &m.head.Linear, Y: g.logits}}})
	p.work.Release(mark)
	g.past += len(ids)
	return nil
}

// attend appends the layer's keys and values to the cache and attends over all
// of it.
func (g *generation) attend(p *pass, l *layer, a *activations, i int, keys bindings.Sequences) {
	to := g.past + p.tokens
	p.dev.Copy(g.k[i].Slice(g.past, to), a.k)
	p.dev.Copy(g.v[i].Slice(g.past, to), a.v)
	a.k, a.v = g.k[i].Head(to), g.v[i].Head(to)
	a.attended = p.features(p.work, a.q.Cols)
	op := p.attention(l, a)
	op.Keys = keys
	p.dev.Attend(op)
}

// Generate extends prompt by up to most tokens, and calls emit for each as it
// comes; emit returning false ends it, and so do stop tokens (not emitted), the
// planned length, and ctx. It returns how many tokens were emitted.
func (m *Model) Generate(ctx context.Context, dev bindings.Device, prompt []int32, most int, s Sampling, stop []int32, emit func(int32) bool) (int, error) {
	longest := m.generate
	if len(prompt) == 0 {
		return 0, fmt.Errorf("the prompt has no tokens; this model needs at least one to begin with")
	}
	if len(prompt)+most > longest {
		return 0, fmt.Errorf("%d prompt tokens and %d new ones are more than the %d planned for", len(prompt), most, longest)
	}
	g := m.newGeneration(longest)
	defer g.close()
	sampler := newSampler(s, m.Config.Vocabulary)
	raw := make([]byte, g.logits.Bytes())
	logits := make([]float32, m.Config.Vocabulary)
	next := prompt
	for n := range most {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		if err := g.extend(dev, next); err != nil {
			return n, err
		}
		if err := dev.Read(raw, g.logits); err != nil {
			return n, err
		}
		decode(logits, raw, g.logits.DType)
		id, err := sampler.next(logits, n)
		if err != nil {
			return n, err
		}
		if slices.Contains(stop, id) {
			return n, nil
		}
		if !emit(id) {
			return n + 1, nil
		}
		next = []int32{id}
	}
	return most, nil
}
