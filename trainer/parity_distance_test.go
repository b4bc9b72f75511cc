package trainer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/checkpoint"
)

// distance is the largest relative difference between a run and the recorded one, by
// what was compared.
type distance map[string]float64

var distanceColumns = []string{"loss", "eval_loss", "grad_norm", "gradient", "weights", "codes"}

func (d distance) columns() []string {
	var all []string
	for _, kind := range distanceColumns {
		all = append(all, d.column(kind))
	}
	return all
}

func (d distance) column(kind string) string {
	if far, ok := d[kind]; ok {
		return fmt.Sprintf("%.1e", far)
	}
	return "-"
}

// hold records a difference and fails if it exceeds the limit.
func (d distance) hold(t *testing.T, kind string, far, limit float64, format string, args ...any) {
	t.Helper()
	if known, ok := d[kind]; !ok || far > known {
		d[kind] = far
	}
	if !(far <= limit) {
		t.Errorf("%s: %s, relative error %.2e, at most %.0e is allowed", kind, fmt.Sprintf(format, args...), far, limit)
	}
}

// apart returns the relative difference; a recorded 0 must be 0.
func apart(want, got float64) float64 {
	if want == got {
		return 0
	}
	return math.Abs(got-want) / math.Abs(want)
}

// log compares log_history row by row: steps, epochs and learning rates must be equal,
// the rest within the limit.
func (d distance) log(t *testing.T, limit parityLimit, path string, state *State) {
	var want []Record
	readJSON(t, path, &want)
	d.records(t, limit, want, state)
}

// records compares rows.
func (d distance) records(t *testing.T, limit parityLimit, want []Record, state *State) {
	t.Helper()
	require.Len(t, state.LogHistory, len(want), "rows of the log")
	for i, w := range want {
		g := state.LogHistory[i]
		require.Equal(t, w.Step, g.Step, "step of row %d", i)
		assert.Equal(t, w.Epoch, g.Epoch, "epoch of step %d", w.Step)
		require.Equal(t, w.LearningRate == nil, g.LearningRate == nil, "row %d, of step %d: another kind of row", i, w.Step)
		if w.LearningRate != nil {
			assert.Equal(t, *w.LearningRate, *g.LearningRate, "learning rate of step %d", w.Step)
		}
		for _, v := range []struct {
			kind      string
			want, got *Number
			limit     float64
		}{
			{"loss", w.Loss, g.Loss, limit.loss},
			{"loss", w.TrainLoss, g.TrainLoss, limit.loss},
			{"eval_loss", w.EvalLoss, g.EvalLoss, limit.loss},
			{"grad_norm", w.GradNorm, g.GradNorm, limit.norm},
		} {
			require.Equal(t, v.want == nil, v.got == nil, "%s of row %d, of step %d", v.kind, i, w.Step)
			if v.want != nil {
				want, got := float64(*v.want), float64(*v.got)
				d.hold(t, v.kind, apart(want, got), v.limit, "step %d: got %v, want %v", w.Step, got, want)
			}
		}
	}
}

// gradients compares the gradients of the first optimizer step, before clipping, by
// the L2 norm of the difference.
func (d distance) gradients(t *testing.T, limit parityLimit, want, got map[string][]float32) {
	short := map[string][]float32{} // the recorded names are those of peft's file
	for name, x := range want {
		name = strings.Replace(name, ".base_layer.", ".", 1)
		short[strings.TrimPrefix(name, "base_model.model.")] = x
	}
	requireSameTensors(t, short, got)
	for name, w := range short {
		g, difference, size, at := got[name], 0.0, 0.0, 0
		for i := range w {
			e := float64(g[i]) - float64(w[i])
			if math.Abs(e) > math.Abs(float64(g[at])-float64(w[at])) {
				at = i
			}
			difference += e * e
			size += float64(w[i]) * float64(w[i])
		}
		far := apart(math.Sqrt(size), math.Sqrt(size)+math.Sqrt(difference))
		d.hold(t, "gradient", far, limit.gradient, "step 1, %s, furthest at element %d: got %v, want %v", name, at, g[at], w[at])
	}
}

// weights compares the trained tensors, relative to the largest recorded value of
// each.
func (d distance) weights(t *testing.T, limit parityLimit, want, got map[string][]float32) {
	requireSameTensors(t, want, got)
	for name, w := range want {
		g, largest, at := got[name], 0.0, 0
		for i := range w {
			largest = max(largest, math.Abs(float64(w[i])))
			if math.Abs(float64(g[i])-float64(w[i])) > math.Abs(float64(g[at])-float64(w[at])) {
				at = i
			}
		}
		far := math.Abs(float64(g[at])-float64(w[at])) / largest
		d.hold(t, "weights", far, limit.weights, "after the last step, %s, furthest at element %d: got %v, want %v", name, at, g[at], w[at])
	}
}

// codes compares 8-bit moments: the share of codes that differ, and the difference of
// the blocks' absmax.
func (d distance) codes(t *testing.T, limit parityLimit, path string, got map[string][]byte) {
	file, err := checkpoint.OpenFile(path)
	require.NoError(t, err)
	defer file.Close()
	require.Equal(t, file.Names(), slices.Sorted(maps.Keys(got)), "names of the moments in 8 bits")
	all, other := 0, 0
	for _, name := range file.Names() {
		want, _ := file.Tensor(name)
		require.Len(t, got[name], len(want.Data()), name)
		if want.DType != checkpoint.U8 {
			for i, w := range floatsOf(want.Data()) {
				g := floatsOf(got[name])[i]
				d.hold(t, "absmax", apart(float64(w), float64(g)), limit.weights, "%s %d: got %v, want %v", name, i, g, w)
			}
			continue
		}
		for i, w := range want.Data() {
			if all++; got[name][i] != w {
				other++
				t.Logf("%s %d: code %d, recorded %d", name, i, got[name][i], w)
			}
		}
	}
	d.hold(t, "codes", float64(other)/float64(all), limit.codes, "%d of %d differ", other, all)
}

func requireSameTensors(t *testing.T, want, got map[string][]float32) {
	t.Helper()
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)), "names of the tensors")
	for name, w := range want {
		require.Len(t, got[name], len(w), name)
	}
}
