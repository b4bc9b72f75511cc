package trainer

import (
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLossPlot draws what there is: logged rows, or the steps of a run too short
// for rows, or nothing.
func TestLossPlot(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps int
		rows  []Record
		want  bool
	}{
		{"nothing", 0, nil, false},
		{"steps only", 3, nil, true},
		{"one row", 3, []Record{{Step: 3, Loss: number(2)}}, true},
		{"rows", 0, []Record{{Step: 10, Loss: number(2)}, {Step: 20, Loss: number(1)}, {Step: 20, EvalLoss: number(1.5)}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var l lossPlot
			require.NoError(t, l.Start(&Begin{OutputDir: dir}))
			for i := range c.steps {
				l.Step(Progress{Step: i + 1, Loss: 3 - float64(i)})
			}
			require.NoError(t, l.Stop(&State{LogHistory: c.rows}, nil))
			f, err := os.Open(filepath.Join(dir, lossFile))
			if !c.want {
				require.ErrorIs(t, err, os.ErrNotExist)
				return
			}
			require.NoError(t, err)
			defer f.Close()
			picture, err := png.Decode(f)
			require.NoError(t, err)
			require.Greater(t, picture.Bounds().Dx(), 600)
		})
	}
}
