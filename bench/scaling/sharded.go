package main

import (
	"fmt"
	"io"
	"strings"
)

// A holding is GPUs that share a base out.
type holding struct {
	name   string
	on     cluster
	gpus   int
	hybrid bool // each node holds a base
}

// holdings are those of the table, on clusters by their places.
var holdings = []holding{
	{"2 x 4090, PCIe 4", clusters[4], 2, false},
	{"8 x 4090, PCIe 4", clusters[4], 8, false},
	{"2 x 8 x 4090, 10 Gb/s", clusters[4], 16, false},
	{"2 x 8 x 4090, 10 Gb/s", clusters[4], 16, true},
	{"8 x H100, NVLink", clusters[1], 8, false},
	{"2 x 8 x H100, 400 Gb/s", clusters[1], 16, false},
	{"2 x 8 x H100, 400 Gb/s", clusters[1], 16, true},
	{"8 x 8 x H100, 400 Gb/s", clusters[1], 64, false},
	{"8 x 8 x H100, 400 Gb/s", clusters[1], 64, true},
	{"8 x 8 x H100, 10 Gb/s", clusters[2], 64, false},
	{"8 x 8 x H100, 10 Gb/s", clusters[2], 64, true},
}

// lengths are the tokens of a micro-batch, and sharedAccumulation the micro-batches of a step.
var lengths = []float64{1024, 2048, 8192}

const sharedAccumulation = 8

// kept is the number of layers that are there from the walk before.
const kept = 2

// sharded returns the share of its own speed that a GPU keeps. A layer is gathered while the one
// before computes, so the longer of the two counts, or, if not ahead, both.
func sharded(m model, h holding, tokens float64, ahead bool) float64 {
	holders, inside := h.gpus, h.on.inside
	if h.hybrid {
		holders = min(holders, h.on.perNode)
	}
	if holders > h.on.perNode {
		inside = h.on.between
	}
	gather := ring(m.fourBit/m.layers, holders, inside) + latency*float64(min(holders, hops))
	compute := microBatch(m, h.on.gpu, tokens)
	all := 0.0
	for _, pass := range []float64{compute / 3, compute * 2 / 3} { // forward; forward again and backward
		layer := pass / m.layers
		each := layer + gather
		if ahead {
			each = max(layer, gather)
		}
		all += kept*layer + (m.layers-kept)*each
	}
	return sharedAccumulation * compute / (sharedAccumulation*all + sums(m, h.on, h.gpus))
}

// writeSharded prints the table of shared bases, of the 70B model.
func writeSharded(w io.Writer) {
	m := models[1]
	fmt.Fprint(w, "| GPUs | `--fsdp` |")
	for _, n := range lengths {
		fmt.Fprintf(w, " %.0f tokens |", n)
	}
	fmt.Fprintf(w, "\n|---|---|%s\n", strings.Repeat("---|", len(lengths)))
	for _, h := range holdings {
		kind := "full_shard"
		if h.hybrid {
			kind = "hybrid_shard"
		}
		fmt.Fprintf(w, "| %s | %s |", h.name, kind)
		for _, n := range lengths {
			fmt.Fprintf(w, " %.0f, %.0f |", 100*sharded(m, h, n, false), 100*sharded(m, h, n, true))
		}
		fmt.Fprintln(w)
	}
}
