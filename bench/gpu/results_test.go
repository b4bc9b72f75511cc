package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bench/gpu/plan"
)

const (
	gpuHeader = `{"header": {"device": "NVIDIA H100 80GB HBM3", "driver": "580.95.05", "torch": "2.9.0", "cuda": "13.0", "small": false}}`
	oursOnGPU = `device: NVIDIA H100 80GB HBM3
goos: linux
pkg: qlora/bindings/cuda
BenchmarkKernels/decode/in=4096/out=4096-16         	100	 20000 ns/op	 2147 GB/s
BenchmarkKernels/decode/in=4096/out=4096-16         	100	 24000 ns/op	 1789 GB/s
BenchmarkKernels/gemm-forward/in=4096/out=4096/tokens=2048-16	50	200000 ns/op	343 TFLOP/s	34.7 %limit
BenchmarkKernels/nf4-forward/in=4096/out=4096/tokens=2048-16	50	150000 ns/op
BenchmarkKernels/attention-forward/heads=32/kv_heads=8/head_dim=128/tokens=2048-16	50	100000 ns/op
BenchmarkStep/model=8b/recompute=none-16	3	400000000 ns/op	5120 tokens/s	9000 plan-MiB	9090 taken-MiB	101 %plan
BenchmarkKernels/rope/tokens=512-16	3	20000 ns/op	100 GB/s
PASS
`
	peersOnGPU = gpuHeader + `
{"what": "copy", "shape": {"bytes": 1073741824}, "peer": "torch.Tensor.copy_", "ms": 0.8, "spread": 0.01, "rate": 1, "unit": "GB/s"}
{"what": "gemm-forward", "shape": {"tokens": 2048, "in": 4096, "out": 4096}, "peer": "cuBLAS (torch.matmul)", "ms": 0.1, "spread": 0.01}
{"what": "decode", "shape": {"in": 4096, "out": 4096}, "peer": "bitsandbytes", "skipped": "No module named 'bitsandbytes'"}
{"what": "attention-forward", "shape": {"heads": 32, "kv_heads": 8, "head_dim": 128, "tokens": 2048}, "peer": "SDPA, flash", "ms": 0.09}
{"what": "attention-forward", "shape": {"heads": 32, "kv_heads": 8, "head_dim": 128, "tokens": 2048}, "peer": "SDPA, cuDNN", "ms": 0.07}
`
)

func joined(t *testing.T, ourText, peerText string) *results {
	t.Helper()
	o, err := readOurs(strings.NewReader(ourText))
	require.NoError(t, err)
	p, err := readPeers(strings.NewReader(peerText))
	require.NoError(t, err)
	r, err := join(o, p)
	require.NoError(t, err)
	return r
}

func TestJoin(t *testing.T) {
	r := joined(t, oursOnGPU, peersOnGPU)
	require.True(t, r.GPU)
	require.Equal(t, "NVIDIA H100 80GB HBM3", r.Device)
	require.Equal(t, "580.95.05", r.Machine.Driver)
	rows := map[string]row{}
	var order []string
	for _, w := range r.Rows {
		rows[w.measurement.What] = w
		order = append(order, w.measurement.What)
	}
	require.Equal(t, []string{plan.Copy, plan.GemmForward, plan.NF4Forward, plan.Decode, plan.AttentionForward}, order)

	decode := rows[plan.Decode] // 2.5625 bytes per element; the copy moves 2 GiB in 0.8 ms
	require.InDelta(t, 0.022, decode.MS, 1e-12)
	require.InDelta(t, 4096*4096*2.5625/22e-6/1e9, decode.Rate, 1e-6)
	require.InDelta(t, decode.Rate/(2*1073741824/0.8e-3/1e9), decode.OfCopy, 1e-9)
	require.Empty(t, decode.Best)
	require.Zero(t, decode.Speed)
	gemm := rows[plan.GemmForward]
	require.InDelta(t, 0.5, gemm.Speed, 1e-12)
	require.InDelta(t, 2*4096*4096*2048/0.2e-3/1e12, gemm.Rate, 1e-6)
	require.Equal(t, "SDPA, cuDNN", rows[plan.AttentionForward].Best)
	require.InDelta(t, 0.7, rows[plan.AttentionForward].Speed, 1e-12)
	require.Equal(t, []other{
		{"Step/model=8b/recompute=none", map[string]float64{"ms": 400, "tokens/s": 5120, "plan-MiB": 9000, "taken-MiB": 9090, "%plan": 101}},
		{"Kernels/rope/tokens=512", map[string]float64{"ms": 0.02, "GB/s": 100}},
	}, r.Others)
}

