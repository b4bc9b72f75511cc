package bench

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
	"qlora/checkpoint"
	"qlora/internal/philox"
	"qlora/lora"
	"qlora/nf4"
	"qlora/nn"
)

var (
	device = flag.String("device", "", "what the steps of a benchmark, or the losses of a test, are of: cpu, emu or cuda")
	tiny   = flag.Bool("tiny", false, "of a tiny model, to see that everything runs")

	compute = flag.String("compute", "float32", "the type that the cpu computes in: float32 or bfloat16")

	models  = flag.String("models", "", "the models of the steps, separated by commas: tiny, 135m, tinyllama, 1b or 8b; with -batch")
	batch   = flag.String("batch", "4x256", "sequences x tokens of each, of the steps of -models")
	traffic = flag.Bool("traffic", false, "count the bytes that steps move, on the emulator")
	layers  = flag.Int("layers", 0, "layers of the models, to measure a part of a large one; 0: all")
)

// open opens the device of -device, or else otherwise.
func open(tb testing.TB, otherwise string) bindings.Device {
	tb.Helper()
	name := *device
	if name == "" {
		name = otherwise
	}
	switch name {
	case "cpu":
		dtype, err := checkpoint.ParseTorch(*compute)
		require.NoError(tb, err)
		own, err := bindings.ParseDType(string(dtype))
		require.NoError(tb, err)
		return openCPU(tb, own)
	case "emu":
		return cudatest.Open(tb, cuda.Options{Emulated: true, Counting: *traffic})
	case "cuda":
		return cudatest.GPU(tb)
	}
	require.Failf(tb, "no such device", "-device is %q, but it can be cpu, emu or cuda", name)
	return nil
}

func openCPU(tb testing.TB, compute bindings.DType) *cpu.Device {
	tb.Helper()
	dev, err := cpu.New(cpu.Options{Compute: compute})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, dev.Close()) })
	return dev
}

// nameOf returns a GPU's name, or the device's if it is not a GPU.
func nameOf(dev bindings.Device) string {
	info := dev.Info()
	if !strings.HasPrefix(info.Name, "cuda") {
		return info.Name
	}
	name, _, _ := strings.Cut(info.Detail, ",")
	return name
}

// A shape is the model and batch of a measured step.
type shape struct {
	architecture      string
	sequences, tokens int // tokens of each sequence
}

// BenchmarkStep measures a whole QLoRA step of a Llama with random weights, forward,
// backward and update: NF4 with double quantization, rank 16 on all linear layers, by
// recompute policy. It steps as trainer does, on the device of -device: the CPU, with
// 135 million parameters, or a GPU, also with 8 billion. -models and -batch select others.
//
// resident-MiB is the most that the process had resident so far; taken-MiB is the decrease
// of the device's free memory; nvml-MiB is the maximum that the driver saw in use by all
// processes, minus the use at the start. launches are those of a step; with -traffic,
// moved-MiB is what they move between device memory and the processors.
func BenchmarkStep(b *testing.B) {
	dev := open(b, "cpu")
	var shapes []shape
	switch {
	case *tiny:
		shapes = []shape{{"tiny", 2, 24}}
	case *models != "":
		var s shape
		_, err := fmt.Sscanf(*batch, "%dx%d", &s.sequences, &s.tokens)
		require.NoError(b, err, "-batch is %q, not sequences x tokens", *batch)
		for s.architecture = range strings.SplitSeq(*models, ",") {
			shapes = append(shapes, s)
		}
	case nameOf(dev) == "cpu":
		shapes = []shape{{"135m", 4, 256}}
	default:
		for _, architecture := range []string{"135m", "8b", "1b"} {
			shapes = append(shapes, shape{architecture, 4, 512}, shape{architecture, 4, 2048})
		}
	}
	fmt.Printf("device: %s\n", nameOf(dev))
	var weights *randomWeights
	for i, s := range shapes {
		if i == 0 || s.architecture != shapes[i-1].architecture {
			weights = newRandomWeights(b, s.architecture)
		}
		for _, policy := range []nn.Recompute{nn.RecomputeNone, nn.RecomputeMLP, nn.RecomputeLayer} {
			name := fmt.Sprintf("model=%s/sequences=%d/tokens=%d/recompute=%s", s.architecture, s.sequences, s.tokens, policy)
			b.Run(name, func(b *testing.B) { step(b, dev, weights, s, policy) })
		}
	}
}

// A run is a model prepared for steps.
type run struct {
	dev bindings.Device
	*lora.Tuned
	batch  *nn.Batch
	pairs  *nn.Comparison // of batch; nil: its tokens are predicted
	params []bindings.Param
	rule   bindings.AdamW
	clip   bindings.Tensor
	steps  int
}

