package bindings

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nf4"
)

// TestCheck breaks one thing at a time and wants the sentence that names it.
// That the checks let everything through that is allowed is the conformance
// suite's to show.
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
		op := &Project{X: x, Parts: []Part{{Linear: l, Y: y, Low: f(4, 2), DY: f(4, 8), DA: f(2, 8), DB: f(8, 2)}}, DX: f(4, 8)}
		change(op, l)
		return op
	}
	attend := func(change func(*Attend)) *Attend {
		op := &Attend{
			Q: x, K: f(4, 4), V: f(4, 4), O: y, LSE: f(4, 2), Queries: seq, Keys: seq, Heads: 2, KVHeads: 1, HeadDim: 4,
			DO: f(4, 8), DQ: f(4, 8), DK: f(4, 4), DV: f(4, 4),
		}
		change(op)
		return op
	}
	optimize := func(change func(*Optimize, *Param)) *Optimize {
		p := Param{Name: "w", Value: f(3, 100), Grad: f(3, 100), Rate: 1}
		p.Master = p.Value
		op := &Optimize{Rule: AdamW{}, Step: 1, Clip: f(1, 2)}
		p.M, p.V = State{Rule: op.Rule, EightBit: true}.Moments(a, 3, 100, false)
		change(op, &p)
		op.Params = []Param{p}
		return op
	}
	require.NoError(t, optimize(func(*Optimize, *Param) {}).Check())
	require.NoError(t, project(func(*Project, *Linear) {}).Check())
	require.NoError(t, project(func(*Project, *Linear) {}).CheckBackward())
	require.NoError(t, attend(func(*Attend) {}).Check())
	require.NoError(t, attend(func(*Attend) {}).CheckBackward())

	for _, c := range []struct {
		err  error
		want string
	}{
		{(&Embed{IDs: ids, Table: f(5, 7), Y: x}).Check(), "embed: Table is F32[5, 7]; it has to be [5, 8]"},
		{(&Embed{IDs: ids, Table: f(5, 8), Y: x, Noise: -1}).Check(), "embed: Noise is -1"},
		{(&Embed{IDs: ids, DTable: a.New(BF16, 5, 8), DY: x}).CheckBackward(), "embed backward: DTable is BF16[5, 8]; its type has to be one of [F32]"},
		{(&Norm{X: x, Weight: f(1, 7), Y: y}).Check(), "norm: Weight is F32[1, 7]; it has to be a vector of 8 elements"},
		{(&Norm{X: x, Weight: v, Y: x.Slice(0, 4), InvRMS: x.Reshape(8, 4).Slice(0, 1)}).Check(), "norm: InvRMS lies over X"},
		{(&Norm{X: x, Weight: v, InvRMS: f(1, 4), DY: y, DX: y, Accumulate: true}).CheckBackward(), "norm backward: DX lies over DY"},
		{(&Rotate{X: x, Heads: 3, HeadDim: 4, Positions: ids, Cos: f(9, 2), Sin: f(9, 2)}).Check(), "rotate: X has 8 columns, not 3 heads of 4"},
		{(&Rotate{X: x, Heads: 2, HeadDim: 4, Positions: ids, Cos: f(9, 3), Sin: f(9, 3)}).Check(), "rotate: 3 angles do not fit a head of 4"},
		{(&Gate{G: x, U: y, Y: x}).Check(), "gate: Y lies over G"},
		{(&Gate{G: x, U: y, DY: f(4, 8), DG: f(4, 8), DU: x}).CheckBackward(), "gate backward: DU lies over G"},
		{project(func(_ *Project, l *Linear) { l.Weight.Dense = Tensor{} }).Check(), "project: some.layer: Weight is absent"},
		{project(func(_ *Project, l *Linear) { l.Adapter.B = f(7, 2) }).Check(), "project: some.layer: B is F32[7, 2]"},
		{project(func(_ *Project, l *Linear) { l.Adapter.Dropout = 1 }).Check(), "Dropout is 1; it has to be in [0, 1)"},
		{project(func(op *Project, _ *Linear) { op.Parts[0].Y = x }).Check(), "project: some.layer: Y lies over X"},
		{project(func(op *Project, _ *Linear) { op.DX = op.Parts[0].DY }).CheckBackward(), "project backward: DX lies over some.layer: DY"},
		{project(func(op *Project, _ *Linear) { op.Parts[0].DB = Tensor{} }).CheckBackward(), "one of DA and DB is absent"},
		{project(func(_ *Project, l *Linear) { l.Adapter.Magnitude = v }).Check(), "project: some.layer: Norms is absent"},
		{project(func(_ *Project, l *Linear) { l.Adapter.Magnitude, l.Adapter.Norms = v, f(1, 8) }).CheckBackward(), "some.layer: of DA and DMagnitude one is absent"},
		{project(func(op *Project, _ *Linear) { op.Parts[0].DMagnitude = v }).CheckBackward(), "or there is no Magnitude"},
		{project(func(op *Project, l *Linear) {
			l.Adapter.Magnitude, l.Adapter.Norms, op.Parts[0].DMagnitude, op.Parts[0].DWeight = v, f(1, 8), f(1, 8), f(8, 8)
		}).CheckBackward(), "DWeight is wanted, but with a Magnitude the weight is frozen"},
		{(&RowNorms{Linear: linear(func(l *Linear) { l.Adapter = nil })}).Check(), "row norms: there is no adapter"},
		{(&RowNorms{Linear: linear(func(*Linear) {})}).Check(), "row norms of some.layer: Norms is absent"},
		{(&RowNorms{Linear: linear(func(l *Linear) { l.Adapter.Norms = l.Adapter.A.Slice(0, 1) })}).Check(), "Norms lies over A"},
		{project(func(_ *Project, l *Linear) {
			l.Weight.Dense, l.Weight.Quantized = Tensor{}, NewQuantized(a, 8, 9, nf4.NF4, 64, true)
		}).Check(), "project: some.layer: Weight.Codes is U8[1, 36]"},
		{attend(func(op *Attend) { op.KVHeads = 3 }).Check(), "attend: 2 heads of 4 cannot share 3 key heads"},
		{attend(func(op *Attend) { op.Keys.Starts = []int32{0, 3} }).Check(), "attend: Keys goes from row 0 to 3"},
		{attend(func(op *Attend) { op.DK = op.K }).CheckBackward(), "attend backward: K lies over DK"},
		{(&HeadLoss{X: x, Linear: linear(func(*Linear) {}), Labels: ids, Stats: f(1, 3)}).Check(), "head loss of some.layer: the head has an adapter"},
		{(&HeadLoss{X: x, Linear: linear(func(l *Linear) { l.Adapter = nil }), Labels: ids, Stats: f(1, 2)}).Check(), "Stats is F32[1, 2]"},
		{(&HeadLoss{X: x, Linear: linear(func(l *Linear) { l.Adapter = nil }), Labels: ids, Stats: f(1, 3), Losses: f(1, 5)}).Check(), "Losses is F32[1, 5]"},
		{(&GradNorm{Params: []Param{{Name: "w", Grad: a.New(BF16, 1, 3)}}, Out: f(1, 2)}).Check(), "gradient norm: the gradient of w is BF16[1, 3]"},
		{optimize(func(op *Optimize, _ *Param) { op.Rule = nil }).Check(), "optimize: Rule is absent"},
		{optimize(func(_ *Optimize, p *Param) { p.Rate = 0 }).Check(), "optimize: the Rate of w is 0"},
		{optimize(func(_ *Optimize, p *Param) { p.V = Moment{} }).Check(), "optimize: the second moment of w is absent"},
		{optimize(func(op *Optimize, _ *Param) { op.Rule = Lion{} }).Check(), "the second moment of w is U8[3, 100], but the rule keeps none"},
		{optimize(func(_ *Optimize, p *Param) { p.M.Absmax = f(1, 1) }).Check(), "the absmax of the first moment of w is F32[1, 1]"},
		{optimize(func(_ *Optimize, p *Param) { p.M.Values = f(3, 100) }).Check(), "the first moment of w is in float32 but has an absmax"},
		{optimize(func(_ *Optimize, p *Param) { p.V.Absmax = p.M.Absmax }).Check(), "the absmax of its first moment lies over the absmax of its second moment"},
		{optimize(func(_ *Optimize, p *Param) { p.Grad = p.Master }).Check(), "its gradient lies over the value of w"},
		{(&Optimize{Step: 0, Clip: f(1, 2)}).Check(), "optimize: Step is 0"},
		{CheckCopy(ids, f(1, 4)), "copy: F32[1, 4] cannot become I32[1, 4]"},
		{CheckQuantize(&Weight{Out: 8, In: 8, Quantized: NewQuantized(a, 8, 8, nf4.NF4, 64, false)}, 5, F32), "quantize: 5 bytes for [8, 8] of F32; it has to be 256"},
	} {
		require.ErrorContains(t, c.err, c.want)
	}
}
