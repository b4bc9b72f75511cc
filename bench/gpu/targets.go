package main

import (
	"fmt"

	"qlora/bench/gpu/plan"
)

// A share is a target with the fraction reached of a peer's or a copy's speed. Each
// measured shape is compared with it.
type share struct {
	Target string  `json:"target"`
	Want   float64 `json:"want"`
	Shapes int     `json:"shapes"` // shapes measured for both; 0 if there is no result yet
	Met    int     `json:"met"`    // shapes that meet it
	Median float64 `json:"median,omitempty"`
	Worst  float64 `json:"worst,omitempty"`
	At     string  `json:"worst_at,omitempty"`
}

// shares compares the rows with the targets.
func shares(rows []row) []share {
	byName := map[string]row{}
	for _, w := range rows {
		byName[w.Name] = w
	}
	speed := func(w row) float64 { return w.Speed }
	var all []share
	for _, t := range []struct {
		target string
		want   float64
		what   []string
		reach  func(row) float64 // 0 if not measured
	}{
		{"weights in 4 bits decoded at 85 % of a copy's bandwidth", 0.85, []string{plan.Decode}, func(w row) float64 { return w.OfCopy }},
		{"products at 90 % of cuBLAS", 0.9, []string{plan.GemmForward, plan.GemmInputGradient}, speed},
		{
			"products with weights in 4 bits at 2048 tokens no slower than decoding and then cuBLAS", 1,
			[]string{plan.NF4Forward, plan.NF4InputGradient},
			func(w row) float64 { return ofDecodedAndMultiplied(w, byName) },
		},
		{"attention forward at 60 % of PyTorch's", 0.6, []string{plan.AttentionForward}, speed},
	} {
		s := share{Target: t.target, Want: t.want}
		var reached []float64
		for _, w := range rows {
			for _, what := range t.what {
				if got := t.reach(w); w.measurement.What == what && got > 0 {
					reached = append(reached, got)
					if got >= t.want {
						s.Met++
					}
					if s.At == "" || got < s.Worst {
						s.Worst, s.At = got, w.Name
					}
				}
			}
		}
		if s.Shapes = len(reached); s.Shapes > 0 {
			s.Median = median(reached)
		}
		all = append(all, s)
	}
	return all
}

// ofDecodedAndMultiplied returns the speed of a product with a 4-bit weight relative to
// the fastest decoding followed by the fastest bf16 product of the peers.
func ofDecodedAndMultiplied(w row, byName map[string]row) float64 {
	if w.MS == 0 || w.measurement.What != plan.NF4Forward && w.measurement.What != plan.NF4InputGradient || w.measurement.Get("tokens") != 2048 {
		return 0
	}
	gemm := plan.GemmForward
	if w.measurement.What == plan.NF4InputGradient {
		gemm = plan.GemmInputGradient
	}
	in, out := w.measurement.Get("in"), w.measurement.Get("out")
	product := fastest(byName[fmt.Sprintf("%s/in=%d/out=%d/tokens=2048", gemm, in, out)].Peers)
	decoding := byName[fmt.Sprintf("%s/in=%d/out=%d", plan.Decode, in, out)]
	decode := decoding.MS
	if peer := fastest(decoding.Peers); peer != nil && (decode == 0 || peer.MS < decode) {
		decode = peer.MS
	}
	if product == nil || decode == 0 {
		return 0
	}
	return (decode + product.MS) / w.MS
}
