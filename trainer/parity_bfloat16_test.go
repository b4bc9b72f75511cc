package trainer

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/nn/family"
)

// bfloat16Limit bounds the difference of a run in bfloat16 from the recorded one in float32.
//
// A bfloat16 has 8 bits, so a stored or multiplied value is off by up to 2^-8 of itself, with
// a random sign and a standard deviation of 0.42·2^-8 (see conformance.Tolerances). Between
// the embedding and the logits of these models of two layers lie about 16 roundings in a row,
// which make 0.007 of a logit. A loss is the mean over the predicted tokens of a batch and
// has a fraction of that, 2^-8; the rounded gradients of 32 steps lead the runs apart by
// about as much again. Seen: 4.3e-3.
//
// A gradient has gone through 32 roundings, 0.01 of itself, and is the small difference of
// larger numbers in attention: 6 standard deviations are 2^-4. A model of 8 features has
// sums of 8 terms, whose errors average out half as well. Seen: 3.5e-2, and 9.1e-2 there.
// The trained weights are not held: where a gradient is near zero, Adam makes a whole step
// of its sign.
//
// The recorded runs of the real tools in bfloat16 differ by as much: up to 3.7e-3 in a loss
// and, of a model of 8 features, 2.6e-2 in a norm.
var bfloat16Limit = parityLimit{loss: 0x1p-7, norm: 0x1p-4, gradient: 0x1p-4, weights: math.Inf(1), codes: math.Inf(1)}

// narrowest is the width of the recorded models with the wider limit.
const narrowest = 8

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
			limit := bfloat16Limit
			if c.hidden(t) <= narrowest {
				limit.norm, limit.gradient = 2*limit.norm, 2*limit.gradient
			}
			far, dir = c.replay(t, dev, limit)
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

// hidden returns the number of features of the case's model.
func (c parityCase) hidden(t *testing.T) int {
	t.Helper()
	s := readParitySettings(t, filepath.Join(parityFolder, c.Name, "settings.json"))
	config, err := family.ReadConfig(filepath.Join(parityFolder, s.Model))
	require.NoError(t, err)
	return config.Hidden
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
