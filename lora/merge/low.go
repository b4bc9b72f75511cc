package merge

import (
	"fmt"
	"slices"
	"strings"

	"qlora/option"
)

// A Low is the change of one weight [out, in] by an adapter: scale · B · A.
type Low struct {
	Weight        string // the tensor's name in the base
	Rank, In, Out int
	Scale         float32
	A, B          []float32 // [rank, in], [out, rank]

	// Embedding marks the embedding, whose rows are tokens: [out, in] is [tokens, features].
	Embedding bool
	Head      bool
}

// Lows returns the changes of the view's one adapter, in the order of the base's names. It
// returns an error if the adapter is more than such changes, with what to do instead.
func (v *View) Lows() ([]Low, error) {
	j := v.job
	if len(j.adapters) != 1 {
		return nil, fmt.Errorf("there are %d adapters, and one is needed", len(j.adapters))
	}
	a := j.adapters[0]
	if err := v.only(a); err != nil {
		return nil, err
	}
	var all []Low
	for name, l := range a.layers {
		c, _ := a.change(name)
		out, in := l.B.Rows, l.A.Cols
		low := Low{Weight: j.model.Stored(name + ".weight"), Rank: c.rank, In: in, Out: out, Scale: c.scale, A: c.a, B: c.b}
		low.Embedding, low.Head = name == a.embedding, name == j.model.Head.Name
		if low.Embedding {
			low.Out, low.In = len(c.b)/c.rank, len(c.a)/c.rank
		}
		all = append(all, low)
	}
	slices.SortFunc(all, func(a, b Low) int { return strings.Compare(a.Weight, b.Weight) })
	return all, nil
}

// only returns an error for what an adapter has besides A and B.
func (v *View) only(a *adapter) error {
	dora := false
	for _, l := range a.layers {
		dora = dora || !l.Magnitude.Absent()
	}
	for _, more := range []struct {
		what string
		is   bool
	}{
		{"a magnitude per row (use_dora)", dora},
		{"weights that replace the base's (modules_to_save, bias)", len(a.saved) > 0},
		{"trained rows (trainable_token_indices)", len(a.rows) > 0},
		{"biases (lora_bias)", len(a.biases) > 0},
		{"an embedding of its own size or values", v.job.replaced},
		{"factors of the base (init_lora_weights)", a.on.ChangesBase()},
		{"an adapter on the head or the embedding, which the model shares,", v.job.model.Tied() && len(a.on.Ends()) > 0},
	} {
		if more.is {
			return option.Errorf("adapter_only", true, "%s has %s, which an adapter of llama.cpp cannot have: leave the option out to merge it", a.dir, more.what)
		}
	}
	return nil
}
