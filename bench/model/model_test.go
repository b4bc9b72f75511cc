package main

import (
	"math"
	"strings"
	"testing"
)

// TestPass compares a pass with its parts computed by hand: the main loop of gemm_nt_128x256
// on sm_90a at the recorded commit, 520 instructions for 64 mma, two warps on a quarter.
func TestPass(t *testing.T) {
	g := gpus["h100"]
	p := passOf(g, 8, count{blocks: 1, executed: 520, products: 64}, 400)
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1 {
			t.Errorf("%s: %.1f clocks, want %.1f", what, got, want)
		}
	}
	near("tensor cores", p.tensor, 812.7) // 2 warps of 64 mma of 6.35 clocks
	near("issue slots", p.issue, 1040)    // 2 warps
	near("a warp alone", p.alone, 1419.7) // 406.3 and 456 instructions at 0.45 a clock
	near("one block", p.of(1), 1419.7)    // the warp
	near("two blocks", p.of(2), 2080)     // issue slots
	if got := p.limit(1); got != "issue" {
		t.Errorf("bound by %s, want issue", got)
	}
}

// TestWaves counts rounds: 192 blocks on 132 processors take two, and as long as 264.
func TestWaves(t *testing.T) {
	g := gpus["h100"]
	p := pass{tensor: 100, alone: 150}
	for _, c := range []struct {
		blocks, resident int
		want             float64
	}{
		{132, 1, 10*150 + ends},
		{192, 1, 2 * (10*150 + ends)},
		{264, 2, 10*200 + ends},
		{265, 2, 10*200 + ends + 10*150 + ends}, // the last is alone
		{400, 2, 10*200 + ends + 10*200 + ends},
	} {
		if got := p.waves(g, c.blocks, c.resident, 10); got != c.want {
			t.Errorf("%d blocks, %d on a processor: %.0f clocks, want %.0f", c.blocks, c.resident, got, c.want)
		}
	}
}

// TestStepCountsFLOPs compares the FLOPs of a step's products with the model's size.
func TestStepCountsFLOPs(t *testing.T) {
	recordedCounts, err := parseCounts("before.tsv", strings.NewReader(recorded))
	if err != nil {
		t.Fatal(err)
	}
	m := shapes["llama-3.1-8b"]
	b := batch{tokens: 8192, sequence: 2048, rank: 16, recompute: "none"}
	for _, part := range []func(gpu, int, int, int) int{partBefore, partWithin(math.MaxInt)} {
		s, err := step(setup{gpu: gpus["h100"], counts: recordedCounts, part: part, group: group}, m, b)
		if err != nil {
			t.Fatal(err)
		}
		var products, head float64
		for _, r := range s.rows {
			switch {
			case strings.HasPrefix(r.name, "products"):
				products += r.flops
			case r.name == "head":
				head = r.flops
			}
		}
		weights := 6_979_321_856. // of the projections
		extension := 2 * 32 * 8192. * float64(m.layers) * (2*4096 + 2*1024 + 2*14336 + 2*4096 + 4096 + 5*4096 + 14336 - 4096)
		if want := 4 * 8192 * weights; products < want || products > want+2*extension {
			t.Errorf("products of %.2f TFLOP, want %.2f and the adapters' slices", products/1e12, want/1e12)
		}
		if want := 4. * 8192 * 128256 * 4096; head != want {
			t.Errorf("head of %.2f TFLOP, want %.2f", head/1e12, want/1e12)
		}
	}
}

