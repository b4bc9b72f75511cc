package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"qlora/internal/atomicfile"
	"qlora/trainer"
)

// claim bounds the tested difference: QLoRA's held-out loss is at most this much above LoRA's,
// in nats.
const claim = 0.01

// writeTable writes the results as Markdown.
func (r *results) writeTable(path string) error {
	var b bytes.Buffer
	r.bases(&b)
	r.methods(&b)
	r.claim(&b)
	r.rates(&b)
	return atomicfile.Write(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(b.Bytes())
		return err
	})
}

func (r *results) bases(b *bytes.Buffer) {
	fmt.Fprintf(b, "| base, not tuned | loss | above bf16 | accuracy |\n|---|--:|--:|--:|\n")
	for _, e := range r.Bases {
		above := math.NaN()
		if reference := r.base("bf16"); reference != nil {
			above = e.Loss - reference.Loss
		}
		fmt.Fprintf(b, "| %s | %.4f | %s | %.1f %% |\n", e.Base, e.Loss, signed(above), 100*e.Accuracy)
	}
}

func (r *results) methods(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n| tuned | learning rate | steps | loss: mean | standard deviation | each seed | memory of training |\n|---|--:|--:|--:|--:|---|--:|\n")
	for _, g := range slices.Concat(groups(r.Trials), groups(r.Long)) {
		mean, spread := summary(g.losses())
		var each []string
		for _, loss := range g.losses() {
			each = append(each, fmt.Sprintf("%.4f", loss))
		}
		one := g.trials[0]
		fmt.Fprintf(b, "| %s | %g | %d | %.4f | %s | %s | %s |\n", g.title(), one.LearningRate, one.Steps, mean, number(spread), strings.Join(each, ", "), trainer.Bytes(one.Memory))
	}
}

// title returns the configuration in words.
func (c configuration) title() string {
	if c.Method == full {
		return "full"
	}
	name := map[string]string{lora: "LoRA", qlora: "QLoRA"}[c.Method]
	return fmt.Sprintf("%s, rank %d, %s", name, c.Rank, map[string]string{queryAndV: "q and v", allLinear: "all linear"}[c.Targets])
}

func (r *results) claim(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n| QLoRA - LoRA | steps | each seed | mean | standard deviation | seeds at most %g above |\n|---|--:|---|--:|--:|--:|\n", claim)
	for _, p := range slices.Concat(pairs(r.Trials), pairs(r.Long)) {
		var each []string
		within := 0
		for _, d := range p.differences {
			each = append(each, signed(d))
			if d <= claim {
				within++
			}
		}
		mean, spread := summary(p.differences)
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s | %d of %d |\n",
			strings.TrimPrefix(p.title(), "QLoRA, "), p.steps, strings.Join(each, ", "), signed(mean), number(spread), within, len(each))
	}
}

func (r *results) rates(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n| learning rate tried | | loss on the validation records |\n|---|--:|--:|\n")
	for _, t := range r.Rates {
		fmt.Fprintf(b, "| %s | %g | %.4f |\n", t.title(), t.LearningRate, t.Loss)
	}
}

func number(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf("%.4f", x)
}

func signed(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	return fmt.Sprintf("%+.4f", x)
}

// The files of the results.
const (
	resultsFile = "results.json"
	tableFile   = "table.md"
	pictureFile = "retention.png"
)

// report writes the finished results.
func (r *results) report(dir string) error {
	if err := write(filepath.Join(dir, resultsFile), r); err != nil {
		return err
	}
	if err := r.writeTable(filepath.Join(dir, tableFile)); err != nil {
		return err
	}
	return r.draw(filepath.Join(dir, pictureFile))
}
