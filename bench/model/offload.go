package main

import (
	"fmt"
	"io"
)

// pcie is the rate that is assumed of a card's link to the host, in bytes a second: PCIe 4 x16 has
// 31.5 GB/s in each direction, of which copies of pinned memory reach about 25.
const pcie = 25 * gig

// An offload is what a layer's activations cost that leave for the host's memory and come back.
type offload struct {
	bytes             float64 // of a layer
	seconds           float64 // to leave, and to come back
	forward, backward float64 // seconds of a layer that computes meanwhile, at least
	exposed           float64 // seconds of the step in which nothing computes
}

// kept returns the bytes of what backward reads of a layer, as the policy keeps it.
func (m shape) kept(b batch) float64 {
	features := m.hidden + b.rank // the input; XA of the last projection
	if b.recompute != "layer" {
		features += 2*m.heads*m.headDim + 2*m.kvHeads*m.headDim + 2*m.heads + m.hidden + 4*b.rank // q, k, v, output, their sums, the middle
	}
	if b.recompute == "none" {
		features += 2 * (m.intermediate + b.rank)
	}
	return 2 * float64(b.tokens) * float64(features)
}

// offload models a step's transfers, of all layers but the last, next to the layers that compute. Only products
// and attention count as such, so that more may be hidden than it says.
func (t *table) offload(m shape, b batch) offload {
	o := offload{bytes: m.kept(b)}
	o.seconds = o.bytes / pcie
	layers := float64(m.layers)
	for _, r := range t.rows {
		switch r.name {
		case "products forward", "adapters: XA":
			o.forward += r.seconds / layers
		case "attention forward":
			again := 0.
			if b.recompute == "layer" {
				again = 0.5
			}
			o.forward += (1 - again) * r.seconds / layers
			o.backward += again * r.seconds / layers
		case "products recomputed", "products backward", "adapters: U", "adapters: dA", "adapters: dB", "attention backward":
			o.backward += r.seconds / layers
		}
	}
	o.exposed = (layers - 1) * (max(0, o.seconds-o.forward) + max(0, o.seconds-o.backward))
	return o
}

func (o offload) print(out io.Writer, step float64) error {
	_, err := fmt.Fprintf(out, "modelled: activations in the host's memory take %.0f MB a layer each way, %.1f ms at %.0f GB/s (PCIe 4 x16, assumed), next to %.1f ms of a layer's forward and %.1f ms of its backward: the step takes %.1f %% longer\n",
		o.bytes/1e6, 1e3*o.seconds, pcie/gig, 1e3*o.forward, 1e3*o.backward, 100*o.exposed/step)
	return err
}