func TestTargets(t *testing.T) {
	r := joined(t, oursOnGPU, peersOnGPU)
	var got []string
	for _, s := range r.Targets {
		got = append(got, strings.Join([]string{percent(s.Want), percent(s.Worst), s.At}, " "))
	}
	require.Equal(t, []string{
		"85 % 73 % decode/in=4096/out=4096",
		"90 % 50 % gemm-forward/in=4096/out=4096/tokens=2048",
		"100 % 81 % nf4-forward/in=4096/out=4096/tokens=2048", // (22 + 100) / 150 µs
		"60 % 70 % attention-forward/heads=32/kv_heads=8/head_dim=128/tokens=2048",
	}, got)
	require.Equal(t, []int{0, 0, 0, 1}, []int{r.Targets[0].Met, r.Targets[1].Met, r.Targets[2].Met, r.Targets[3].Met})

	// An unmeasured target is neither met nor missed.
	for _, s := range joined(t, "BenchmarkX/decode/in=1/out=64 1 5 ns/op\n", gpuHeader).Targets {
		require.Zero(t, s.Shapes)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	r := joined(t, oursOnGPU, peersOnGPU)
	r.Commit, r.Date = "abc123", "2026-11-24"
	writeTable(&b, r)
	for _, want := range []string{
		"| device | NVIDIA H100 80GB HBM3 |\n| driver | 580.95.05 |\n| commit | abc123 |\n| date | 2026-11-24 |\n| peers | torch 2.9.0 with CUDA 13.0 |\n",
		"| products at 90 % of cuBLAS | 0 of 1 | 50 % | 50 % at gemm-forward/in=4096/out=4096/tokens=2048 |\n",
		"\n## Product, forward (bf16)\n\n| in | out | tokens | ours, ms | TFLOP/s | of the limit | fastest peer, ms | TFLOP/s | relative speed | peer |\n" +
			"|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n| 4096 | 4096 | 2048 | 0.2 | 344 | 35 % | 0.1 | 687 | 50 % | cuBLAS (torch.matmul) |\n",
		"| 4096 | 4096 | 0.022 | 1954 | 73 % |  |  |  |  |\n",
		"| model 8b, recompute none | 5120 | 400 | 9000 | 9090 | 101.0 % |  |\n",
		"| Kernels/rope/tokens=512 | 100 GB/s, 0.02 ms |\n",
		"- decode, bitsandbytes: No module named 'bitsandbytes'\n",
	} {
		require.Contains(t, b.String(), want)
	}
	require.NotContains(t, b.String(), "Not run on a GPU")
	for _, m := range plan.All() {
		require.Contains(t, titles, m.What)
	}
}

// TestWithoutAGPU checks that a rehearsal on the emulator does not count as a
// measurement.
func TestWithoutAGPU(t *testing.T) {
	for name, c := range map[string]struct {
		ours, peers string
		want        string
	}{
		"rehearsal":  {"device: emu\nBenchmarkX/decode/in=64/out=64-2 1 5 ns/op\n", `{"header": {"device": "cpu"}}`, "**Not run on a GPU.** The results below are of device emu"},
		"ours alone": {"device: emu, 2 threads\nBenchmarkX/decode/in=64/out=64-2 1 5 ns/op\n", "", "**Not run on a GPU.** The results below are of device emu, 2 threads"},
		"nothing":    {"", "", "**Not run on a GPU.**\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := func(name, text string) string {
				if text == "" {
					return ""
				}
				path := filepath.Join(dir, name)
				require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
				return path
			}
			require.NoError(t, run(file("ours", c.ours), file("peers", c.peers), "", "abc", "today", dir))
			table, err := os.ReadFile(filepath.Join(dir, "results.md"))
			require.NoError(t, err)
			require.Contains(t, string(table), c.want)
			require.NotContains(t, string(table), "First targets")
			encoded, err := os.ReadFile(filepath.Join(dir, "results.json"))
			require.NoError(t, err)
			require.Contains(t, string(encoded), `"gpu": false`)
		})
	}
}

