package main

import (
	"fmt"
	"io"
	"strings"
)

// writeSteps writes the table of whole steps, whose names begin with "Step/", and
// returns the other results.
func writeSteps(w io.Writer, all []other) (others []other) {
	began := false
	for _, o := range all {
		shape, ok := strings.CutPrefix(o.Name, "Step/")
		if !ok {
			others = append(others, o)
			continue
		}
		if !began {
			began = true
			fmt.Fprintf(w, "\n## Whole steps\n\nQLoRA, rank 16 on all linear layers, random weights. Taken is the decrease of free memory; NVML is the maximum that the driver saw in use.\n\n"+
				"| | tokens/s | step, ms | plan, MiB | taken, MiB | of the plan | NVML, MiB |\n|---|--:|--:|--:|--:|--:|--:|\n")
		}
		m := o.Metrics
		share := ""
		if p := m["%plan"]; p != 0 {
			share = fmt.Sprintf("%.1f %%", p)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", strings.NewReplacer("/", ", ", "=", " ").Replace(shape),
			number(m["tokens/s"]), number(m["ms"]), number(m["plan-MiB"]), number(m["taken-MiB"]), share, number(m["nvml-MiB"]))
	}
	return others
}
