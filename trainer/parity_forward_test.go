package trainer

import (
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/checkpoint"
	"qlora/nn"
)

// forwardLimit is the largest error of a logit, relative to the largest recorded one
// for its token. Seen: 1e-6.
const forwardLimit = 1e-5

// TestParityForward compares logits and greedy text of one model of each family, rope
// scaling and window, and of bitsandbytes' own 4-bit folders.
func TestParityForward(t *testing.T) {
	var index struct{ Forward []string }
	readJSON(t, filepath.Join(parityFolder, "index.json"), &index)
	require.NotEmpty(t, index.Forward)
	for _, dev := range parityDevices(t) {
		t.Run(dev.Info().Detail, func(t *testing.T) {
			var rows [][]string
			for _, name := range index.Forward {
				row := []string{name, "-"}
				t.Run(name, func(t *testing.T) {
					m := loadForward(t, &recorder{Device: dev}, filepath.Join(parityFolder, "models", name))
					row[1] = fmt.Sprintf("%.1e", m.holdLogits(t, filepath.Join(parityFolder, "forward", name+".safetensors")))
					m.holdGreedy(t, filepath.Join(parityFolder, "forward", name+".json"))
				})
				rows = append(rows, row)
			}
			logTable(t, []string{"model", "logits"}, rows)
		})
	}
}

// A forward is a loaded model that generates.
type forward struct {
	*nn.Model
	dev *recorder
}

func loadForward(t *testing.T, dev *recorder, dir string) *forward {
	t.Helper()
	m, err := OpenBase(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	if m.Config.Quantization != nil {
		m.LoadIn4Bit()
	}
	tuned, err := m.Load(dev, nn.Shapes{Generate: 40})
	require.NoError(t, err)
	t.Cleanup(tuned.Close)
	dev.head = tuned.Model.Head
	return &forward{tuned.Model, dev}
}

// generate extends ids greedily by n tokens.
func (m *forward) generate(t *testing.T, ids []int32, n int) []int32 {
	t.Helper()
	var out []int32
	_, err := m.Generate(t.Context(), m.dev, ids, n, nn.Sampling{}, nil, func(id int32) bool {
		out = append(out, id)
		return true
	})
	require.NoError(t, err)
	require.NoError(t, m.dev.err)
	return out
}

// holdLogits compares the logits after every prefix of the recorded sequences and
// returns the largest difference.
func (m *forward) holdLogits(t *testing.T, path string) float64 {
	file, err := checkpoint.OpenFile(path)
	require.NoError(t, err)
	defer file.Close()
	worst := 0.0
	for _, label := range []string{"short", "long"} {
		encoded, ok := file.Tensor(label + ".input_ids")
		require.True(t, ok)
		recorded, ok := file.Tensor(label + ".logits")
		require.True(t, ok)
		ids := make([]int32, encoded.Elements())
		for i := range ids {
			ids[i] = int32(binary.LittleEndian.Uint32(encoded.Data()[4*i:]))
		}
		logits, vocabulary := floatsOf(recorded.Data()), m.Config.Vocabulary
		for i := range ids {
			m.generate(t, ids[:i+1], 1)
			far, reason := logitDistance(m.dev.logits, logits[i*vocabulary:(i+1)*vocabulary], forwardLimit)
			worst = max(worst, far)
			if reason != "" {
				t.Errorf("%s: after token %d: %s", label, i, reason)
			}
		}
	}
	return worst
}

// logitDistance returns the largest difference of a logit, relative to the largest
// wanted one, and a reason if it is above limit.
func logitDistance(got, want []float32, limit float64) (far float64, reason string) {
	if len(got) != len(want) {
		return math.Inf(1), fmt.Sprintf("got %d logits, want %d", len(got), len(want))
	}
	largest, furthest := 0.0, 0
	for _, w := range want {
		largest = max(largest, math.Abs(float64(w)))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i])-float64(w)) / largest; !(d <= far) {
			far, furthest = d, i
		}
	}
	if !(far <= limit) {
		reason = fmt.Sprintf("logit %d: got %v, want %v, error %.2e of the largest, at most %.0e is allowed",
			furthest, got[furthest], want[furthest], far, limit)
	}
	return far, reason
}

// holdGreedy generates with the key-value cache. The margins of the recorded tokens
// are above the logits' limit.
func (m *forward) holdGreedy(t *testing.T, path string) {
	var want struct{ Prompt, Greedy []int32 }
	readJSON(t, path, &want)
	require.Len(t, want.Greedy, 20)
	require.Equal(t, want.Greedy, m.generate(t, want.Prompt, len(want.Greedy)), "greedy tokens")
}
