package dataset

import (
	"bytes"
	"fmt"
	"slices"
)

// recordWeights are the names of a record's weight in the loss: a number or, beside
// input_ids, a list with one for each token.
var recordWeights = []string{"weight", "loss_weight", "sample_weight"}

// weight returns the factor of the loss of the record's tokens. A record of 0 is dropped. A
// text that is no number, and a list, are not weights of records.
func (r *record) weight(opt *Options) (float64, error) {
	for _, name := range recordWeights {
		if !r.present(name) {
			continue
		}
		weight, ok := number(string(r.raw(name)))
		if !ok {
			continue
		}
		r.use(name)
		switch {
		case !(weight >= 0 && weight <= maxWeight): // false for NaN
			return 0, refuse("%q is %s, but a record's weight in the loss must be from 0 to %d; leave the column out by `columns` %s=",
				name, shown(r.raw(name)), maxWeight, name)
		case opt.Compare != "" && weight != 0 && weight != 1:
			return 0, refuse("%q is %s, but only `objective` sft weighs records; 0 drops one and 1 keeps it; leave the column out by `columns` %s=",
				name, shown(r.raw(name)), name)
		}
		return weight, nil
	}
	return 1, nil
}

// weigh multiplies the loss of every token of an example.
func (e *Example) weigh(weight float64) {
	if weight == 1 {
		return
	}
	if e.Weights == nil {
		e.Weights = slices.Repeat([]float32{1}, len(e.IDs))
	}
	for i := range e.Weights {
		e.Weights[i] *= float32(weight)
	}
}

// addWeights adds the weights of the document that was appended, nil for 1 each.
func (e *Example) addWeights(of []float32) {
	if e.Weights == nil && of == nil {
		return
	}
	before := len(e.IDs) - len(of)
	e.Weights = append(e.Weights, slices.Repeat([]float32{1}, before-len(e.Weights))...)
	e.Weights = append(e.Weights, of...)
}

// weigh counts a record of these examples if it has weights.
func (f *FileReport) weigh(examples []Example) {
	has := false
	for _, e := range examples {
		for _, w := range e.Weights {
			if w == 0 {
				continue
			}
			if f.Weighed == 0 && !has {
				f.Lightest, f.Heaviest = w, w
			}
			has = true
			f.Lightest, f.Heaviest = min(f.Lightest, w), max(f.Heaviest, w)
		}
	}
	if has {
		f.Weighed++
	}
}

// tokenWeights returns the product of the lists of weights beside n input_ids; nil if all are
// 0 or 1. It ignores the labels of tokens of weight 0.
func (r *record) tokenWeights(labels []int32) ([]float32, error) {
	weights := slices.Repeat([]float32{1}, len(labels))
	weighed := false
	for _, name := range recordWeights {
		if !r.isList(name) {
			continue
		}
		r.use(name)
		list, err := r.floats(name, len(labels))
		if err != nil {
			return nil, err
		}
		for i, x := range list {
			if !(x >= 0 && x <= maxWeight) {
				return nil, fmt.Errorf("element %d of %q is %g; a weight in the loss must be from 0 to %d", i, name, x, maxWeight)
			}
			if x == 0 {
				labels[i] = Ignored
			}
			weighed = weighed || x != 0 && x != 1
			weights[i] *= float32(x)
		}
	}
	if !weighed {
		return nil, nil
	}
	return weights, nil
}

// floats returns a field that is a list of n numbers or truth values.
func (r *record) floats(name string, n int) ([]float64, error) {
	raw := bytes.TrimSpace(r.fields[name])
	if len(raw) < 2 || raw[0] != '[' {
		return nil, fmt.Errorf("%q is %s, not a list of numbers", name, shown(r.raw(name)))
	}
	var list []float64
	if body := bytes.TrimSpace(raw[1 : len(raw)-1]); len(body) > 0 {
		for item := range bytes.SplitSeq(body, []byte{','}) {
			item = bytes.TrimSpace(item)
			x, ok := number(string(item))
			if !ok {
				return nil, fmt.Errorf("element %d of %q is %s; it must be a number", len(list), name, shown(item))
			}
			list = append(list, x)
		}
	}
	if len(list) != n {
		return nil, fmt.Errorf("%q has %d elements, but must have %d", name, len(list), n)
	}
	return list, nil
}