// TestEveryGPU runs the model for every GPU, shape and policy.
func TestEveryGPU(t *testing.T) {
	for g := range gpus {
		for m := range shapes {
			for _, recompute := range []string{"none", "mlp", "layer"} {
				var out strings.Builder
				err := run([]string{"-gpu", g, "-model", m, "-recompute", recompute, "-resources", "before.tsv"}, &out)
				if err != nil || !strings.HasPrefix(out.String(), "modelled, not measured") {
					t.Errorf("%s, %s, %s: %v\n%s", g, m, recompute, err, out.String())
				}
				if strings.Contains(out.String(), "NaN") || strings.Contains(out.String(), "Inf") {
					t.Errorf("%s, %s: not a number in\n%s", g, m, out.String())
				}
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct{ arguments, want string }{
		{"-gpu h1", "-gpu h1 is not known; use one of a100, "},
		{"-model gpt", "-model gpt is not known; use one of llama-3.1-70b, "},
		{"-tokens 8", "-tokens 8 is not from 257"},
		{"-sequence 9000", "-sequence 9000 is not from 1 to the 8192 tokens"},
		{"-rank 0", "-rank 0 is not from 1"},
		{"-recompute all", "-recompute all is not none, mlp or layer"},
		{"-resources /no/such", "/no/such"},
	} {
		err := run(strings.Fields(c.arguments), new(strings.Builder))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.arguments, err, c.want)
		}
	}
}

func FuzzParseCounts(f *testing.F) {
	f.Add("kernel\ttarget\tthreads\tblocks\texecuted\tits HMMA\tits LDSM\tits LDGSTS\nk\tsm_80\t256\t1\t200\t64\t32\t8\n")
	f.Add("# a comment\nkernel\ttarget\tthreads\tblocks\texecuted\tits HMMA\tits LDSM\tits LDGSTS\nk\tsm_80\t256\tx\t-1\tNaN\t\t0\n")
	f.Add("kernel\ttarget\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseCounts("fuzz", strings.NewReader(text))
		if err != nil {
			return
		}
		for kernel, targets := range all {
			for target, c := range targets {
				if !(c.executed >= 0 && c.products >= 0) {
					t.Errorf("%s on %s: %+v", kernel, target, c)
				}
			}
		}
	})
}

// TestTileBefore compares with what the recorded commit chose on 132 processors.
func TestTileBefore(t *testing.T) {
	for _, c := range []struct {
		m, n, k, pieces int
		want            string
	}{
		{8192, 4096, 4096, 1, "128x256"},
		{8192, 768, 14336, 1, "128x128"},
		{1024, 128256, 4096, 1, "128x128"},
		{8192, 16, 4096, 1, "64x16"},
		{16, 4096, 8192, 2, "64x64"},
		{16, 14336, 8192, 1, "16x128"},
	} {
		if got := tileBefore(gpus["h100"], c.m, c.n, c.k, c.pieces).name; got != c.want {
			t.Errorf("[%d, %d] over %d: %s, want %s", c.m, c.n, c.k, got, c.want)
		}
	}
}

// TestOffload checks that a link that is slower than the layers is the step's limit, and a faster one is hidden.
func TestOffload(t *testing.T) {
	m := shapes["llama-3.1-8b"]
	for name, kept := range map[string]float64{"layer": 4096 + 16, "none": 4096 + 16 + 2*4096 + 2*1024 + 2*32 + 4096 + 4*16 + 2*(14336+16)} {
		b := batch{tokens: 4096, sequence: 2048, rank: 16, recompute: name}
		if got, want := m.kept(b), 2*4096*kept; got != want {
			t.Errorf("%s: %g bytes of a layer, want %g", name, got, want)
		}
	}
	b := batch{tokens: 4096, sequence: 2048, rank: 16, recompute: "layer"}
	of := func(forward, backward float64) offload {
		slow := &table{rows: []*row{{name: "products forward", seconds: 32 * forward}, {name: "products backward", seconds: 32 * backward}}}
		return slow.offload(m, b)
	}
	took := m.kept(b) / pcie
	for _, c := range []struct{ forward, backward, want float64 }{
		{2 * took, 2 * took, 0},
		{took / 2, 2 * took, 31 * took / 2},
		{0, 0, 2 * 31 * took},
	} {
		if got := of(c.forward, c.backward).exposed; math.Abs(got-c.want) > 1e-9 {
			t.Errorf("layers of %g and %g s next to transfers of %g: %g s more, want %g", c.forward, c.backward, took, got, c.want)
		}
	}
}
