package trainer

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bfloat16Limit bounds the difference of a run in bfloat16 from the recorded one in float32.
//
// A bfloat16 has 8 bits, so a stored or multiplied value is off by up to 2^-9 of itself, with
// a random sign. Between the embedding and the logits of these models of two layers lie about
// 16 roundings in a row; a standard deviation of 0.42·2^-8 each (see conformance.Tolerances)
// makes 0.007 of a logit, and a loss, the mean over the predicted tokens of a batch, a
// fraction of that: 2^-8 at a step from the same weights. The steps' rounded gradients lead
// the runs apart, by about as much again over 32 steps. A gradient goes through the layers
// twice, and its norm is that of the roundings' sum: 2^-5. The trained weights are not held:
// where a gradient is near zero, Adam makes a whole step of its sign.
//
// The recorded runs of the real tools in bfloat16 differ by as much: up to 3.7e-3 in a loss
// and 2.6e-2 in a norm.
var bfloat16Limit = parityLimit{loss: 0x1p-7, norm: 0x1p-5, gradient: 0x1p-5, weights: math.Inf(1), codes: math.Inf(1)}

// TestParityBFloat16 trains every recorded case in bfloat16 and compares it with the recorded
// run in float32; and, where the real tools' run in bfloat16 was recorded, the root mean
// square of the losses' differences with theirs.
func TestParityBFloat16(t *testing.T) {
	var tools map[string]struct {
		Loss []float64 `json:"loss"`
	}
	readJSON(t, filepath.Join(parityFolder, "bfloat16.json"), &tools)
	dev := openBFloat16(t)
	var rows [][]string
	for _, c := range parityCases(t) {
		var far distance
		var ours, theirs float64
		t.Run(c.Name, func(t *testing.T) {
			var dir string
			far, dir = c.replay(t, dev, bfloat16Limit)
			recorded, ok := tools[c.Name]
			if !ok {
				return
			}
			want := recordedLosses(t, filepath.Join(parityFolder, c.Name))
			ours, theirs = rootMeanSquare(t, want, lossesOf(t, dir)), rootMeanSquare(t, want, recorded.Loss)
			assert.LessOrEqual(t, ours, 2*theirs, "root mean square of the losses' differences from float32")
		})
		row := append([]string{c.Name}, far.columns()...)
		if theirs > 0 {
			row = append(row, fmt.Sprintf("%.1e", ours), fmt.Sprintf("%.1e", theirs))
		}
		rows = append(rows, row)
	}
	logTable(t, append(append([]string{"case"}, distanceColumns...), "loss, rms", "the tools' in bfloat16"), rows)
}

// recordedLosses returns the losses of the recorded run in a folder.
func recordedLosses(t *testing.T, folder string) (losses []float64) {
	t.Helper()
	var rows []Record
	readJSON(t, filepath.Join(folder, "log_history.json"), &rows)
	for _, row := range rows {
		if row.Loss != nil {
			losses = append(losses, float64(*row.Loss))
		}
	}
	return losses
}

// rootMeanSquare returns the root of the mean of the squared relative differences.
func rootMeanSquare(t *testing.T, want, got []float64) float64 {
	t.Helper()
	require.Len(t, got, len(want))
	sum := 0.0
	for i, w := range want {
		sum += apart(w, got[i]) * apart(w, got[i])
	}
	return math.Sqrt(sum / float64(len(want)))
}
