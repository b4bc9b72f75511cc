package main

import (
	"image/color"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"qlora/internal/figure"
)

// draw draws how many of the answers have which length, before and after tuning.
func draw(path string, before, after [][]answer) error {
	p := figure.New("Answers to held-out prompts", "length in tokens", "answers")
	const bins = 32
	for _, of := range []struct {
		name  string
		all   [][]answer
		color color.NRGBA
	}{
		{"before", before, color.NRGBA{R: 93, G: 104, B: 120, A: 150}},
		{"after DPO", after, color.NRGBA{R: 31, G: 102, B: 214, A: 150}},
	} {
		var values plotter.Values
		for _, answers := range of.all {
			for _, a := range answers {
				values = append(values, float64(a.tokens))
			}
		}
		h, err := plotter.NewHist(values, bins)
		if err != nil {
			return err
		}
		h.FillColor, h.LineStyle.Width = of.color, 0
		p.Add(h)
		p.Legend.Add(of.name, h)
	}
	return figure.Write(path, p, 9*vg.Inch, 4*vg.Inch)
}
