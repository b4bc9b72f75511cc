package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

const (
	frameTime = 50  // how long a screenshot is shown, in hundredths of a second
	lastTime  = 500 // the same for the finished page
	surfaces  = 24  // the most frequent colors
	colors    = 127 // of a picture, apart from transparent; more make the file larger, and look the same
)

// decode reads a PNG file as RGBA.
func decode(file []byte) (*image.RGBA, error) {
	decoded, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	picture := image.NewRGBA(decoded.Bounds())
	draw.Draw(picture, picture.Rect, decoded, decoded.Bounds().Min, draw.Src)
	return picture, nil
}

// still writes the page as a PNG file.
func (b *browser) still(file string, v view) error {
	height := v.Height
	if height == 0 {
		v.Height = pageHeight
	}
	if err := b.view(v); err != nil {
		return err
	}
	if height == 0 {
		whole, err := b.number(`document.documentElement.scrollHeight`)
		if err != nil {
			return err
		}
		height = int(whole)
	}
	shot, err := b.screenshot(v.Width, height)
	if err != nil {
		return err
	}
	picture, err := decode(shot)
	if err != nil {
		return err
	}
	return writePNG(file, reduce(picture, palette([]*image.RGBA{picture})))
}

// write writes the moving picture, and the screenshots into a folder unless it is "".
func (r *recorder) write(file, stills string) error {
	for i, shot := range r.shots {
		r.shots[i] = crop(shot, r.height)
	}
	chosen := palette(r.shots)
	moving := &gif.GIF{Config: image.Config{ColorModel: chosen, Width: r.width, Height: r.height}}
	var shown *image.Paletted
	for i, shot := range r.shots {
		frame := reduce(shot, chosen)
		if stills != "" {
			if err := writePNG(filepath.Join(stills, fmt.Sprintf("%02d.png", i)), frame); err != nil {
				return err
			}
		}
		change := difference(shown, frame)
		shown = frame
		moving.Image = append(moving.Image, change)
		moving.Delay = append(moving.Delay, frameTime)
		moving.Disposal = append(moving.Disposal, gif.DisposalNone)
	}
	moving.Delay[len(moving.Delay)-1] = lastTime
	var buffer bytes.Buffer
	if err := gif.EncodeAll(&buffer, moving); err != nil {
		return err
	}
	return os.WriteFile(file, buffer.Bytes(), 0o644)
}

func writePNG(file string, picture image.Image) error {
	var buffer bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&buffer, picture); err != nil {
		return err
	}
	return os.WriteFile(file, buffer.Bytes(), 0o644)
}

// crop returns the first rows of a picture.
func crop(picture *image.RGBA, rows int) *image.RGBA {
	return &image.RGBA{Pix: picture.Pix[:rows*picture.Stride], Stride: picture.Stride, Rect: image.Rect(0, 0, picture.Rect.Dx(), rows)}
}

// palette returns transparent and some colors. The surfaces' are exact; each other color
// of the pictures is within a distance of one of them, the least that so few allow.
func palette(pictures []*image.RGBA) color.Palette {
	counts := map[color.RGBA]int{}
	for _, p := range pictures {
		for i := 0; i < len(p.Pix); i += 4 {
			counts[color.RGBA{p.Pix[i], p.Pix[i+1], p.Pix[i+2], 255}]++
		}
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(counts[b]-counts[a], int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B))
	})
	for distance := 0; ; distance++ {
		if chosen := apart(frequent, distance, colors); chosen != nil {
			return append(color.Palette{color.RGBA{}}, chosen...)
		}
	}
}

// apart chooses the surfaces' colors, then each that is further than distance from those
// chosen before it. It returns nil if they are more than limit.
func apart(frequent []color.RGBA, distance, limit int) []color.Color {
	var chosen []color.Color
	for i, c := range frequent {
		if i >= surfaces && slices.ContainsFunc(chosen, func(o color.Color) bool { return near(c, o.(color.RGBA), distance) }) {
			continue
		}
		if len(chosen) == limit {
			return nil
		}
		chosen = append(chosen, c)
	}
	return chosen
}

func near(a, b color.RGBA, distance int) bool {
	r, g, blue := int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B)
	return r*r+g*g+blue*blue <= distance*distance
}

// reduce gives each pixel its nearest color, without dithering, which would blur the text.
func reduce(picture *image.RGBA, palette color.Palette) *image.Paletted {
	reduced := image.NewPaletted(picture.Rect, palette)
	nearest := map[color.RGBA]uint8{}
	for i := range reduced.Pix {
		c := color.RGBA{picture.Pix[4*i], picture.Pix[4*i+1], picture.Pix[4*i+2], 255}
		index, ok := nearest[c]
		if !ok {
			index = uint8(palette.Index(c))
			nearest[c] = index
		}
		reduced.Pix[i] = index
	}
	return reduced
}

// difference returns the smallest rectangle of frame that differs from shown, with the
// pixels that are equal transparent. Without shown it returns all of frame.
func difference(shown, frame *image.Paletted) *image.Paletted {
	if shown == nil {
		return frame
	}
	same := func(x, y int) bool {
		return shown.ColorIndexAt(x, y) == frame.ColorIndexAt(x, y)
	}
	changed := image.Rectangle{}
	for y := range frame.Rect.Dy() {
		for x := range frame.Rect.Dx() {
			if !same(x, y) {
				changed = changed.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	if changed.Empty() {
		changed = image.Rect(0, 0, 1, 1)
	}
	difference := image.NewPaletted(changed, frame.Palette)
	for y := changed.Min.Y; y < changed.Max.Y; y++ {
		for x := changed.Min.X; x < changed.Max.X; x++ {
			if !same(x, y) {
				difference.SetColorIndex(x, y, frame.ColorIndexAt(x, y))
			}
		}
	}
	return difference
}
