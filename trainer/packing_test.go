package trainer

import (
	"encoding/binary"
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

// packTiny packs records, three in each example.
func packTiny(records []dataset.Example) []dataset.Example {
	var all []dataset.Example
	for i := 0; i < len(records); i += 3 {
		var e dataset.Example
		for _, d := range records[i:min(i+3, len(records))] {
			e.Starts = append(e.Starts, int32(len(e.IDs)))
			e.IDs = append(e.IDs, d.IDs...)
			e.Labels = append(e.Labels, d.Labels...)
			if d.Weights != nil || e.Weights != nil {
				ones := slices.Repeat([]float32{1}, len(e.IDs))
				e.Weights = append(append(e.Weights, ones[:len(ones)-len(e.Weights)-len(d.Weights)]...), d.Weights...)
			}
		}
		all = append(all, e)
	}
	return all
}

// TestPackedDocumentIsAsIfAlone checks that a packed document has the same loss as
// alone, and that the gradients of a packed micro-batch are the sum of its documents'.
func TestPackedDocumentIsAsIfAlone(t *testing.T) {
	for _, method := range []string{"full", "qlora"} {
		t.Run(method, func(t *testing.T) {
			r := tinyRun(t)
			if r.Base.Lora.Dropout = 0; method == "full" {
				r.Base.Quantize, r.Base.Lora = nil, nil
			}
			documents := tiny.Records(7)
			documents[2].Labels[0] = documents[2].IDs[0] // the label of a first token, which is never predicted
			examples := packTiny(documents)
			packed := batchOf(examples, []int{0, 1, 2})
			require.Equal(t, len(documents), packed.Sequences())
			shapes := nn.Shapes{Train: []*nn.Batch{packed}, Evaluate: []*nn.Batch{packed}}
			l, err := layOut(r.Base, &r.Args, func(int) nn.Shapes { return shapes }, r.Device, limits{}, nil)
			require.NoError(t, err)
			require.NoError(t, l.Load(r.Device, lora.Values{Base: r.Base.Weights, Seed: 1}))
			defer l.Close()

			loss := func(b *nn.Batch) nn.Stats {
				require.NoError(t, l.Model.Evaluate(r.Device, b))
				stats, err := l.Model.Stats(r.Device)
				require.NoError(t, err)
				return stats
			}
			d := 0
			for i := range examples {
				for range examples[i].Documents() {
					alone := loss(batchOf(documents, []int{d}))
					// The other documents stay around it, without labels.
					among := batchOf(examples, []int{0, 1, 2})
					for k := range among.Labels {
						if k < int(among.Starts[d]) || k >= int(among.Starts[d+1]) {
							among.Labels[k] = dataset.Ignored
						}
					}
					got := loss(among)
					require.Equal(t, alone.Predicted, got.Predicted)
					require.InDelta(t, alone.Loss/float64(alone.Predicted), got.Loss/float64(got.Predicted), 1e-5, "document %d", d)
					d++
				}
			}

			scale := 1 / float32(packed.Predicted())
			gradients := func(batches ...*nn.Batch) [][]float32 {
				for _, p := range l.params {
					r.Device.Run(&bindings.Zero{T: p.Grad})
				}
				for _, b := range batches {
					require.NoError(t, l.Model.Train(r.Device, b, scale, bindings.Random{Train: true}))
				}
				var all [][]float32
				for _, p := range l.params {
					raw := make([]byte, p.Grad.Bytes())
					require.NoError(t, r.Device.Read(raw, p.Grad))
					values := make([]float32, len(raw)/4)
					for i := range values {
						values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
					}
					all = append(all, values)
				}
				return all
			}
			var one []*nn.Batch
			for i := range documents {
				one = append(one, batchOf(documents, []int{i}))
			}
			want, got := gradients(one...), gradients(packed)
			largest, moved := 0.0, 0.0
			for i := range want {
				for k := range want[i] {
					largest = max(largest, math.Abs(float64(want[i][k]-got[i][k])))
					moved = max(moved, math.Abs(float64(want[i][k])))
				}
			}
			require.Less(t, largest, 1e-5*max(1, moved), "the gradients differ")
			require.Greater(t, moved, 1e-3, "there is no gradient to compare")
			t.Logf("largest difference of a gradient %.2g, largest gradient %.2g", largest, moved)
		})
	}
}

// TestPackedRun checks that a packed run is planned for its documents and resumes only
// from a packed run.
func TestPackedRun(t *testing.T) {
	r := tinyRun(t)
	r.TrainSet = packTiny(r.TrainSet)
	r.Args.SaveTotalLimit, r.Args.MaxSteps = 1, 3
	tr, err := New(r)
	require.NoError(t, err)
	require.NoError(t, tr.Train(t.Context()))

	r.Args.Resume = ResumeNewest
	_, err = New(r)
	require.NoError(t, err)
	r.TrainSet = tiny.Records(13)
	_, err = New(r)
	require.ErrorContains(t, err, "it was made with `packing` true and this run has false")
}
