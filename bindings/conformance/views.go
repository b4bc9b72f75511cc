package conformance

// every declares a view of columns [from, from+width) of every period columns of base; with
// period base.Cols it is a plain range of columns.
func (f *fixture) every(name string, base *operand, period, from, width int) *operand {
	o := &operand{f: f, name: name + " of " + base.name, base: base, output: base.output}
	if period == base.Cols {
		o.Tensor = base.Columns(from, from+width)
	} else {
		o.Tensor = base.Every(period, from, width)
	}
	for i := range base.Rows {
		for group := 0; group < base.Cols; group += period {
			for j := range width {
				o.places = append(o.places, i*base.Cols+group+from+j)
			}
		}
	}
	base.views = append(base.views, o)
	if base.values != nil {
		o.values = picked(base.values, o.places)
	}
	return o
}

// slice declares a view of the rows [from, to) of base.
func (f *fixture) slice(name string, base *operand, from, to int) *operand {
	o := &operand{f: f, name: name + " of " + base.name, base: base, output: base.output, Tensor: base.Slice(from, to)}
	for i := from * base.Cols; i < to*base.Cols; i++ {
		o.places = append(o.places, i)
	}
	base.views = append(base.views, o)
	if base.values != nil {
		o.values = picked(base.values, o.places)
	}
	return o
}

// picked returns the elements of x at the given positions.
func picked(x []float64, places []int) []float64 {
	y := make([]float64, len(places))
	for i, at := range places {
		y[i] = x[at]
	}
	return y
}

// numbers returns the tensor's values on the device.
func (o *operand) numbers() []float64 {
	if o.base != nil {
		return picked(decode(o.DType, o.base.raw()), o.places)
	}
	return decode(o.DType, o.raw())
}

// written reports for each byte of o whether the operation may write it: all bytes of
// outputs and overwritten operands, but only the views' bytes if there are views.
func (o *operand) written(overwritten map[*operand]bool) []bool {
	size := int(o.DType.Size())
	all := make([]bool, o.Len()*size)
	whole := overwritten[o] || o.output && len(o.views) == 0
	for i := range all {
		all[i] = whole
	}
	for _, v := range o.views {
		if !v.output && !overwritten[v] {
			continue
		}
		for _, at := range v.places {
			for b := range size {
				all[at*size+b] = true
			}
		}
	}
	return all
}

// A layout is the arrangement of attention's queries, keys and values in one tensor.
type layout string

// The layouts of fused projections: three blocks, or for each key head its queries, the
// key and the value.
const (
	apart  layout = ""
	blocks layout = "blocks"
	byKey  layout = "by key head"
)

// A fused holds queries, keys and values, which may be columns of one tensor.
type fused struct{ q, k, v *operand }

// fuse returns the views of base.
func (l layout) fuse(f *fixture, base *operand, heads, kvHeads, dim int) fused {
	q, kv := heads*dim, kvHeads*dim
	if l == blocks {
		return fused{
			f.every("Q", base, base.Cols, 0, q), f.every("K", base, base.Cols, q, kv), f.every("V", base, base.Cols, q+kv, kv),
		}
	}
	group := (heads/kvHeads + 2) * dim
	return fused{
		f.every("Q", base, group, 0, group-2*dim), f.every("K", base, group, group-2*dim, dim), f.every("V", base, group, group-dim, dim),
	}
}

// triple declares queries, keys and values: three tensors, or views of one tensor if there
// are as many queries as keys, else of two.
func (l layout) triple(f *fixture, prefix string, tokens, keys, heads, kvHeads, dim int, declare func(name string, rows, cols int) *operand) fused {
	q, kv := heads*dim, kvHeads*dim
	if l == apart {
		return fused{declare(prefix+"Q", tokens, q), declare(prefix+"K", keys, kv), declare(prefix+"V", keys, kv)}
	}
	all := l.fuse(f, declare(prefix+"QKV", tokens, q+2*kv), heads, kvHeads, dim)
	if keys != tokens {
		cache := declare(prefix+"QKV cache", keys, q+2*kv)
		all.q.base.views = []*operand{all.q}
		cached := l.fuse(f, cache, heads, kvHeads, dim)
		cache.views = []*operand{cached.k, cached.v}
		all.k, all.v = cached.k, cached.v
	}
	return all
}
