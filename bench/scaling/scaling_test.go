package main

import (
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
	var table strings.Builder
	write(&table)
	if !strings.Contains(string(page), table.String()) {
		t.Errorf("docs/distributed.md does not have what `go run ./bench/scaling` prints:\n%s", table.String())
	}
}

// TestShares compares with sums made by hand: 8B on 2 of 8 H100 takes 0.251 s a
// micro-batch, and sends 335 MB once each way at 380 GB/s.
func TestShares(t *testing.T) {
	if got := microBatch(models[0], h100); math.Abs(got-0.2514) > 1e-3 {
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