func TestWrongInput(t *testing.T) {
	for _, c := range []struct{ ours, peers, want string }{
		{"BenchmarkX/decode/in=64-2 1 5 ns/op\n", gpuHeader, "the shape must have in, out"},
		{"BenchmarkX/decode/in=64/out=64-2 1 5 ns/op extra\n", gpuHeader, "not a benchmark result"},
		{"BenchmarkX/decode/in=64/out=64-2 1 x ns/op\n", gpuHeader, "not a benchmark result"},
		{"BenchmarkX/decode/in=64/out=64-2 1 5 GB/s\n", gpuHeader, "a result without ns/op"},
		{"PASS\n", gpuHeader, "no benchmark results"},
		{oursOnGPU, "{", "line 1: unexpected end"},
		{oursOnGPU, `{"what": "decode", "shape": {"in": 1, "out": 2}, "peer": "x", "ms": 1}`, "the header, which describes"},
		{oursOnGPU, gpuHeader + "\n" + `{"what": "decode", "shape": {"in": 1}, "peer": "x", "ms": 1}`, "line 2: decode: the shape"},
		{oursOnGPU, gpuHeader + "\n" + `{"what": "decode", "shape": {"in": 1, "out": 1}, "peer": "x"}`, "line 2: decode/in=1/out=1 by x took 0 ms"},
		{oursOnGPU, `{"header": {"device": "NVIDIA A100"}}`, "ours ran on NVIDIA H100 80GB HBM3 and the peers on NVIDIA A100"},
		{oursOnGPU, `{"header": {"device": "cpu"}}`, "and the peers on cpu"},
		{"device: emu\nBenchmarkX/decode/in=64/out=64-2 1 5 ns/op\n", gpuHeader, "ours ran on emu"},
	} {
		dir := t.TempDir()
		ours, peers := filepath.Join(dir, "ours"), filepath.Join(dir, "peers")
		require.NoError(t, os.WriteFile(ours, []byte(c.ours), 0o644))
		require.NoError(t, os.WriteFile(peers, []byte(c.peers), 0o644))
		require.ErrorContains(t, run(ours, peers, "", "", "", dir), c.want)
		require.NoFileExists(t, filepath.Join(dir, "results.md"))
	}
	require.Error(t, run(filepath.Join(t.TempDir(), "none"), "", "", "", "", t.TempDir()))
}

// TestFailedBenchmark checks that a failed benchmark is reported and does not discard
// other results.
func TestFailedBenchmark(t *testing.T) {
	r := joined(t, "device: NVIDIA H100 80GB HBM3\n--- FAIL: BenchmarkKernels/gemm-forward/in=1/out=1/tokens=1\n"+
		"BenchmarkKernels/decode/in=64/out=64-16 1 5 ns/op\nFAIL\n", gpuHeader)
	require.True(t, r.Failed)
	require.Len(t, r.Rows, 1)
	var b bytes.Buffer
	writeTable(&b, r)
	require.Contains(t, b.String(), "A benchmark of ours failed")
}

// TestCommittedResults checks that the committed table matches the committed figures.
func TestCommittedResults(t *testing.T) {
	encoded, err := os.ReadFile("results.json")
	require.NoError(t, err)
	var r results
	require.NoError(t, json.Unmarshal(encoded, &r))
	for i := range r.Rows {
		r.Rows[i].measurement, err = plan.Parse(r.Rows[i].Name)
		require.NoError(t, err)
	}
	var b bytes.Buffer
	writeTable(&b, &r)
	table, err := os.ReadFile("results.md")
	require.NoError(t, err)
	require.Equal(t, b.String(), string(table))
}

// TestPeersRehearsal runs the scripts for the peers as far as possible without a GPU.
func TestPeersRehearsal(t *testing.T) {
	python := os.Getenv("QLORA_PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import torch").Run(); err != nil {
		t.Skipf("%s has no PyTorch (QLORA_PYTHON names one that has): %v", python, err)
	}
	out, err := exec.Command(python, "-B", "peers.py", "--device", "cpu", "--small").Output()
	require.NoError(t, err)
	p, err := readPeers(bytes.NewReader(out))
	require.NoError(t, err)
	require.Equal(t, "cpu", p.machine.Device)
	seen := map[string]bool{}
	for name, times := range p.times {
		m, err := plan.Parse(name)
		require.NoError(t, err)
		seen[m.What] = true
		for _, one := range times {
			if strings.Contains(one.Peer, "bitsandbytes") || one.Skipped == "FLASH_ATTENTION is for GPUs" || one.Skipped == "CUDNN_ATTENTION is for GPUs" {
				continue // may not be there
			}
			require.Empty(t, one.Skipped, "%s by %s", name, one.Peer)
		}
	}
	for _, m := range plan.All() {
		require.True(t, seen[m.What], "%s has no peer", m.What)
	}
}
