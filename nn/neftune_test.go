package nn_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/nn"
)

// embedRecorder stores the embeddings of the last step.
type embedRecorder struct {
	bindings.Device
	t    testing.TB
	rows []float32
}

func (d *embedRecorder) Run(operation bindings.Operation) {
	d.Device.Run(operation)
	op, ok := operation.(*bindings.Embed)
	if !ok {
		return
	}
	raw := make([]byte, op.Y.Bytes())
	require.NoError(d.t, d.Read(raw, op.Y))
	d.rows = make([]float32, op.Y.Len())
	nn.Decode(d.rows, raw, bindings.F32)
}

// TestNoiseIsTransformers checks the noise against the bound of transformers' hook,
// up to the last bit (torch's square root is not always the nearest), and against the
// moments recorded there (testdata/neftune.py). The bound depends on the longest
// sequence of the micro-batch.
func TestNoiseIsTransformers(t *testing.T) {
	text, err := os.ReadFile("testdata/neftune.json")
	require.NoError(t, err)
	var cases []struct {
		Alpha, Deviation, Largest float64
		Bound                     float32
		Length, Hidden            int
	}
	require.NoError(t, json.Unmarshal(text, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		t.Run(fmt.Sprintf("alpha %v, %d of %d", c.Alpha, c.Length, c.Hidden), func(t *testing.T) {
			dir := writeTiny(t, fmt.Sprintf(`{"model_type":"llama","hidden_size":%d,"intermediate_size":8,"num_hidden_layers":1,
				"num_attention_heads":4,"vocab_size":97}`, c.Hidden))
			b := randomBatch(97, c.Length, (c.Length+1)/2, 2, c.Length)
			m := loadTiny(t, dir, nn.Options{NoiseAlpha: c.Alpha}, 1, nn.Shapes{Train: []*nn.Batch{b}, Evaluate: []*nn.Batch{b}})
			require.InEpsilon(t, c.Bound, m.Noise(b.Longest()), 2e-7)
			dev := &embedRecorder{Device: m.dev.(*cpu.Device), t: t}
			embed := func(step uint32, train bool) []float32 {
				if train {
					require.NoError(t, m.Train(dev, b, 1, bindings.Random{Train: true, Seed: 1, Step: step}))
				} else {
					require.NoError(t, m.Evaluate(dev, b))
				}
				return dev.rows
			}
			plain, noisy, again, other := embed(3, false), embed(3, true), embed(3, true), embed(4, true)
			require.Equal(t, noisy, again)
			require.NotEqual(t, noisy, other)
			var squares, largest float64
			for i, x := range noisy {
				e := float64(x) - float64(plain[i])
				squares += e * e
				largest = max(largest, math.Abs(e))
			}
			count := float64(len(noisy))
			require.InEpsilon(t, c.Deviation, math.Sqrt(squares/count), 5*math.Sqrt(0.4/count)+0.01)
			require.LessOrEqual(t, largest, float64(c.Bound)*(1+1e-5)+1e-6)
			require.Greater(t, largest, c.Largest*(1-30/count))
		})
	}
}
