package nn

import (
	"math"

	"qlora/bindings"
	"qlora/option"
)

// Embedding turns token ids into the residual stream:
//
//	x = dropout(Norm(Project(Scale·Table[id]) + Positions[position]))
type Embedding struct {
	Name      string      // the module's name
	Size      int         // features per row of the table; 0: hidden
	Scale     float32     // 0: 1, no scaling
	Rounded   bool        // round Scale to the activations' type (Gemma)
	Project   *Projection // from Size to hidden; nil: none
	Positions *Positions  // learned; nil: none
	Norm      *Norm       // nil: none
	Dropout   float32

	stream uint32
	table  bindings.Tensor // [vocabulary, Size]
	grad   bindings.Tensor // F32; absent: frozen
	rows   *Rows           // of the table that are trained alone; nil: none

	adapter *EmbeddingAdapter // nil: none
}

// Positions is a table of learned position embeddings.
type Positions struct {
	Name   string
	Rows   int // of the table
	Offset int // row of position 0

	table bindings.Tensor // [Rows, hidden]
	grad  bindings.Tensor
}

// Longest returns the longest sequence the table covers, in tokens.
func (p *Positions) Longest() int { return p.Rows - p.Offset }

func (e *Embedding) declare(d *declarer) {
	c := d.m.Config
	if e.Size == 0 {
		e.Size = c.Hidden
	}
	if e.Rounded {
		scale, dtype := []float32{e.Scale}, d.m.info.Activation
		decode(scale, encode(scale, dtype), dtype)
		e.Scale = scale[0]
	}
	e.stream = d.stream()
	source := weightSource{name: e.Name + ".weight", module: e.Name, kind: table, grad: &e.grad}
	d.m.stays = d.stays(e)
	if d.m.Options.EmbeddingOnHost {
		if d.m.stays != "" && d.err == nil {
			d.err = option.Errorf("embedding_on_host", true, "%s: leave it out", d.m.stays)
		}
		source.host = true
	}
	e.table = d.dense(source, c.Vocabulary, e.Size)
	e.rows = d.trainRows(e.Name, d.name(e.Name+".weight"), e.table)
	if e.Positions != nil {
		e.Positions.table = d.dense(weightSource{name: e.Positions.Name + ".weight", module: e.Positions.Name, kind: table, grad: &e.Positions.grad}, e.Positions.Rows, c.Hidden)
	}
	if e.Project != nil {
		d.projection(e.Project)
	}
	e.Norm.declare(d)
}

// stays returns why the table cannot be in the host's memory; "": it can.
func (d *declarer) stays(e *Embedding) string {
	switch {
	case d.trains(e.Name) || len(d.tokensOf(e.Name)) > 0:
		return "the embedding is trained"
	case d.m.Config.Tied && !d.separates():
		return "this model's output head is its embedding"
	}
	return ""
}

// trained reports whether any tensor of e needs a gradient.
func (e *Embedding) trained() bool {
	return e.tableTrained() || e.Norm.trained() || e.Positions != nil && !e.Positions.grad.Absent() ||
		e.Project != nil && (e.Project.Adapter != nil || !e.Project.DWeight.Absent() || !e.Project.DBias.Absent())
}

// tableTrained reports whether the table, or rows of it, need a gradient.
func (e *Embedding) tableTrained() bool {
	return !e.grad.Absent() || e.rows != nil && !e.rows.grad.Absent() || e.adapter.trained()
}

// An embeddingState holds what backward reads.
type embeddingState struct {
	sum bindings.Tensor // before the norm
	xa  bindings.Tensor
}

// look returns Scale·Table[id] plus NEFTune's noise, in arena a.
func (e *Embedding) look(p *pass, a *bindings.Arena) bindings.Tensor {
	x := p.features(a, e.Size)
	p.run(&bindings.Embed{
		IDs: column(p.m.inputs.ids, p.tokens), Table: e.table, Y: x, Scale: e.Scale,
		Noise: p.m.noise(p.longest, e.Size), DeviceNoise: p.bound, Random: p.random,
	})
	e.adapter.add(p, e, x)
	return x
}

// forward returns x [tokens, hidden] in arena out, as the first tensor there, and what backward reads in arena to.
func (e *Embedding) forward(p *pass, to, out *bindings.Arena) (bindings.Tensor, embeddingState) {
	s := embeddingState{}
	var x bindings.Tensor
	first := out
	if e.Norm != nil {
		first = to
	}
	if e.Project == nil {
		x = e.look(p, first)
	} else {
		x, s.xa = p.hidden(first), p.xa(to, e.Project)
		mark := p.work.Mark()
		p.project(e.Project, e.look(p, p.work), x, bindings.Tensor{}, s.xa)
		p.work.Release(mark)
	}
	if e.Positions != nil {
		p.run(&bindings.Embed{IDs: p.positions, Table: e.Positions.rows(), Y: x, Accumulate: true})
	}
	if e.Norm != nil {
		s.sum = x
		x, _ = p.normalize(out, e.Norm, x)
	}
	if e.Dropout > 0 {
		p.run(&bindings.Add{X: x, Y: x, Dropout: e.Dropout, Stream: e.stream, Random: p.random})
	}
	return x, s
}

func (p *Positions) rows() bindings.Tensor { return p.table.Slice(p.Offset, p.Rows) }

// backward adds to the gradients of trained tensors; d is the gradient of x.
func (e *Embedding) backward(p *pass, s embeddingState, d bindings.Tensor) {
	if e.Dropout > 0 {
		p.run(&bindings.AddBackward{DY: d, DX: d, Dropout: e.Dropout, Stream: e.stream, Random: p.random})
	}
	if e.Norm != nil {
		_, stats := p.normalize(p.work, e.Norm, s.sum)
		p.normalizeBackward(e.Norm, s.sum, stats, d, d, false)
	}
	if e.Positions != nil && !e.Positions.grad.Absent() {
		p.run(&bindings.EmbedBackward{IDs: p.positions, DY: d, DTable: e.Positions.grad.Slice(e.Positions.Offset, e.Positions.Rows), Pad: -1})
	}
	if e.Project != nil {
		var to *target
		if e.tableTrained() {
			dx := p.features(p.work, e.Size)
			to = &target{room: func() bindings.Tensor { return dx }}
		}
		p.projectBackward(e.look(p, p.work), to, e.Project.back(d, s.xa))
		if to == nil {
			return
		}
		d = to.room()
	}
	e.adapter.backward(p, e, d)
	switch {
	case !e.grad.Absent():
		p.run(&bindings.EmbedBackward{IDs: column(p.m.inputs.ids, p.tokens), DY: d, DTable: e.grad, Scale: e.Scale, Pad: p.m.Config.Pad})
	case e.rows != nil && !e.rows.grad.Absent():
		p.run(&bindings.EmbedBackward{IDs: column(e.rows.places, p.tokens), DY: d, DTable: e.rows.grad, Scale: e.Scale, Pad: int32(len(e.rows.IDs))})
	}
}

// noise returns the bound of NEFTune's uniform noise; 0 if it is disabled.
func (m *Model) noise(longest, features int) float32 {
	if m.Options.NoiseAlpha == 0 || longest == 0 {
		return 0
	}
	return float32(m.Options.NoiseAlpha / math.Sqrt(float64(longest*features)))
}
