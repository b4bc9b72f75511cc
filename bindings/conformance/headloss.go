package conformance

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"qlora/bindings"
)

type lossCase struct {
	tokens, vocabulary, hidden int
	ignored                    float64 // share of ignored labels
	bias                       bool
	mode                       string  // "loss", "losses", "DX", "DX on X", "full", "part" of DWeight, "entropies", "entropies, DX on X"
	scale, cap                 float64 // on the logits; 0: none
	smoothing                  float64
}

func runHeadLoss(t *testing.T, s *suite) {
	for _, c := range []lossCase{
		{1, 2, 1, 0, false, "DX", 0, 0, 0},
		{1, 31, 8, 1, false, "DX", 0, 0, 0},
		{7, 67, 33, 0.4, true, "DX on X", 0, 0, 0},
		{300, 259, 64, 0.2, false, "full", 0, 0, 0},
		{530, 131, 40, 0, true, "full", 0, 0, 0},
		{523, 131, 40, 0.5, false, "DX on X", 0, 0, 0},
		{65, 1031, 64, 0.9, false, "loss", 0, 0, 0},
		{19, 300, 64, 0.3, true, "loss", 0, 0, 0},
		{1, 31, 8, 0, false, "losses", 0, 0, 0},
		{7, 67, 33, 1, true, "losses", 0, 0, 0},
		{530, 131, 40, 0.5, true, "losses", 0, 0, 0},
		{7, 67, 33, 0.4, true, "full", 0.0625, 0, 0}, // Cohere
		{300, 259, 64, 0.2, false, "full", 0, 3, 0},  // Gemma 2
		{33, 131, 40, 0.2, true, "full", 1.5, 30, 0}, //
		{300, 259, 64, 0.2, true, "DX on X", 0.5, 2, 0},
		{65, 1031, 64, 0.9, false, "loss", 0.25, 5, 0},
		{530, 131, 40, 0.5, true, "losses", 2, 10, 0},
		{1, 2, 1, 0, false, "DX", 0, 0, 0.1}, // smoothed labels
		{7, 67, 33, 0.4, true, "DX on X", 0, 0, 0.1},
		{300, 259, 64, 0.2, false, "full", 0, 0, 0.25},
		{65, 1031, 64, 0.9, false, "loss", 0, 0, 0.1},
		{33, 131, 40, 0.2, true, "full", 1.5, 30, 0.1},
		{530, 131, 40, 0.5, true, "losses", 2, 10, 1},
		{33, 131, 48, 0.2, false, "part", 0, 0, 0},
		{300, 67, 33, 0.5, true, "part", 0.5, 2, 0.1},
		{1, 31, 8, 0, false, "entropies", 0, 0, 0},
		{530, 131, 40, 0.5, true, "entropies", 0, 0, 0},
		{65, 1031, 64, 0.9, false, "entropies", 0.25, 5, 0},
		{65, 1031, 64, 0.2, false, "entropies, DX on X", 0, 0, 0},
		{33, 131, 40, 0.2, true, "entropies, DX on X", 1.5, 30, 0},
		{1100, 67, 24, 0.5, true, "full", 0, 0, 0}, // more tokens than logits lie in memory of
	} {
		for _, h := range s.holdings() {
			if c.tokens > 1000 && h.dtype != bindings.BF16 {
				continue
			}
			s.row(t, fmt.Sprintf("%s %+v", h.name, c), func(f *fixture) { lossRow(f, c, h, false) })
		}
	}
	for _, c := range []lossCase{
		{7, 67, 33, 0.4, true, "DX on X", 0, 0, 0},
		{300, 259, 64, 0.2, false, "full", 0, 3, 0},
		{530, 131, 40, 0, true, "losses", 2, 10, 0.1},
		{523, 131, 40, 0.5, false, "part", 0.5, 0, 0.1},
	} {
		for _, h := range s.holdings() {
			s.row(t, fmt.Sprintf("weighed %s %+v", h.name, c), func(f *fixture) { lossRow(f, c, h, true) })
		}
	}
}

