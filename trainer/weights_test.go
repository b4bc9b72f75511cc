package trainer

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/lora"
	"qlora/nn"
	"qlora/trainer/dataset"
	"qlora/trainer/internal/tiny"
)

// weighedTiny returns records of which every third has no weight; one has a weight for each
// token.
func weighedTiny(n int) []dataset.Example {
	records := tiny.Records(n)
	for i := range records {
		e := &records[i]
		switch i % 3 {
		case 0:
			e.Weights = slices.Repeat([]float32{0.25 + float32(i)}, len(e.IDs))
		case 1:
			for t := range e.IDs {
				e.Weights = append(e.Weights, float32(t%4)/2)
			}
		}
	}
	return records
}

// TestWeightsMultiply checks that a token's weight multiplies its loss and its gradient, and
// that a window divides by the number of its predicted tokens: against the sums, in float64, of
// micro-batches that train on one token each, packed and not.
func TestWeightsMultiply(t *testing.T) {
	r := tinyRun(t)
	r.Base.Lora.Dropout = 0
	records := weighedTiny(6)
	for name, examples := range map[string][]dataset.Example{"alone": records, "packed": packTiny(records)} {
		t.Run(name, func(t *testing.T) {
			all := batchOf(examples, sequential(len(examples)))
			require.Len(t, all.Weights, all.Tokens())
			shapes := nn.Shapes{Train: []*nn.Batch{all}, Weighted: true}
			l, err := layOut(r.Base, &r.Args, func(int) nn.Shapes { return shapes }, r.Device, limits{}, nil)
			require.NoError(t, err)
			require.NoError(t, l.Load(r.Device, lora.Values{Base: r.Base.Weights, Seed: 1}))
			defer l.Close()

			w := window{weights: make([]int, 1)}
			for i := range examples { // a micro-batch each
				b := (*comparer)(nil).batch(recordSet{examples: examples}, []int{i})
				w.batches, w.weights[0] = append(w.batches, b), w.weights[0]+b.weight
			}
			require.Equal(t, all.Predicted(), w.weights[0])
			gradients := func(train func()) [][]float64 {
				for _, p := range l.params {
					r.Device.Run(&bindings.Zero{T: p.Grad})
				}
				train()
				var all [][]float64
				for _, p := range l.params {
					raw := make([]byte, p.Grad.Bytes())
					require.NoError(t, r.Device.Read(raw, p.Grad))
					var one []float64
					for _, x := range floatsOf(raw) {
						one = append(one, float64(x))
					}
					all = append(all, one)
				}
				return all
			}
			loss := func() float64 {
				s, err := l.Model.Stats(r.Device)
				require.NoError(t, err)
				return s.Loss
			}
			got := gradients(func() {
				for _, b := range w.batches {
					require.NoError(t, b.train(l.Model, r.Device, w.scale(0), bindings.Random{}))
				}
			})
			gotLoss := loss()

			wantLoss, want := 0.0, make([][]float64, len(got))
			for i := range want {
				want[i] = make([]float64, len(got[i]))
			}
			first := map[int32]bool{}
			for _, s := range all.Starts {
				first[s] = true
			}
			for at, label := range all.Labels {
				if label == dataset.Ignored || first[int32(at)] {
					continue
				}
				one := *all
				one.Weights, one.Labels = nil, slices.Repeat([]int32{dataset.Ignored}, all.Tokens())
				one.Labels[at] = label
				factor := float64(all.Weights[at]) / float64(w.weights[0])
				own := gradients(func() { require.NoError(t, l.Model.Train(r.Device, &one, 1, bindings.Random{})) })
				wantLoss += factor * loss()
				for i := range want {
					for k, x := range own[i] {
						want[i][k] += factor * x
					}
				}
			}
			require.InEpsilon(t, wantLoss, gotLoss, 1e-6)
			for i := range want {
				far, size := 0.0, 0.0
				for k, x := range want[i] {
					far, size = far+(got[i][k]-x)*(got[i][k]-x), size+x*x
				}
				require.LessOrEqual(t, math.Sqrt(far), 1e-5*math.Sqrt(size), "gradient %d", i)
			}
		})
	}
}

// TestWeightsOfOne checks that weights of 1 change no bit of a run, and that others do.
func TestWeightsOfOne(t *testing.T) {
	adapter := func(weight float32) string {
		r := tinyRun(t)
		for i := range r.TrainSet {
			if weight > 0 {
				r.TrainSet[i].Weights = slices.Repeat([]float32{weight}, len(r.TrainSet[i].IDs))
			}
		}
		require.NoError(t, train(t, t.Context(), r))
		return outcome(t, r.Args.OutputDir)["adapter_model.safetensors"]
	}
	none := adapter(0)
	require.NotEmpty(t, none)
	require.Equal(t, none, adapter(1))
	require.NotEqual(t, none, adapter(2))
}
