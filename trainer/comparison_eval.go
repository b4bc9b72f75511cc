package trainer

import (
	"context"

	"qlora/bindings"
	"qlora/nn"
	"qlora/trainer/dataset"
)

// Comparisons are the micro-batches of an evaluation of completions that are compared or
// judged.
type Comparisons struct {
	comparer *comparer
	batches  []*nn.Comparison
	records  []int // of each
}

// NewComparisons divides examples into micro-batches of up to PerDeviceEvalBatchSize records,
// in order. The settings' objective must compare.
func NewComparisons(a *Args, examples []dataset.Example) *Comparisons {
	c := &Comparisons{comparer: a.comparer()}
	size := a.EvalBatchSize
	for from := 0; from < len(examples); from += size {
		var indices []int
		for i := from; i < min(from+size, len(examples)); i++ {
			indices = append(indices, i)
		}
		c.batches = append(c.batches, c.comparer.comparison(examples, indices))
		c.records = append(c.records, len(indices))
	}
	return c
}

// HasReference reports whether the settings' objective compares with a reference model.
func (a *Args) HasReference() bool {
	o := a.objective()
	return o != nil && (o.reference || o.samples && a.Beta != 0)
}

// Shapes returns what a model must plan for. reference is nil without a reference model.
func (c *Comparisons) Shapes(reference *nn.Overlay) nn.Shapes {
	shapes := nn.Shapes{Compare: c.comparer.comparing()}
	shapes.Compare.Reference = reference
	for _, b := range c.batches {
		shapes.Evaluate = append(shapes.Evaluate, b.Batch)
		if b.Others != nil {
			shapes.Evaluate = append(shapes.Evaluate, b.Others)
		}
	}
	return shapes
}

// Evaluate returns the loss, as a mean over records, and what an evaluation's row has of the
// comparisons, by names without a prefix. tell is called with the records done.
func (c *Comparisons) Evaluate(ctx context.Context, m *nn.Model, dev bindings.Device, tell func(done int)) (float64, map[string]Number, error) {
	var all sums
	loss, done := 0.0, 0
	for i, b := range c.batches {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		tell(done)
		if err := m.EvaluateCompared(dev, b); err != nil {
			return 0, nil, err
		}
		raw, err := m.Compared(dev)
		if err != nil {
			return 0, nil, err
		}
		var s sums
		for _, v := range raw {
			s = append(s, float64(v))
		}
		all.add(s)
		loss += s[bindings.StatLoss] * float64(c.records[i])
		done += c.records[i]
	}
	tell(done)
	return loss / float64(done), c.comparer.row(all, ""), nil
}
