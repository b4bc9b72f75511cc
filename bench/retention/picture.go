package main

import (
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"qlora/internal/figure"
)

// colors are the methods'.
var colors = map[string]color.NRGBA{
	full:  {R: 90, G: 90, B: 90, A: 255},
	lora:  {R: 31, G: 119, B: 180, A: 255},
	qlora: {R: 214, G: 39, B: 40, A: 255},
}

// draw shows every seed's held-out loss as a point and the mean as a bar across, a column for each configuration; the bases that are not tuned are lines.
func (r *results) draw(path string) error {
	p := figure.New("Held-out loss after the same steps", "", "loss per predicted token (nats)")
	var columns []string
	inLegend := map[string]bool{}
	for i, g := range groups(r.Trials) {
		columns = append(columns, strings.ReplaceAll(g.title(), ", ", "\n"))
		var points plotter.XYs
		for _, loss := range g.losses() {
			points = append(points, plotter.XY{X: float64(i), Y: loss})
		}
		seeds, err := plotter.NewScatter(points)
		if err != nil {
			return err
		}
		seeds.GlyphStyle = draw.GlyphStyle{Color: colors[g.Method], Radius: 3.5, Shape: draw.CircleGlyph{}}
		mean, _ := summary(g.losses())
		bar, err := plotter.NewLine(plotter.XYs{{X: float64(i) - 0.25, Y: mean}, {X: float64(i) + 0.25, Y: mean}})
		if err != nil {
			return err
		}
		bar.Width, bar.Color = 2, colors[g.Method]
		p.Add(seeds, bar)
		if !inLegend[g.Method] {
			inLegend[g.Method] = true
			p.Legend.Add(map[string]string{full: "full", lora: "LoRA", qlora: "QLoRA (NF4, double quantization)"}[g.Method], seeds, bar)
		}
	}
	p.NominalX(columns...)
	if err := r.drawBases(p, float64(len(columns))); err != nil {
		return err
	}
	air := (p.Y.Max - p.Y.Min) * 0.25 // above, for the legend
	p.Y.Min, p.Y.Max = p.Y.Min-air/5, p.Y.Max+air
	return figure.Write(path, p, 10*vg.Inch, 5.5*vg.Inch)
}

// drawBases adds a line across for each of the bases that LoRA and QLoRA begin with.
func (r *results) drawBases(p *plot.Plot, columns float64) error {
	for _, line := range []struct{ base, label, method string }{
		{"bf16", "base, bf16", lora},
		{"nf4-dq", "base, NF4 with double quantization", qlora},
	} {
		b := r.base(line.base)
		if b == nil {
			continue
		}
		across, err := plotter.NewLine(plotter.XYs{{X: -0.5, Y: b.Loss}, {X: columns - 0.5, Y: b.Loss}})
		if err != nil {
			return err
		}
		across.Width, across.Color, across.Dashes = 1.2, colors[line.method], []vg.Length{vg.Points(5), vg.Points(4)}
		p.Add(across)
		p.Legend.Add(line.label, across)
	}
	return nil
}
