package main

import (
	"io"
	"math"
	"os"
	"strings"
	"testing"
)

// TestPageHasTheTable holds docs/distributed.md to what this program prints.
func TestPageHasTheTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/distributed.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, write := range []func(io.Writer){write, writeSharded} {
		var table strings.Builder
		write(&table)
		if !strings.Contains(string(page), table.String()) {
			t.Errorf("docs/distributed.md does not have what `go run ./bench/scaling` prints:\n%s", table.String())
		}
	}
}

// TestShares compares with sums made by hand: 8B on 2 of 8 H100 takes 0.251 s a
// micro-batch, and sends 335 MB once each way at 380 GB/s.
func TestShares(t *testing.T) {
	if got := microBatch(models[0], h100, tokens); math.Abs(got-0.2514) > 1e-3 {
		t.Errorf("a micro-batch of 8B takes %.4f s, want 0.2514", got)
	}
	want := 0.2514 / (0.2514 + 335.2e6/380e9 + 4e-5)
	if got := replicas(models[0], clusters[0], 2, 1); math.Abs(got-want) > 1e-4 {
		t.Errorf("2 GPUs keep %.4f, want %.4f", got, want)
	}
	if got := replicas(models[0], clusters[0], 1, 1); got < 0.9999 {
		t.Errorf("1 GPU keeps %.4f, want 1", got)
	}
}

// TestSharedBase compares with a sum made by hand: on two 4090, 2,048 tokens of 70B take 10.85 s, a
// third of it forward, and a layer of 441 MB has half of its bytes sent at 21 GB/s.
func TestSharedBase(t *testing.T) {
	compute := microBatch(models[1], rtx4090, 2048)
	if math.Abs(compute-10.65) > 0.05 {
		t.Errorf("a micro-batch of 70B takes %.4f s, want 10.65", compute)
	}
	gather := 441.4e6/2/21e9 + 4e-5
	forward, backward := compute/3/80, compute*2/3/80
	if gather > forward {
		t.Fatalf("a layer takes %.4f s to gather and %.4f s to compute", gather, forward)
	}
	added := 2*8*207.1e6/2/21e9 + 4e-5
	for ahead, all := range map[bool]float64{true: compute, false: 80*(forward+backward) + 2*78*gather} {
		want := 8 * compute / (8*all + added)
		if got := sharded(models[1], holdings[0], 2048, ahead); math.Abs(got-want) > 1e-4 {
			t.Errorf("ahead %t: 2 GPUs keep %.4f, want %.4f", ahead, got, want)
		}
	}
	// What travels for longer than a layer computes is what counts.
	slow := holding{"", clusters[4], 16, false}
	gather = 441.4e6*15/16/1.1e9 + 16*2e-5
	want := 8 * compute / (8*(2*(forward+backward)+2*78*gather) + sums(models[1], clusters[4], 16))
	if got := sharded(models[1], slow, 2048, true); math.Abs(got-want) > 1e-4 {
		t.Errorf("16 GPUs over 10 Gb/s keep %.4f, want %.4f", got, want)
	}
}
