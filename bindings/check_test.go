package bindings

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nf4"
)

// TestCheck breaks one thing at a time and checks the message. The conformance suite
// shows that valid operations pass.
func TestCheck(t *testing.T) {
	a := NewMemory().Arena(Activations)
	f := func(rows, cols int) Tensor { return a.New(F32, rows, cols) }
	x, y, v := f(4, 8), f(4, 8), f(1, 8)
	ids := a.New(I32, 1, 4)
	seq := Sequences{Starts: []int32{0, 4}}
	linear := func(change func(*Linear)) *Linear {
		l := &Linear{
			Name: "some.layer", Weight: Weight{Out: 8, In: 8, Dense: f(8, 8)},
			Adapter: &Adapter{A: f(2, 8), B: f(8, 2)},
		}
		change(l)
		return l
	}
	project := func(change func(*Project, *Linear)) *Project {
		l := linear(func(*Linear) {})
		op := &Project{X: x, Parts: []Part{{Linear: l, Y: y, XA: f(4, 2)}}}
		change(op, l)
		return op
	}
	projectBackward := func(change func(*ProjectBackward, *Linear)) *ProjectBackward {
		l := linear(func(*Linear) {})
		op := &ProjectBackward{X: x, Parts: []PartBackward{{Linear: l, XA: f(4, 2), DY: f(4, 8), DA: f(2, 8), DB: f(8, 2)}}, DX: f(4, 8)}
		change(op, l)
		return op
	}
	attend := func(change func(*Attend)) *Attend {
		op := &Attend{Q: x, K: f(4, 4), V: f(4, 4), O: y, LSE: f(4, 2), Queries: seq, Keys: seq, Heads: 2, KVHeads: 1, HeadDim: 4}
		change(op)
		return op
	}
	attendBackward := func(change func(*AttendBackward)) *AttendBackward {
		op := &AttendBackward{Attend: *attend(func(*Attend) {}), DO: f(4, 8), DQ: f(4, 8), DK: f(4, 4), DV: f(4, 4)}
		change(op)
		return op
	}
	optimize := func(change func(*Optimize, *Param)) *Optimize {
		p := Param{Name: "w", Value: f(3, 100), Grad: f(3, 100), Rate: 1}
		p.Master = p.Value
		op := &Optimize{Rule: AdamW{}, Step: 1, Clip: f(1, 2)}
		p.M, p.V = OptimizerState{Rule: op.Rule, EightBit: true}.Moments(a, 3, 100, false)
		change(op, &p)
		op.Params = []Param{p}
		return op
	}
	bare := func() *Linear { return linear(func(l *Linear) { l.Adapter = nil }) }
	headLoss := func(change func(*HeadLoss)) *HeadLoss {
		op := &HeadLoss{X: x, Linear: bare(), Labels: ids, Stats: f(1, 3), DX: f(4, 8)}
		change(op)
		return op
	}
	wide := f(4, 24)
	hosted := NewMemory().Arena(HostEmbedding).New(F32, 4, 8)
	grouped := wide.Every(12, 0, 4) // [4, 8] in groups of 4

	for _, op := range []Operation{
		optimize(func(*Optimize, *Param) {}),
		project(func(*Project, *Linear) {}),
		projectBackward(func(*ProjectBackward, *Linear) {}),
		attend(func(*Attend) {}),
		attendBackward(func(*AttendBackward) {}),
		headLoss(func(*HeadLoss) {}),
		project(func(op *Project, _ *Linear) {
			op.After = &Activate{G: y.Columns(0, 4), U: y.Columns(4, 8), Y: f(4, 4)}
		}),
		// Operands that may share their place.
		&Norm{X: x, Y: x},
		&NormBackward{Norm: Norm{X: x, RStd: f(1, 4)}, DY: y, DX: y},
		&NormBackward{Norm: Norm{X: x}, DY: y, DX: f(4, 8), Accumulate: true, Again: y},
		&Norm{X: x, Y: y, Residual: y},
		&Norm{X: x.Reshape(8, 4), Y: y.Reshape(8, 4), After: &RoPE{X: y, Heads: 2, HeadDim: 4, Positions: ids, Cos: f(9, 2), Sin: f(9, 2)}},
		projectBackward(func(op *ProjectBackward, _ *Linear) {
			follow(op, y, &NormBackward{Norm: Norm{X: f(4, 8)}, DY: y, DX: f(4, 8), Accumulate: true, Again: y})
		}),
		projectBackward(func(op *ProjectBackward, _ *Linear) {
			follow(op, y, &ActivateBackward{Activate: Activate{G: wide.Columns(0, 8)}, DY: y, DG: wide.Columns(0, 8), Again: y})
		}),
		&Activate{G: wide.Columns(0, 8), U: wide.Columns(8, 16), Y: y},
		&ActivateBackward{Activate: Activate{G: wide.Columns(0, 8), U: wide.Columns(8, 16)}, DY: y, DG: wide.Columns(0, 8), DU: wide.Columns(8, 16)},
		&ActivateBackward{Activate: Activate{G: x}, DY: y, DG: y},
		&Add{X: x, Residual: y, Y: y},
		&Add{X: x, Y: x},
		&AddBackward{DY: x, DX: x},
		project(func(op *Project, _ *Linear) { op.Parts[0].Residual = y }),
		headLoss(func(op *HeadLoss) { op.DX = x }),
		attendBackward(func(op *AttendBackward) { op.DQ = op.DO }),
		attendBackward(func(op *AttendBackward) {
			op.DQ, op.DK, op.DV = wide.Columns(0, 8), wide.Columns(8, 12), wide.Columns(12, 16)
		}),
		attendBackward(func(op *AttendBackward) { op.DQ, op.DK, op.DV = grouped, wide.Columns(4, 8), wide.Columns(16, 20) }),
		&RoPE{X: grouped, Heads: 2, HeadDim: 4, Positions: ids, Cos: f(9, 2), Sin: f(9, 2)},
		&Copy{Dst: wide.Every(12, 4, 4), Src: grouped},
		&Zero{T: ids},
		&Embed{IDs: ids, Table: hosted, Y: x},
	} {
		require.NoError(t, Check(op))
	}

	for _, c := range []struct {
		op   Operation
		want string
	}{
		{&Embed{IDs: ids, Table: f(5, 7), Y: x}, "embed: Table is F32[5, 7]; it must be [5, 8]"},
		{&Embed{IDs: ids, Table: f(5, 8), Y: x, Noise: -1}, "embed: Noise is -1"},
		{&Embed{IDs: ids, Table: f(5, 8), Y: wide.Columns(0, 8)}, "embed: Y is a view of columns; it must be contiguous"},
		{&Embed{IDs: ids, Table: NewMemory().Arena(HostEmbedding).New(F32, 5, 8), Y: hosted}, "embed: Y is in the host's memory"},
		{&EmbedBackward{IDs: ids, DTable: hosted, DY: x}, "embed backward: DTable is in the host's memory"},
		{&EmbedBackward{IDs: ids, DTable: a.New(BF16, 5, 8), DY: x}, "embed backward: DTable is BF16[5, 8]; its type must be one of [F32]"},
		{&Norm{X: x, Weight: f(1, 7), Y: y}, "norm: Weight is F32[1, 7]; it must be a vector of 8 elements"},
		{&Norm{X: x, Weight: v, Y: x.Slice(0, 4), RStd: x.Reshape(8, 4).Slice(0, 1)}, "norm: RStd overlaps X"},
		{&Norm{X: x, Weight: f(3, 8), Y: y}, "norm: 4 rows do not divide into turns of 3"},
		{&Norm{X: x, Weight: f(2, 8), Bias: v, Y: y}, "norm: Bias is F32[1, 8]; it must be [2, 8]"},
		{&Norm{X: x, Y: y, Mean: f(1, 4)}, "norm: Mean is present, but the norm is not centered"},
		{&Norm{X: x, Y: y, Centered: true, Mean: f(1, 4)}, "norm: only one of Mean and RStd is present"},
		{&NormBackward{Norm: Norm{X: x, Weight: v, RStd: f(1, 4)}, DY: y, DX: y, Accumulate: true}, "norm backward: DX overlaps DY"},
		{&NormBackward{Norm: Norm{X: x, RStd: f(1, 4)}, DY: y, DX: f(4, 8), DWeight: v}, "norm backward: DWeight is present, but Weight is absent"},
		{&NormBackward{Norm: Norm{X: x, Weight: v}, DY: y, DX: f(4, 8), DWeight: f(1, 8)}, "norm backward: DWeight is present, but RStd is absent"},
		{&NormBackward{Norm: Norm{X: x}, DY: y, DX: y, Again: y}, "norm backward: DX overlaps Again"},
		{&Norm{X: x.Reshape(8, 4), Y: y.Reshape(8, 4), After: &RoPE{X: x, Heads: 2, HeadDim: 4, Positions: ids, Cos: f(9, 2), Sin: f(9, 2)}}, "norm: After does not rotate Y"},
		{project(func(op *Project, _ *Linear) { op.After = &Activate{G: y, Y: f(4, 8)} }), "project: After's G and U are not the Y of two parts or the halves of one"},
		{project(func(op *Project, _ *Linear) {
			op.After = &Activate{G: y.Columns(0, 4), U: y.Columns(4, 8), Y: y.Head(2).Reshape(4, 4)}
		}), "project: some.layer: Y overlaps After.Y"},
		{projectBackward(func(op *ProjectBackward, _ *Linear) {
			follow(op, y, &NormBackward{Norm: Norm{X: x}, DY: y, DX: f(4, 8)})
		}), "project backward: part 0 needs X, but After does not compute it"},
		{projectBackward(func(op *ProjectBackward, _ *Linear) {
			follow(op, f(4, 8), &NormBackward{Norm: Norm{X: x}, DY: y, DX: f(4, 8), Again: y})
		}), "project backward: X, DX and After's operands are not one tensor"},
		{projectBackward(func(op *ProjectBackward, _ *Linear) { follow(op, y, &Add{X: x, Y: y}) }), `project backward: After is "add", which is not the backward of a norm or an activation`},
		{&RoPE{X: x, Heads: 2, HeadDim: 4, K: f(4, 8), KVHeads: 1, Positions: ids, Cos: f(9, 2), Sin: f(9, 2)}, "rope: K is F32[4, 8]; it must be [4, 4]"},
		{&RoPE{X: x, Heads: 3, HeadDim: 4, Positions: ids, Cos: f(9, 2), Sin: f(9, 2)}, "rope: X has 8 columns, not 3 heads of 4"},
		{&RoPE{X: x, Heads: 2, HeadDim: 4, Positions: ids, Cos: f(9, 3), Sin: f(9, 3)}, "rope: 3 angles do not fit a head of 4"},
		{&RoPE{X: grouped, Heads: 1, HeadDim: 8, Positions: ids, Cos: f(9, 2), Sin: f(9, 2)}, "rope: X has groups of 4 columns, which is not a multiple of the head size 8"},
		{&Activate{G: x, U: y, Y: x}, "activate: Y overlaps G"},
		{&Activate{Kind: 9, G: x, Y: y}, "activate: Activation(9) is unknown"},
		{&Activate{G: grouped, Y: y}, "activate: G has groups of 4 columns"},
		{&ActivateBackward{Activate: Activate{G: x}, DY: y, DG: grouped}, "activate backward: DG has groups of 4 columns"},
		{&ActivateBackward{Activate: Activate{G: x, U: y}, DY: f(4, 8), DG: f(4, 8), DU: x}, "activate backward: DU overlaps G"},
		{&ActivateBackward{Activate: Activate{G: x, U: y}, DY: f(4, 8), DG: f(4, 8)}, "activate backward: only one of U and DU is present"},
		{&ActivateBackward{Activate: Activate{G: wide.Columns(0, 8)}, DY: y, DG: wide.Columns(4, 12)}, "activate backward: DG overlaps G"},
		{&Add{X: x, Y: y, Dropout: -1}, "add: Dropout is -1; it must be in [0, 1)"},
		{&Add{X: x, Residual: y, Y: y.Reshape(2, 16).Slice(1, 2).Reshape(2, 8)}, "add: Y is F32[2, 8]"},
		{&Clamp{X: x}, "clamp: Limit is 0"},
		{&ClampBackward{X: x, DX: x, Limit: 1}, "clamp backward: DX overlaps X"},
		{project(func(_ *Project, l *Linear) { l.Weight.Dense = Tensor{} }), "project: some.layer: Weight is absent"},
		{project(func(_ *Project, l *Linear) { l.Adapter.B = f(7, 2) }), "project: some.layer: B is F32[7, 2]"},
		{project(func(_ *Project, l *Linear) { l.Adapter.Dropout = 1 }), "project: some.layer: Dropout is 1; it must be in [0, 1)"},
		{project(func(op *Project, _ *Linear) { op.Parts[0].Y = x }), "project: some.layer: Y overlaps X"},
		{project(func(op *Project, _ *Linear) { op.Parts = append(op.Parts, op.Parts[0]) }), "project: some.layer: Y overlaps some.layer: Y"},
		{projectBackward(func(op *ProjectBackward, _ *Linear) { op.DX = op.Parts[0].DY }), "project backward: DX overlaps some.layer: DY"},
		{projectBackward(func(op *ProjectBackward, _ *Linear) { op.Parts[0].DB = Tensor{} }), "project backward: some.layer: DA or DB is absent; both or neither must be"},
		{project(func(_ *Project, l *Linear) { l.Adapter.Magnitude = v }), "project: some.layer: Norms is absent"},
		{projectBackward(func(_ *ProjectBackward, l *Linear) { l.Adapter.Magnitude, l.Adapter.Norms = v, f(1, 8) }), "some.layer: DMagnitude needs DA and a Magnitude"},
		{projectBackward(func(op *ProjectBackward, _ *Linear) { op.Parts[0].DMagnitude = v }), "some.layer: DMagnitude needs DA and a Magnitude"},
		{projectBackward(func(op *ProjectBackward, l *Linear) {
			l.Adapter.Magnitude, l.Adapter.Norms, op.Parts[0].DMagnitude, op.Parts[0].DWeight = v, f(1, 8), f(1, 8), f(8, 8)
		}), "DWeight is present, but with a Magnitude the weight is frozen"},
		{&RowNorms{Linear: bare()}, "row norms: there is no adapter"},
		{&RowNorms{Linear: linear(func(*Linear) {})}, "row norms: some.layer: Norms is absent"},
		{&RowNorms{Linear: linear(func(l *Linear) { l.Adapter.Norms = l.Adapter.A.Slice(0, 1) })}, "some.layer: Norms overlaps some.layer: A"},
		{project(func(_ *Project, l *Linear) {
			l.Weight.Dense, l.Weight.Quantized = Tensor{}, NewQuantized(a, 8, 9, nf4.NF4, 64, true)
		}), "project: some.layer: Weight.Codes is U8[1, 36]"},
		{project(func(_ *Project, l *Linear) {
			l.Weight.Dense, l.Weight.EightBit = Tensor{}, NewEightBit(a, 8, 9, 32)
		}), "project: some.layer: Weight.Codes is U8[1, 72]"},
		{project(func(_ *Project, l *Linear) { l.Weight.EightBit = NewEightBit(a, 8, 8, 32) }), "project: some.layer: Weight is in 8 bits, and dense or in 4 bits too"},
		{attend(func(op *Attend) { op.KVHeads = 3 }), "attend: 2 heads of 4 cannot share 3 key heads"},
		{attend(func(op *Attend) { op.Keys.Starts = []int32{0, 3} }), "attend: Keys goes from row 0 to 3; it must go from 0 to 4"},
		{attend(func(op *Attend) { op.Cap = -1 }), "attend: Cap is -1"},
		{attend(func(op *Attend) { op.KeyBias = f(2, 3) }), "attend: KeyBias has 3 positions for a sequence of 4"},
		{attend(func(op *Attend) { op.Sinks = f(1, 3) }), "attend: Sinks is F32[1, 3]; it must be a vector of 2 elements"},
		{attend(func(op *Attend) { op.O = wide.Columns(0, 8) }), "attend: O is a view of columns; it must be contiguous"},
		{attendBackward(func(op *AttendBackward) { op.DK = op.K }), "attend backward: DK overlaps K"},
		{attendBackward(func(op *AttendBackward) { op.DQ, op.DK = wide.Columns(0, 8), wide.Columns(7, 11) }), "attend backward: DQ overlaps DK"},
		{attendBackward(func(op *AttendBackward) { op.DQ, op.DV = grouped, wide.Columns(12, 16) }), "attend backward: DQ overlaps DV"},
		{attendBackward(func(op *AttendBackward) { op.DSinks = f(1, 2) }), "attend backward: DSinks is present, but Sinks is absent"},
		{headLoss(func(op *HeadLoss) { op.Linear = linear(func(*Linear) {}) }), "head loss: the head has an adapter"},
		{headLoss(func(op *HeadLoss) { op.Stats = f(1, 2) }), "head loss: Stats is F32[1, 2]"},
		{headLoss(func(op *HeadLoss) { op.Losses = f(1, 5) }), "head loss: Losses is F32[1, 5]"},
		{headLoss(func(op *HeadLoss) { op.DX, op.DBias = Tensor{}, v }), "head loss: DWeight or DBias is present without DX"},
		{&GradNorm{Params: []Param{{Name: "w", Grad: a.New(BF16, 1, 3)}}, Out: f(1, 2)}, "gradient norm: w: Grad is BF16[1, 3]"},
		{optimize(func(op *Optimize, _ *Param) { op.Rule = nil }), "optimize: Rule is absent"},
		{optimize(func(op *Optimize, _ *Param) { op.Rule = otherRule{} }), "optimize: Rule is bindings.otherRule; AdamW, Lion and SGD are supported"},
		{optimize(func(_ *Optimize, p *Param) { p.Rate = 0 }), "optimize: w: Rate is 0; it must be above 0"},
		{optimize(func(_ *Optimize, p *Param) { p.V = Moment{} }), "optimize: w: V is absent"},
		{optimize(func(op *Optimize, _ *Param) { op.Rule = Lion{} }), "w: V is U8[3, 100], but the rule has no such moment"},
		{optimize(func(_ *Optimize, p *Param) { p.M.Absmax = f(1, 1) }), "w: M.Absmax is F32[1, 1]"},
		{optimize(func(_ *Optimize, p *Param) { p.M.Values = f(3, 100) }), "w: M is in float32 but has an absmax"},
		{optimize(func(_ *Optimize, p *Param) { p.V.Absmax = p.M.Absmax }), "w: M.Absmax overlaps w: V.Absmax"},
		{optimize(func(_ *Optimize, p *Param) { p.Grad = p.Master }), "overlaps"},
		{&Optimize{Rule: AdamW{}, Step: 0, Clip: f(1, 2)}, "optimize: Step is 0"},
		{&Copy{Dst: ids, Src: f(1, 4)}, "copy: F32[1, 4] cannot become I32[1, 4]"},
		{&Copy{Dst: wide.Columns(0, 8), Src: grouped}, "copy: Dst overlaps Src"},
	} {
		require.ErrorContains(t, Check(c.op), c.want)
	}
	place := &Weight{Out: 8, In: 8, Quantized: NewQuantized(a, 8, 8, nf4.NF4, 64, false)}
	require.ErrorContains(t, CheckQuantize(place, 5, F32), "quantize: 5 bytes for [8, 8] of F32; it must be 256")
}

// TestZeroValues checks that an operation without operands is an error.
func TestZeroValues(t *testing.T) {
	for _, op := range Operations() {
		require.Error(t, Check(op), op.Name())
	}
}

// otherRule is a rule that no device has.
type otherRule struct{}

func (otherRule) Moments() (m, v bool) { return false, false }

// follow makes next run after op, whose X and DX are x.
func follow(op *ProjectBackward, x Tensor, next Operation) { op.X, op.DX, op.After = x, x, next }
