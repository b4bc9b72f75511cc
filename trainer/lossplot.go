package trainer

import (
	"image/color"
	"path/filepath"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"qlora/internal/figure"
)

// lossFile is the picture of a run's losses.
const lossFile = "loss.png"

// maxPlotPoints is what a line is thinned out to: a picture has no more columns
// to show.
const maxPlotPoints = 2000

// smoothing is the weight of the past in the thick line's exponential mean.
const smoothing = 0.9

// lossPlot draws loss.png when a run stops: the logged losses thin, their
// exponential mean thick, evaluations as points. Where a run is so short that
// less than two rows were logged, every step's loss stands in for them.
type lossPlot struct {
	NoOutput
	dir   string
	steps plotter.XYs
}

func (l *lossPlot) Start(b *Begin) error {
	l.dir = b.OutputDir
	return nil
}

func (l *lossPlot) Step(p Progress) {
	if len(l.steps) < maxPlotPoints {
		l.steps = append(l.steps, plotter.XY{X: float64(p.Step), Y: p.Loss})
	}
}

func (l *lossPlot) Stop(s *State, _ error) error {
	if l.dir == "" {
		return nil
	}
	var raw, eval plotter.XYs
	for _, r := range s.LogHistory {
		if r.Loss != nil {
			raw = append(raw, plotter.XY{X: float64(r.Step), Y: float64(*r.Loss)})
		}
		if r.EvalLoss != nil {
			eval = append(eval, plotter.XY{X: float64(r.Step), Y: float64(*r.EvalLoss)})
		}
	}
	if len(raw) < 2 {
		raw = l.steps
	}
	if len(raw)+len(eval) == 0 {
		return nil
	}
	return drawLoss(filepath.Join(l.dir, lossFile), raw, eval)
}

func drawLoss(path string, raw, eval plotter.XYs) error {
	p := figure.New("Loss", "optimizer step", "loss per predicted token (nats)")
	// NRGBA: plot takes colours with alpha unmultiplied.
	for _, l := range []struct {
		name  string
		xys   plotter.XYs
		width vg.Length
		color color.NRGBA
	}{
		{"training", thin(raw), 1, color.NRGBA{R: 31, G: 119, B: 180, A: 90}},
		{"training, smoothed", thin(smooth(raw)), 2.5, color.NRGBA{R: 31, G: 119, B: 180, A: 255}},
	} {
		if len(l.xys) == 0 {
			continue
		}
		line, err := plotter.NewLine(l.xys)
		if err != nil {
			return err
		}
		line.Width, line.Color = l.width, l.color
		p.Add(line)
		p.Legend.Add(l.name, line)
	}
	if len(eval) > 0 {
		points, err := plotter.NewScatter(eval)
		if err != nil {
			return err
		}
		points.GlyphStyle = draw.GlyphStyle{Color: color.NRGBA{R: 214, G: 39, B: 40, A: 255}, Radius: 3.5, Shape: draw.CircleGlyph{}}
		p.Add(points)
		p.Legend.Add("evaluation", points)
	}
	// A little air above and below, so that no line runs along the frame.
	air := max((p.Y.Max-p.Y.Min)*0.06, 1e-3)
	p.Y.Min, p.Y.Max = p.Y.Min-air, p.Y.Max+air
	return figure.Write(path, p, 9*vg.Inch, 5*vg.Inch)
}

// smooth is the exponential mean of the points so far, without the bias of
// starting from nothing.
func smooth(xys plotter.XYs) plotter.XYs {
	out := make(plotter.XYs, len(xys))
	mean, weight := 0.0, 0.0
	for i, p := range xys {
		mean = smoothing*mean + (1-smoothing)*p.Y
		weight = smoothing*weight + (1 - smoothing)
		out[i] = plotter.XY{X: p.X, Y: mean / weight}
	}
	return out
}

func thin(xys plotter.XYs) plotter.XYs {
	every := ceilDiv(len(xys), maxPlotPoints)
	if every <= 1 {
		return xys
	}
	var out plotter.XYs
	for i := 0; i < len(xys); i += every {
		out = append(out, xys[i])
	}
	return out
}