// lossRow weighs the losses if asked, some by 0 and some by negative numbers.
func lossRow(f *fixture, c lossCase, h holding, weighed bool) {
	x := f.input("X", f.act, c.tokens, c.hidden, 1)
	weight, w := f.weight("Weight", h, c.vocabulary, c.hidden)
	l := &bindings.Linear{Name: "head", Weight: weight}
	ref := linear{W: w}
	if c.bias {
		o := f.input("Bias", bindings.BF16, 1, c.vocabulary, 1)
		l.Bias, ref.Bias = o.Tensor, o.values
	}
	label := make([]int32, c.tokens)
	for i := range label {
		label[i] = int32(f.rng.IntN(c.vocabulary))
		if f.rng.Float64() < c.ignored {
			label[i] = bindings.IgnoreLabel
		}
	}
	scale := float64(float32(0.37))
	stats := f.input("Stats", bindings.F32, 1, 3, 1)
	op := &bindings.HeadLoss{X: x.Tensor, Linear: l, Labels: f.ints("Labels", label).Tensor, Scale: float32(scale), Stats: stats.Tensor}
	if c.tokens%2 == 1 {
		op.DeviceScale = f.given("DeviceScale", bindings.F32, 1, 1, []float64{scale}).Tensor
	}
	overwritten := []*operand{stats}
	op.LogitScale, op.LogitCap = float32(c.scale), float32(c.cap)
	op.Smoothing = float32(c.smoothing)
	weights := make([]float64, c.tokens)
	for t := range weights {
		weights[t] = 1
	}
	if weighed {
		o := f.input("Weights", bindings.F32, 1, c.tokens, 1)
		op.Weights, weights = o.Tensor, o.values
	}
	var losses, entropies, dx, dw, db *operand
	if strings.HasPrefix(c.mode, "entropies") {
		entropies = f.output("Entropies", bindings.F32, 1, c.tokens)
		op.Entropies = entropies.Tensor
	}
	switch c.mode {
	case "losses", "entropies":
		losses = f.output("Losses", bindings.F32, 1, c.tokens)
		op.Losses = losses.Tensor
	case "DX", "full", "part":
		dx = f.output("DX", f.act, c.tokens, c.hidden)
		op.DX = dx.Tensor
	case "DX on X", "entropies, DX on X":
		dx = x
		op.DX = x.Tensor
		overwritten = append(overwritten, x)
	}
	if c.mode == "full" || c.mode == "part" {
		cols := c.hidden
		if c.mode == "part" {
			op.From, cols = c.hidden/3, c.hidden/2
		}
		dw = f.input("DWeight", bindings.F32, c.vocabulary, cols, 1)
		op.DWeight = dw.Tensor
		overwritten = append(overwritten, dw)
		if c.bias {
			db = f.input("DBias", bindings.F32, 1, c.vocabulary, 1)
			op.DBias = db.Tensor
			overwritten = append(overwritten, db)
		}
	}
	f.run([]bindings.Operation{op}, overwritten...)

	xs := mat.NewDense(c.tokens, c.hidden, x.values)
	logits, _ := ref.forward(xs)
	grad := mat.NewDense(c.tokens, c.vocabulary, nil)
	want := append([]float64(nil), stats.values...)
	wantLosses, wantEntropies := make([]float64, c.tokens), make([]float64, c.tokens)
	factor := c.scale
	if factor == 0 {
		factor = 1
	}
	doubtful := 0.0 // rows in which rounding may change whether the label is the argmax
	for t, label := range label {
		if label == bindings.IgnoreLabel {
			continue
		}
		row, slope := logits.RawRowView(t), make([]float64, c.vocabulary)
		for j, v := range row {
			row[j], slope[j] = capped(factor*v, c.cap)
		}
		loss, g, hit := crossEntropy(row, int(label), float64(op.Smoothing))
		if f.contested(row, int(label), c.hidden) {
			doubtful++
		}
		for j := range g {
			grad.Set(t, j, g[j]*scale*weights[t]*factor*slope[j])
		}
		wantLosses[t], wantEntropies[t] = loss, entropy(row)
		want[0] += scale * weights[t] * loss
		want[1]++
		if hit {
			want[2]++
		}
	}
	g := ref.backward(xs, grad)
	// As in attention, a logit is a sum of hidden terms with standard deviation sigma. It
	// is stored, so its rounding error is sigma·Stored, a relative error of the
	// probability.
	sigma := 1 + factor*math.Sqrt(float64(c.hidden))
	depth := int(sigma*sigma*float64(c.hidden)) + c.vocabulary
	f.lossStats(stats, depth, sigma, doubtful, want)
	if losses != nil {
		losses.near(depth, sigma, 0, wantLosses)
	}
	if entropies != nil { // a logit's error counts as often as it is away from the mean, some sigmas
		entropies.near(depth, 4*sigma, 0, wantEntropies)
	}
	if dx != nil {
		dx.near(depth, sigma, 0, g.X.RawMatrix().Data)
	}
	if dw != nil {
		part := mat.DenseCopyOf(g.W.Slice(0, c.vocabulary, op.From, op.From+dw.Cols))
		dw.near(depth+c.tokens, sigma, 0, plus(part, dw))
	}
	if db != nil {
		db.near(depth+c.tokens, sigma, 0, plus(mat.NewDense(1, c.vocabulary, g.Bias), db))
	}
}

// entropy returns that of softmax(logits).
func entropy(logits []float64) (h float64) {
	_, p, _ := crossEntropy(logits, 0, 0)
	p[0]++
	for _, x := range p {
		if x > 0 {
			h -= x * math.Log(x)
		}
	}
	return h
}

// contested reports whether the label's logit and the largest other one, sums of k terms,
// differ by no more than their rounding errors.
func (f *fixture) contested(logits []float64, label, k int) bool {
	rival := math.Inf(-1)
	for j, v := range logits {
		if j != label {
			rival = max(rival, v)
		}
	}
	return math.Abs(logits[label]-rival) <= 2*f.tol.relative(k, 1)*(math.Abs(rival)+math.Sqrt(float64(k)))
}

// lossStats compares the loss's sums. Counts are integers added to the initial values:
// equal up to float32's rounding, except for doubtful hits.
func (f *fixture) lossStats(stats *operand, depth int, sigma, doubtful float64, want []float64) {
	f.t.Helper()
	got := decode(stats.DType, stats.raw())
	for i, bound := range []float64{
		f.tol.relative(depth, sigma) * max(1, math.Abs(want[0])),
		f.tol.relative(1, 0) * max(1, want[1]),
		f.tol.relative(1, 0)*max(1, want[2]) + doubtful,
	} {
		if !(math.Abs(got[i]-want[i]) <= bound) {
			f.t.Errorf("Stats[%d]: got %.9g, want %.9g within %.3g", i, got[i], want[i], bound)
		}
	}
}