func step(b *testing.B, dev bindings.Device, weights *randomWeights, s shape, policy nn.Recompute) {
	watch := watchMemory(dev)
	defer watch.stop()
	r, err := newRun(dev, weights, randomBatch(weights.config.Vocabulary, s.sequences, s.tokens), policy)
	if errors.Is(err, cuda.ErrOutOfMemory) {
		b.Skip(err)
	}
	require.NoError(b, err)
	defer r.Close()
	require.NoError(b, r.step()) // the first step loads the kernels
	var took []time.Duration
	launches, sectors := countsOf(b, dev)
	for b.Loop() {
		start := time.Now()
		require.NoError(b, r.step())
		took = append(took, time.Since(start))
	}
	if n, moved := countsOf(b, dev); n > 0 {
		b.ReportMetric(float64(n-launches)/float64(len(took)), "launches")
		if moved > 0 {
			b.ReportMetric(mebibytes(32*(moved-sectors))/float64(len(took)), "moved-MiB")
		}
	}
	slices.Sort(took)
	middle := took[len(took)/2]
	plan := r.Memory.Plan().Total()
	b.ReportMetric(float64(middle.Nanoseconds()), "ns/op")
	b.ReportMetric(float64(r.batch.Tokens())/middle.Seconds(), "tokens/s")
	b.ReportMetric(mebibytes(plan), "plan-MiB")
	var usage unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	b.ReportMetric(mebibytes(usage.Maxrss<<10), "resident-MiB")
	if taken := watch.taken(); taken > 0 {
		b.ReportMetric(mebibytes(taken), "taken-MiB")
		b.ReportMetric(100*float64(taken)/float64(plan), "%plan")
	}
	if most := watch.stop(); most > 0 {
		b.ReportMetric(mebibytes(most), "nvml-MiB")
	}
}

// countsOf returns a GPU's launches so far, and the sectors of 32 bytes that they moved; 0 on
// the CPU.
func countsOf(b *testing.B, dev bindings.Device) (launches, sectors int64) {
	d, ok := dev.(*cuda.Device)
	if !ok {
		return 0, 0
	}
	counts, err := d.Counts()
	require.NoError(b, err)
	for _, c := range counts {
		launches += c.Launches
		sectors += c.LeastSectors
	}
	return launches, sectors
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func newRun(dev bindings.Device, weights *randomWeights, batch *nn.Batch, policy nn.Recompute) (*run, error) {
	options := nn.Options{Recompute: policy, Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}}
	return newRunOf(dev, weights, batch, options)
}

func newRunOf(dev bindings.Device, weights *randomWeights, batch *nn.Batch, options nn.Options) (*run, error) {
	r := &run{dev: dev, batch: batch, rule: bindings.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}}
	config := lora.Config{R: 16, Alpha: 32, Targets: lora.ParseTargets(lora.AllLinear)}
	var err error
	if r.Tuned, err = lora.Assemble(weights.config, nil, options, &config, dev.Info()); err != nil {
		return nil, err
	}
	if r.params, err = r.Parameters(bindings.OptimizerState{Rule: r.rule}); err != nil {
		return nil, err
	}
	r.clip = r.Memory.Arena(bindings.Optimizer).New(bindings.F32, 1, 2)
	r.Plan(dev, nn.Shapes{Train: []*nn.Batch{batch}})
	return r, r.Load(dev, lora.Values{Base: weights, Seed: 1})
}

// step runs one of trainer's steps, of one micro-batch.
func (r *run) step() error {
	r.steps++
	var zero bindings.Zero
	for _, p := range r.params {
		zero.T = p.Grad
		r.dev.Run(&zero)
	}
	random := bindings.Random{Train: true, Step: uint32(r.steps)}
	if r.pairs != nil {
		if err := r.Model.TrainCompared(r.dev, r.pairs, 1, random); err != nil {
			return err
		}
	} else if err := r.Model.Train(r.dev, r.batch, 1/float32(r.batch.Predicted()), random); err != nil {
		return err
	}
	r.dev.Run(&bindings.GradNorm{Params: r.params, Max: 1, Out: r.clip})
	if _, err := r.Model.Stats(r.dev); err != nil {
		return err
	}
	r.dev.Run(&bindings.Optimize{Params: r.params, Rule: r.rule, LR: 2e-4, Step: r.steps, Clip: r.clip})
	return r.dev.Sync()
}

func randomBatch(vocabulary, sequences, length int) *nn.Batch {
	ids := randomIDs(vocabulary, sequences, length)
	return nn.NewBatch(ids, ids)
}

func randomIDs(vocabulary, sequences, length int) [][]int32 {
	ids := make([][]int32, sequences)
	for s := range ids {
		ids[s] = make([]int32, length)
		for i := range ids[s] {
			ids[s][i] = int32(philox.Block(philox.Key(1), [4]uint32{uint32(s), uint32(i)})[0] % uint32(vocabulary))
		}
	}
	return ids
}
