// Package figure draws the program's plots in one style: gonum/plot with a light grid, a
// sans-serif face and a legend inside the frame.
package figure

import (
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"qlora/internal/atomicfile"
)

// New returns an empty plot with a title and axis labels.
func New(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		size := f.Size
		*f = sans
		f.Size = size
	}
	p.Legend.Top, p.Legend.XOffs, p.Legend.YOffs = true, -12, -8
	p.Legend.Padding, p.Legend.ThumbnailWidth = 3, 24
	p.Title.TextStyle.Font.Size, p.Title.Padding = 15, 8
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{Y: 225}, color.Gray{Y: 225}
	p.Add(grid)
	return p
}

// Write draws the plot to a PNG file.
func Write(path string, p *plot.Plot, width, height vg.Length) error {
	picture, err := p.WriterTo(width, height, "png")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, 0o644, func(w io.Writer) error {
		_, err := picture.WriteTo(w)
		return err
	})
}
