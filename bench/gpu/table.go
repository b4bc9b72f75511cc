package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// titles are the operations' titles in the table.
var titles = map[string]string{
	"copy":                "Copy on the device",
	"gemm-forward":        "Product, forward (bf16)",
	"gemm-input-gradient": "Product, gradient of the input (bf16)",
	"nf4-forward":         "Product with a weight in 4 bits, forward",
	"nf4-input-gradient":  "Product with a weight in 4 bits, gradient of the input",
	"decode":              "Weight in 4 bits to bf16",
	"attention-forward":   "Attention, forward",
	"attention-backward":  "Attention, backward",
	"cross-entropy":       "Cross-entropy and its gradient",
	"adamw":               "AdamW, moments in 32 bits",
	"adamw-8bit":          "AdamW, moments in 8 bits",
}

// writeTable writes results.md.
func writeTable(w io.Writer, r *results) {
	fmt.Fprintf(w, "# The kernels on a GPU\n\n")
	fmt.Fprintf(w, "Written by `go run ./bench/gpu`; results.json has the same figures and every peer.\n\n")
	if !r.GPU {
		fmt.Fprintf(w, "**Not run on a GPU.**")
		if r.Device != "" {
			fmt.Fprintf(w, " The results below are of device %s: they show that the scripts run, and say nothing about speed.", r.Device)
		}
		fmt.Fprintf(w, "\n\n")
	}
	if r.GPU && r.Machine.Small {
		fmt.Fprintf(w, "**The peers ran with --small**, which tests that they run, not their speed.\n\n")
	}
	if r.Device != "" {
		fmt.Fprintf(w, "| | |\n|---|---|\n")
	}
	for _, line := range [][2]string{
		{"device", r.Device},
		{"driver", r.Driver},
		{"commit", r.Commit},
		{"date", r.Date},
		{"peers", strings.TrimSpace("torch " + r.Machine.Torch + " " + withCUDA(r.Machine.CUDA))},
	} {
		if r.Device != "" && line[1] != "" && line[1] != "torch" {
			fmt.Fprintf(w, "| %s | %s |\n", line[0], line[1])
		}
	}
	if r.Failed {
		fmt.Fprintf(w, "\n**A benchmark of ours failed; its measurements are missing.**\n")
	}
	writeChecks(w, r.Checks)
	if r.Device == "" {
		return
	}
	if r.GPU {
		writeTargets(w, r.Targets)
	}
	fmt.Fprintf(w, "\nTimes are per call in a sequence of calls, with operands in device memory, not in its cache. Rates count the minimal work of an operation:\n"+
		"multiplications and additions, or bytes read and written once. Speed is the fastest peer's time over ours. The limit is a copy's\n"+
		"bandwidth, or the tensor cores' rate by the data sheet, whichever takes longer.\n")
	writeRows(w, r.Rows)
	others := writeSteps(w, r.Others)
	writeOthers(w, others)
	writeSkipped(w, r.Rows)
}

func withCUDA(version string) string {
	if version == "" {
		return ""
	}
	return "with CUDA " + version
}

func writeTargets(w io.Writer, targets []share) {
	fmt.Fprintf(w, "\n## First targets\n\n| target | shapes that meet it | median | worst |\n|---|--:|--:|---|\n")
	for _, t := range targets {
		if t.Shapes == 0 {
			fmt.Fprintf(w, "| %s | not measured | | |\n", t.Target)
			continue
		}
		fmt.Fprintf(w, "| %s | %d of %d | %s | %s at %s |\n", t.Target, t.Met, t.Shapes, percent(t.Median), percent(t.Worst), t.At)
	}
}

// writeRows writes a table for each operation.
func writeRows(w io.Writer, rows []row) {
	shown := ""
	for _, m := range rows {
		what := m.measurement.What
		if what != shown {
			shown = what
			fmt.Fprintf(w, "\n## %s\n\n|", titles[what])
			for _, f := range m.measurement.Shape {
				fmt.Fprintf(w, " %s |", strings.ReplaceAll(f.Name, "_", " "))
			}
			fmt.Fprintf(w, " ours, ms | %s | of the limit | fastest peer, ms | %s | relative speed | peer |\n|%s---|\n",
				m.Unit, m.Unit, strings.Repeat("--:|", len(m.measurement.Shape)+6))
		}
		fmt.Fprintf(w, "|")
		for _, f := range m.measurement.Shape {
			fmt.Fprintf(w, " %d |", f.Value)
		}
		fmt.Fprintf(w, " %s | %s | %s |", number(m.MS), number(m.Rate), percent(cmp.Or(m.OfLimit, m.OfCopy)))
		var ms, peerRate float64
		if best := fastest(m.Peers); best != nil {
			ms = best.MS
			peerRate, _ = rate(m.measurement, ms)
		}
		fmt.Fprintf(w, " %s | %s | %s | %s |\n", number(ms), number(peerRate), percent(m.Speed), m.Best)
	}
}

func writeOthers(w io.Writer, others []other) {
	if len(others) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## Ours alone\n\n| benchmark | figures |\n|---|---|\n")
	for _, o := range others {
		var figures []string
		for _, unit := range slices.Sorted(maps.Keys(o.Metrics)) {
			figures = append(figures, number(o.Metrics[unit])+" "+unit)
		}
		fmt.Fprintf(w, "| %s | %s |\n", o.Name, strings.Join(figures, ", "))
	}
}

// writeSkipped lists the peers without a time and the reasons, each once.
func writeSkipped(w io.Writer, rows []row) {
	var lines []string
	for _, m := range rows {
		for _, t := range m.Peers {
			line := fmt.Sprintf("- %s, %s: %s\n", m.measurement.What, t.Peer, t.Skipped)
			if t.Skipped != "" && !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(w, "\n## Peers that could not be timed\n\n%s", strings.Join(lines, ""))
	}
}

// number formats x with three digits, or returns "" for 0.
func number(x float64) string {
	switch {
	case x == 0:
		return ""
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprintf("%.3g", x)
}

func percent(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f %%", 100*x)
}
