package report

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"qlora/internal/figure"
)

// maxPlotPoints bounds the points of a line: a picture has no more columns.
const maxPlotPoints = 2000

// leastSmoothed is the minimum number of points of a line that is smoothed.
const leastSmoothed = 10

// fewPoints is the maximum number of points that a line also marks.
const fewPoints = 30

// NRGBA: plot takes colours with alpha unmultiplied.
var (
	trainingColor   = color.NRGBA{R: 31, G: 119, B: 180, A: 255}
	rawColor        = color.NRGBA{R: 31, G: 119, B: 180, A: 90}
	evaluationColor = color.NRGBA{R: 214, G: 39, B: 40, A: 255}
)

// drawLoss draws the losses of training thin, their exponential mean thick, and
// evaluations as a line with points, the best one marked.
func drawLoss(path, unit string, raw, eval plotter.XYs) error {
	p := figure.New("Loss", "optimizer step", unit)
	low, high, beyond := yRange(slices.Concat(raw, eval))
	var smoothed plotter.XYs
	if len(raw) >= leastSmoothed {
		smoothed = smooth(raw, high)
	}
	for _, l := range []struct {
		name   string
		xys    plotter.XYs
		width  vg.Length
		color  color.NRGBA
		points bool
	}{
		{"training", thin(raw), 1, rawColor, len(raw) <= fewPoints},
		{"training, smoothed", thin(smoothed), 2.5, trainingColor, false},
		{"evaluation", eval, 1, evaluationColor, len(eval) <= fewPoints},
	} {
		if len(l.xys) == 0 {
			continue
		}
		line, points, err := plotter.NewLinePoints(l.xys)
		if err != nil {
			return err
		}
		line.Width, line.Color = l.width, l.color
		points.GlyphStyle = draw.GlyphStyle{Color: l.color, Radius: 2.5, Shape: draw.CircleGlyph{}}
		p.Add(line)
		shown := []plot.Thumbnailer{line}
		if l.points {
			p.Add(points)
			shown = append(shown, points)
		}
		p.Legend.Add(l.name, shown...)
	}
	if len(eval) > 0 {
		best := slices.MinFunc(eval, func(a, b plotter.XY) int { return cmp.Compare(a.Y, b.Y) })
		mark, err := plotter.NewScatter(plotter.XYs{best})
		if err != nil {
			return err
		}
		mark.GlyphStyle = draw.GlyphStyle{Color: evaluationColor, Radius: 6, Shape: draw.RingGlyph{}}
		p.Add(mark)
		p.Legend.Add(fmt.Sprintf("best: %.4f at step %.0f", best.Y, best.X), mark)
	}
	// A margin above and below, so that no line touches the frame.
	air := max((high-low)*0.06, math.Abs(high)*1e-3, 1e-6)
	p.Y.Min, p.Y.Max = low-air, high+air
	if p.X.Max-p.X.Min < 1 { // a single point
		p.X.Min, p.X.Max = p.X.Min-1, p.X.Max+1
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{least: 1}, ticks{}
	if len(beyond) > 0 {
		if err := markBeyond(p, beyond); err != nil {
			return err
		}
	}
	return figure.Write(path, p, 9*vg.Inch, 5*vg.Inch)
}

// markBeyond labels the points above the upper edge.
func markBeyond(p *plot.Plot, beyond plotter.XYs) error {
	largest := beyond[0]
	words := fmt.Sprintf("↑ %.4g at step %.0f", largest.Y, largest.X)
	if more := len(beyond) - 1; more > 0 {
		words += fmt.Sprintf(", and %d more", more)
	}
	labels, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: largest.X, Y: p.Y.Max}}, Labels: []string{words}})
	if err != nil {
		return err
	}
	style := &labels.TextStyle[0]
	style.Font = p.X.Tick.Label.Font
	style.Color, style.YAlign = trainingColor, text.YTop
	labels.Offset = vg.Point{X: 4, Y: -2}
	if largest.X > (p.X.Min+p.X.Max)/2 {
		style.XAlign, labels.Offset.X = text.XRight, -4
	}
	p.Add(labels)
	return nil
}

// yRange returns the range of losses that a picture shows, and the points beyond it, the
// largest first. The range includes all losses, except the largest per cent (at least
// one) if they would flatten the others. The live page does the same.
func yRange(xys plotter.XYs) (low, high float64, beyond plotter.XYs) {
	sorted := slices.Clone(xys)
	slices.SortFunc(sorted, func(a, b plotter.XY) int { return cmp.Compare(a.Y, b.Y) })
	low, high = sorted[0].Y, sorted[len(sorted)-1].Y
	most := len(sorted) - 1 - max(1, len(sorted)/100)
	if most < 1 {
		return low, high, nil
	}
	rest := sorted[most].Y
	if high-low > 3*(rest-low) && high > 2*rest {
		high = rest + (rest-low)*0.1
		for _, p := range slices.Backward(sorted) {
			if p.Y > high {
				beyond = append(beyond, p)
			}
		}
	}
	return low, high, beyond
}

// smooth returns an exponential mean that runs over the points forwards and then, over
// the result, backwards, so that it does not lag. Its memory is a fortieth of the points
// each way, from 2 to 30. Values are clamped to most.
func smooth(xys plotter.XYs, most float64) plotter.XYs {
	keep := math.Exp(-1 / min(30, max(2, float64(len(xys))/40)))
	out := slices.Clone(xys)
	pass := func(at func(i int) *float64) {
		mean, weight := 0.0, 0.0 // weight corrects the bias of starting at zero
		for i := range out {
			y := at(i)
			mean = keep*mean + (1-keep)*min(*y, most)
			weight = keep*weight + (1 - keep)
			*y = mean / weight
		}
	}
	pass(func(i int) *float64 { return &out[i].Y })
	pass(func(i int) *float64 { return &out[len(out)-1-i].Y })
	return out
}

// thin keeps the smallest and the largest of the points in each half column of the
// picture.
func thin(xys plotter.XYs) plotter.XYs {
	if len(xys) <= maxPlotPoints {
		return xys
	}
	var out plotter.XYs
	for chunk := range slices.Chunk(xys, (2*len(xys)+maxPlotPoints-1)/maxPlotPoints) {
		low, high := 0, 0
		for i, p := range chunk {
			if p.Y < chunk[low].Y {
				low = i
			}
			if p.Y > chunk[high].Y {
				high = i
			}
		}
		for i := range chunk {
			if i == low || i == high {
				out = append(out, chunk[i])
			}
		}
	}
	return out
}

// ticks are at multiples of 1, 2 or 5 times a power of ten, about seven of them, and
// never closer than least.
type ticks struct{ least float64 }

func (t ticks) Ticks(low, high float64) []plot.Tick {
	rough := max((high-low)/7, t.least)
	step := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, times := range []float64{1, 2, 5, 10} {
		if step*times >= rough*(1-1e-9) {
			step *= times
			break
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	var all []plot.Tick
	for i := math.Ceil(low/step - 1e-9); i*step <= high+step*1e-9; i++ {
		at := i*step + 0 // avoids -0
		all = append(all, plot.Tick{Value: at, Label: strconv.FormatFloat(at, 'f', decimals, 64)})
	}
	return all
}
