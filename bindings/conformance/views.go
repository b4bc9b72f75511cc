package conformance

// every returns the operand that views width columns from column from on in every period
// columns of base: all of its columns from that one on where the period is base's own.
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

// picked returns the elements of x at the given places.
func picked(x []float64, places []int) []float64 {
	y := make([]float64, len(places))
	for i, at := range places {
		y[i] = x[at]
	}
	return y
}

// numbers returns what lies in the tensor on the device.
func (o *operand) numbers() []float64 {
	if o.base != nil {
		return picked(decode(o.DType, o.base.raw()), o.places)
	}
	return decode(o.DType, o.raw())
}

// written reports for each byte of o whether an operation was to write it: all of an
// output and of what is overwritten, or of one with views the views alone.
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

// A layout says where in one tensor queries, keys and values of attention lie.
type layout string

// The layouts of fused projections: three blocks, or each key head with its queries
// before it and its value behind.
const (
	apart  layout = ""
	blocks layout = "blocks"
	byKey  layout = "by key head"
)

// fused is queries, keys and values, which may be columns of one tensor.
type fused struct{ q, k, v *operand }

// fuse views base.
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

// triple returns queries, keys and values: three tensors, or views of one where the
// queries are as many as the keys, and of two where they are not.
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
