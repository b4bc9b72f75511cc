package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"qlora/bindings/cuda/waves"
)

// print writes the kernels of two versions of a step next to each other.
func print(out io.Writer, g gpu, b batch, before, now *table) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "kernels\tlaunches\tTFLOP\tGB\tbound by\twaves full: before\tnow\tms: before\tnow\tTFLOP/s\t")
	line := func(r, was *row) {
		rate := ""
		if r.flops > 0 {
			rate = fmt.Sprintf("%.0f", r.flops/r.seconds/1e12)
		}
		full := func(r *row) string {
			if r.waved == 0 {
				return ""
			}
			return fmt.Sprintf("%.0f %%", 100*r.full/r.waved)
		}
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%.1f\t%s\t%s\t%s\t%.1f\t%.1f\t%s\t\n", r.name, r.launches, r.flops/1e12, r.bytes/1e9, r.limit, full(was), full(r), 1e3*was.seconds, 1e3*r.seconds, rate)
	}
	var all, allBefore row
	for i, r := range now.rows {
		line(r, before.rows[i])
		all.launches += r.launches
		all.flops += r.flops
		all.bytes += r.bytes
	}
	all.name, all.seconds, allBefore.seconds = "step", now.seconds(), before.seconds()
	line(&all, &allBefore)
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nmodelled: %.0f tokens/s, before %.0f. mma.sync's rate on this GPU: %.0f TFLOP/s\n", float64(b.tokens)/all.seconds, float64(b.tokens)/allBefore.seconds, g.peak()/1e12)
	return err
}

// printCopies writes what a step takes with copies of weights of several sizes.
func printCopies(out io.Writer, s setup, m shape, b batch) error {
	for _, way := range []struct {
		name string
		part func(g gpu, n, width, tokens int) int
	}{
		{"chosen, up to whole weights", partWithin(math.MaxInt)},
		{fmt.Sprintf("chosen, up to %d MB", decodedBytes>>20), partWithin(decodedBytes)},
		{"whole weights", func(_ gpu, n, _, _ int) int { return n }},
		{fmt.Sprintf("chosen, up to %d MB", waves.Cached>>20), partWithin(waves.Cached)},
	} {
		s.part = way.part
		t, err := step(s, m, b)
		if err != nil {
			return err
		}
		launches, seconds := 0, 0.
		for _, r := range t.rows {
			launches += r.launches
			if r.name == "decode" || strings.HasPrefix(r.name, "products ") {
				seconds += r.seconds
			}
		}
		if _, err := fmt.Fprintf(out, "modelled: copies of %s: %d launches, decoding and products %.1f ms, step %.1f ms\n", way.name, launches, 1e3*seconds, 1e3*t.seconds()); err != nil {
			return err
		}
	}
	return nil
}
