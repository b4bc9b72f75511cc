package report

import (
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/plotter"

	"qlora/trainer"
)

// TestLossPlot draws logged rows, or the steps of a run too short for rows, or nothing.
func TestLossPlot(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps int
		rows  []trainer.Record
		want  bool
	}{
		{"nothing", 0, nil, false},
		{"steps only", 3, nil, true},
		{"one row", 3, []trainer.Record{{Step: 3, Loss: number(2)}}, true},
		{"rows", 0, []trainer.Record{{Step: 10, Loss: number(2)}, {Step: 20, Loss: number(1)}, {Step: 20, EvalLoss: number(1.5)}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var l lossPlot
			state := &trainer.State{LogHistory: c.rows}
			require.NoError(t, l.Start(&trainer.Begin{OutputDir: dir, State: state}))
			for i := range c.steps {
				l.Step(trainer.StepDone{Step: i + 1, Loss: 3 - float64(i)})
			}
			require.NoError(t, l.Stop(state, nil))
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

// TestLossPlotRange checks that one outlier does not flatten the other losses, and is
// labelled.
func TestLossPlotRange(t *testing.T) {
	line := func(losses ...float64) (xys plotter.XYs) {
		for i, y := range losses {
			xys = append(xys, plotter.XY{X: float64(i + 1), Y: y})
		}
		return xys
	}
	var long []float64
	for i := range 300 {
		long = append(long, 2+1/float64(1+i))
	}
	for name, c := range map[string]struct {
		losses    []float64
		low, high float64
		beyond    int
	}{
		"one":           {[]float64{2}, 2, 2, 0},
		"two":           {[]float64{200, 2}, 2, 200, 0},
		"falling":       {[]float64{11, 8, 6, 5, 4.5, 4.2}, 4.2, 11, 0},
		"a first spike": {[]float64{900, 3, 2.5, 2.25, 2}, 2, 3.1, 1},
		"equal":         {[]float64{2, 2, 2, 2}, 2, 2, 0},
		"long":          {long, 2 + 1.0/300, 3, 0},
		"three spikes":  {append([]float64{90, 80, 70}, long...), 2 + 1.0/300, 3 + 0.1*(1-1.0/300), 3},
	} {
		low, high, beyond := yRange(line(c.losses...))
		require.InDelta(t, c.low, low, 1e-9, name)
		require.InDelta(t, c.high, high, 1e-9, name)
		require.Len(t, beyond, c.beyond, name)
	}
}

// TestThin checks that a thinned line keeps its extremes and its order.
func TestThin(t *testing.T) {
	var xys plotter.XYs
	for i := range 50_000 {
		xys = append(xys, plotter.XY{X: float64(i), Y: 1})
	}
	xys[777].Y, xys[40_001].Y = 9, -9
	thinned := thin(xys)
	require.LessOrEqual(t, len(thinned), maxPlotPoints)
	require.Contains(t, thinned, xys[777])
	require.Contains(t, thinned, xys[40_001])
	require.IsIncreasing(t, func() (x []float64) {
		for _, p := range thinned {
			x = append(x, p.X)
		}
		return x
	}())
}

// TestLossPlotMeanwhile checks that the picture exists during the run.
func TestLossPlotMeanwhile(t *testing.T) {
	r := tinyRun(t)
	seen := false
	r.Outputs = []trainer.Output{&onSaved{do: func() {
		_, err := os.Stat(filepath.Join(r.Args.OutputDir, lossFile))
		seen = seen || err == nil
	}}}
	require.NoError(t, train(t, t.Context(), r))
	require.True(t, seen)
}

// onSaved calls a function at every checkpoint.
type onSaved struct {
	trainer.NoOutput
	do func()
}

func (o *onSaved) Saved(string, int) error { o.do(); return nil }
