package merge

import (
	"io/fs"
	"slices"
	"sync"

	"qlora/checkpoint"
	"qlora/nn/quantize"
)

// A View is a base with adapters as a checkpoint whose tensors are merged as they are
// read. The elements of a merged tensor are the float32 sums, which no type has rounded.
type View struct {
	job    *Job
	names  []string
	twin   string // the head that an adapter parted from the embedding; "": none
	source string // the embedding, if there is a twin
}

// Open returns the view of a base with adapters. opts.OutputDir and the options of the
// output are not used. product computes B·A. Closing the view closes the base and the
// adapters.
func Open(opts Options, product Product) (*View, error) {
	in4Bit := false
	opts.In4Bit, opts.DType, opts.Shard = &in4Bit, "", ""
	j, err := newJob(&Job{opts: opts, view: true}, quantize.DefaultOptions(), product, func() (checkpoint.Checkpoint, error) { return checkpoint.Open(opts.Model) })
	if err != nil {
		return nil, err
	}
	v := &View{job: j}
	head, embedding := j.model.Stored(j.model.Head.Name+".weight"), j.model.Stored(j.model.Embedding.Name+".weight")
	v.names = slices.DeleteFunc(slices.Clone(j.base.Names()), func(name string) bool { return name == head && j.model.Tied() })
	if j.model.Tied() && !j.tied {
		v.names, v.twin, v.source = append(v.names, head), head, embedding
		slices.Sort(v.names)
	}
	return v, nil
}

// Notes returns messages about what is not read of the configurations.
func (v *View) Notes() []string { return v.job.Notes() }

// part returns the weight called name.
func (v *View) part(name string) (part, error) {
	source, own := name, v.job.names[name]
	if name == v.twin {
		source, own = v.source, v.job.model.Head.Name+".weight"
	}
	return v.job.part(name, source, own)
}

// Shape returns the shape of a tensor without computing it.
func (v *View) Shape(name string) ([]int, error) {
	p, err := v.part(name)
	if err == nil && p.transposed {
		return []int{p.shape[1], p.shape[0]}, nil
	}
	return p.shape, err
}

// DType returns the type of most elements of the base, or of those that its quantized
// weights were made from.
func (v *View) DType() checkpoint.DType {
	elements := map[checkpoint.DType]int{}
	best := checkpoint.F32
	for _, name := range v.names {
		if p, err := v.part(name); err == nil {
			if elements[p.dtype] += p.tensor.Elements(); elements[p.dtype] > elements[best] {
				best = p.dtype
			}
		}
	}
	return best
}

// Tensor returns a tensor of the base, or the merged one. A matrix that the folder has
// transposed, and a base that the adapter changes, are computed at once; others by rows
// as they are read.
func (v *View) Tensor(name string) (checkpoint.Tensor, error) {
	p, err := v.part(name)
	if err != nil {
		return checkpoint.Tensor{}, err
	}
	j, t := v.job, p.tensor
	if t.Name = name; !j.touched(p) && (t.IsDense() || !p.transposed) {
		return t, nil
	}
	m := j.matrix(p)
	merged := &mergedRows{matrix: m}
	t = checkpoint.Tensor{Name: name, Shape: p.shape, DType: checkpoint.F32, Encoding: merged}
	if p.transposed {
		values := make([]float32, m.rows*m.cols)
		merged.Floats(values, 0)
		shape := []int{p.shape[1], p.shape[0]}
		return checkpoint.NewDense(name, checkpoint.F32, shape, checkpoint.F32.AppendFloats(nil, transposed(values, m.rows, m.cols))), nil
	}
	return t, nil
}

// mergedRows computes merged rows as they are read.
type mergedRows struct {
	*matrix
	lanes sync.Pool
}

// Floats fills dst with the elements from number from on.
func (r *mergedRows) Floats(dst []float32, from int) {
	height := max(1, pieceElements/max(1, r.cols))
	l, ok := r.lanes.Get().(*lane)
	if !ok {
		n := min(height, r.rows) * r.cols
		l = &lane{w: make([]float32, n), base: make([]float32, n), delta: make([]float32, n)}
	}
	defer r.lanes.Put(l)
	for len(dst) > 0 {
		first := from / r.cols
		last := min(first+height, (from+len(dst)+r.cols-1)/r.cols)
		n := copy(dst, l.values(r.matrix, first, last)[from-first*r.cols:])
		dst, from = dst[n:], from+n
	}
}

// Bytes returns the size of the elements in float32.
func (r *mergedRows) Bytes() int64 { return 4 * int64(r.rows) * int64(r.cols) }

// Release releases the pages of a tensor's source.
func (v *View) Release(name string) {
	if name == v.twin {
		name = v.source
	}
	v.job.base.Release(name)
}

// Where returns the place of a tensor in the base.
func (v *View) Where(name string) string { return v.job.base.Where(name) }

// Source returns the file that lists the base's tensors.
func (v *View) Source() string { return v.job.base.Source() }

// Config returns the merged model's config.json.
func (v *View) Config() []byte { return v.job.writer.Config }

// Names returns the names of the merged model's tensors.
func (v *View) Names() []string { return v.names }

// Shards returns all names as one file's.
func (v *View) Shards() [][]string { return [][]string{v.names} }

// Files returns the files next to the base's weights.
func (v *View) Files() fs.FS { return v.job.base.Files() }

// Tokenizer returns the files of the merged model's tokenizer, the last adapter's that has
// one or else the base's, and the folder's name or that of the base's GGUF file.
func (v *View) Tokenizer() (files fs.FS, name string) {
	return v.job.tokenizerFiles(), v.job.tokenizerFolder()
}

// Close closes the base and the adapters.
func (v *View) Close() error { return v.job.Close() }

var _ checkpoint.Checkpoint = (*View)(nil)
