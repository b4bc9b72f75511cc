package main

import (
	"fmt"
	"image/color"
	"strings"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"qlora/internal/figure"
)

// colors are the methods' colors.
var colors = map[string]color.NRGBA{
	full:  {R: 90, G: 90, B: 90, A: 255},
	lora:  {R: 31, G: 119, B: 180, A: 255},
	qlora: {R: 214, G: 39, B: 40, A: 255},
}

// legend names the methods.
var legend = map[string]string{full: "full", lora: "LoRA", qlora: "QLoRA (NF4, double quantization)"}

// draw plots every seed's held-out loss as a point and the mean as a bar, one column per
// configuration. The bases' losses are in a caption: as lines they would compress the
// rest.
func (r *results) draw(path string) error {
	p := figure.New(fmt.Sprintf("Held-out loss after %d steps", r.Trials[0].Steps), r.untuned(), "loss per predicted token (nats)")
	p.X.Label.Padding = 6
	var columns []string
	inLegend := map[string]bool{}
	for i, g := range groups(r.Trials) {
		columns = append(columns, strings.ReplaceAll(g.title(), ", ", "\n"))
		seeds, bar, err := drawGroup(g, float64(i))
		if err != nil {
			return err
		}
		p.Add(seeds, bar)
		if !inLegend[g.Method] {
			inLegend[g.Method] = true
			p.Legend.Add(legend[g.Method], seeds, bar)
		}
	}
	p.NominalX(columns...)
	p.X.Min, p.X.Max = -0.5, float64(len(columns))-0.5
	air := max((p.Y.Max-p.Y.Min)*0.06, 1e-3)
	p.Y.Min, p.Y.Max = p.Y.Min-air, p.Y.Max+4*air // above, for the legend
	return figure.Write(path, p, 10*vg.Inch, 5.5*vg.Inch)
}

// drawGroup returns the points of a configuration's seeds, in order around x, and the
// bar of their mean.
func drawGroup(g group, x float64) (*plotter.Scatter, *plotter.Line, error) {
	var points plotter.XYs
	between := 0.3 / float64(len(g.trials))
	for i, loss := range g.losses() {
		points = append(points, plotter.XY{X: x + between*(float64(i)-float64(len(g.trials)-1)/2), Y: loss})
	}
	seeds, err := plotter.NewScatter(points)
	if err != nil {
		return nil, nil, err
	}
	seeds.GlyphStyle = draw.GlyphStyle{Color: colors[g.Method], Radius: 3.5, Shape: draw.CircleGlyph{}}
	mean, _ := summary(g.losses())
	bar, err := plotter.NewLine(plotter.XYs{{X: x - 0.3, Y: mean}, {X: x + 0.3, Y: mean}})
	if err != nil {
		return nil, nil, err
	}
	bar.Width, bar.Color = 2, colors[g.Method]
	return seeds, bar, nil
}

// untuned describes the losses that LoRA and QLoRA start from.
func (r *results) untuned() string {
	bf16, nf4 := r.base("bf16"), r.base("nf4-dq")
	if bf16 == nil || nf4 == nil {
		return ""
	}
	return fmt.Sprintf("not tuned: %.3f in bf16, %.3f in NF4 with double quantization", bf16.Loss, nf4.Loss)
}
