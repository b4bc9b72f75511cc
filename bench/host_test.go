package bench

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qlora/bindings"
	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
	"qlora/checkpoint"
	"qlora/lora"
	"qlora/nf4"
	"qlora/nn"
	"qlora/nn/family"
)

// dryRun prepares steps on an emulator that runs no kernel and takes itself for an H100: of tokens, or of DPO's
// pairs. The weights are zeros.
func dryRun(tb testing.TB, s shape, pairs bool, graphs cuda.GraphMode) (*run, *cuda.Device) {
	tb.Helper()
	dev := cudatest.Open(tb, cuda.Options{Emulated: true, Dry: true, Processors: 132, Compute: 90, Graphs: graphs})
	dir := tb.TempDir()
	require.NoError(tb, os.WriteFile(filepath.Join(dir, "config.json"), []byte(architectures[s.architecture]), 0o644))
	model, err := family.ReadConfig(dir)
	require.NoError(tb, err)
	r := &run{dev: dev, batch: randomBatch(model.Vocabulary, s.sequences, s.tokens), rule: bindings.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}}
	options := nn.Options{Whole: true, Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}}
	config := lora.Config{R: 16, Alpha: 32, Targets: lora.ParseTargets(lora.AllLinear)}
	r.Tuned, err = lora.Assemble(model, nil, options, &config, dev.Info())
	require.NoError(tb, err)
	r.params, err = r.Parameters(bindings.OptimizerState{Rule: r.rule})
	require.NoError(tb, err)
	r.clip = r.Memory.Arena(bindings.Optimizer).New(bindings.F32, 1, 2)
	shapes := nn.Shapes{Train: []*nn.Batch{r.batch}}
	if pairs {
		r.pairs = &nn.Comparison{Batch: r.batch, Share: make([]float32, r.batch.Tokens()), Lengths: make([]float32, r.batch.Sequences())}
		shapes.Compare = &nn.Comparing{
			Rule:      bindings.PreferenceRule{Terms: []bindings.PreferenceTerm{{Loss: bindings.LossSigmoid, Weight: 1}}, Beta: 0.1},
			Reference: r.Model.Bare(),
		}
	}
	r.Plan(dev, shapes)
	require.NoError(tb, r.Memory.Commit(dev))
	tb.Cleanup(r.Close)
	// The device has its scratch before the first weight is missed.
	require.ErrorIs(tb, r.Model.Load(dev, noWeights{}, nil), checkpoint.ErrNoTensor)
	return r, dev
}

// noWeights are the weights of a model that is not loaded.
type noWeights struct{}

func (noWeights) Tensor(name string) (checkpoint.Tensor, error) {
	return checkpoint.NewDense(name, checkpoint.BF16, []int{0}, nil), checkpoint.ErrNoTensor
}
func (noWeights) Release(string)      {}
func (noWeights) Where(string) string { return "no weights" }

// launchesOf returns the launches of each kernel since a device was opened.
func launchesOf(tb testing.TB, dev *cuda.Device) (of map[string]int64, all int64) {
	tb.Helper()
	counts, err := dev.Counts()
	require.NoError(tb, err)
	of = map[string]int64{}
	for _, c := range counts {
		if c.Launches > 0 {
			of[c.Kernel] += c.Launches
			all += c.Launches
		}
	}
	return of, all
}

// TestLaunchesOfAStep counts the kernels that a step of 8 billion parameters launches on an H100: one micro-batch
// of 4 sequences of 2,048 tokens. go test -v prints how often each is launched.
func TestLaunchesOfAStep(t *testing.T) {
	r, dev := dryRun(t, shape{"8b", 4, 2048}, false, cuda.GraphsAuto)
	require.NoError(t, r.step())
	of, all := launchesOf(t, dev)
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b)) })
	for _, name := range names {
		t.Logf("%5d %s", of[name], name)
	}
	t.Logf("%5d launches", all)
	require.LessOrEqual(t, all, int64(mostLaunches))
	require.LessOrEqual(t, of["check_values"], int64(3), "ids, labels and positions are checked once")
}

// mostLaunches is the ceiling of a step's launches: docs/kernels.md lists them.
const mostLaunches = 1500

// BenchmarkHost measures the host's share of a step, everything but the kernels and the driver's launch: processor
// time per launch, of composing, checking and choosing; with graphs, of the emulator's replay. It is that of the process, with the garbage collector's, so
// that other programs do not count.
func BenchmarkHost(b *testing.B) {
	for _, c := range []struct {
		shape
		pairs, graphs bool
	}{
		{shape{"135m", 1, 1024}, false, false},
		{shape{"135m", 1, 1024}, false, true},
		{shape{"135m", 4, 256}, true, false},
		{shape{"135m", 4, 256}, true, true},
		{shape{"8b", 4, 2048}, false, false},
		{shape{"8b", 4, 2048}, false, true},
	} {
		s := c.shape
		b.Run(fmt.Sprintf("model=%s/tokens=%d/pairs=%v/graphs=%v", s.architecture, s.sequences*s.tokens, c.pairs, c.graphs), func(b *testing.B) {
			mode := cuda.GraphsOff
			if c.graphs {
				mode = cuda.GraphsOn
			}
			r, dev := dryRun(b, s, c.pairs, mode)
			for range 2 { // a graph is captured at the second
				require.NoError(b, r.step())
			}
			_, before := launchesOf(b, dev)
			start := processorTime(b)
			steps := 0
			for b.Loop() {
				require.NoError(b, r.step())
				steps++
			}
			took := processorTime(b) - start
			_, after := launchesOf(b, dev)
			b.ReportMetric(float64(after-before)/float64(steps), "launches/op")
			b.ReportMetric(float64(took.Nanoseconds())/float64(after-before), "cpu-ns/launch")
		})
	}
}

// processorTime returns what the process has used so far.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage unix.Rusage
	require.NoError(tb, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
