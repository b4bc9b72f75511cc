package bench

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cuda"
	"qlora/demo/town"
	"qlora/lora"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

var (
	record   = flag.String("record", "", "write the losses of the CPU device to this `file`, for -recorded")
	recorded = flag.String("recorded", "", "a `file` of -record; without one the CPU trains, too")
	demoBase = flag.String("demo", filepath.Join("..", "demo", "base"), "the `folder` of the demo's base model")
)

// Tolerances of a 16-bit device against the CPU, which computes in float32. The norm is
// compared at the first step, where the weights are still equal: a gradient whose cosine
// with the CPU's is 0.999, the bound for bfloat16 in trainer's tests, differs from it by
// sqrt(1 - 0.999²).
const (
	lossTolerance = 0.01
	normTolerance = 0.045
)

// A point is a step of a run.
type point struct{ Loss, GradNorm float64 }

// TestLosses compares every step of training with the CPU's: the demo's, whose base is a
// trained model, and that of a model of 135 million random weights, which memorizes four
// sequences. The device is that of -device; without it, the emulator runs fewer steps of
// smaller ones.
func TestLosses(t *testing.T) {
	if *record != "" {
		dev := openCPU(t, bindings.F32)
		all := map[string][]point{}
		for _, c := range courses(false) {
			all[c.name] = c.train(t, dev)
			t.Logf("%s: losses from %.4f to %.4f", c.name, all[c.name][0].Loss, all[c.name][c.steps-1].Loss)
		}
		text, err := json.MarshalIndent(all, "", " ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(*record, append(text, '\n'), 0o644))
		return
	}
	dev := open(t, "emu")
	small := *tiny || *device == ""
	var want map[string][]point
	if *recorded != "" && !small {
		text, err := os.ReadFile(*recorded)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &want))
	}
	for _, c := range courses(small) {
		t.Run(c.name, func(t *testing.T) {
			want := want[c.name]
			if want == nil {
				want = c.train(t, openCPU(t, bindings.F32))
			}
			compare(t, want, c.train(t, dev))
			if d, ok := dev.(*cuda.Device); ok && c.decodes {
				counts, err := d.Counts()
				require.NoError(t, err)
				for _, k := range counts {
					if k.Kernel == "decode_bf16" || k.Kernel == "decode_bf16_columns" {
						assert.Positive(t, k.Launches, "launches of %s", k.Kernel)
					}
				}
			}
		})
	}
}

func compare(t *testing.T, want, got []point) {
	require.Len(t, got, len(want))
	var loss, norm float64
	for i := range want {
		assert.InEpsilon(t, want[i].Loss, got[i].Loss, lossTolerance, "loss of step %d", i+1)
		loss = max(loss, math.Abs(got[i].Loss/want[i].Loss-1))
		norm = max(norm, math.Abs(got[i].GradNorm/want[i].GradNorm-1))
	}
	assert.InEpsilon(t, want[0].GradNorm, got[0].GradNorm, normTolerance, "gradient norm of the first step")
	t.Logf("%d steps, losses from %.4f to %.4f: within %.2e of the CPU's; gradient norms within %.2e",
		len(got), got[0].Loss, got[len(got)-1].Loss, loss, norm)
}

// A course is a training run.
type course struct {
	name    string
	folder  func(testing.TB) string
	records func(testing.TB, string) []dataset.Example
	rate    float64
	warmup  float64 // steps
	batch   int
	steps   int
	decodes bool // 4-bit weights before products: micro-batches are of more than 256 tokens
}

// courses returns the demo's first steps with its own settings, and some of random
// weights. Those of 135 million decode their weights, as real runs do.
//
// Later steps of the demo cannot be compared: from the 13th on the CPU's own losses
// change by 1 % if the learning rate changes by 0.4 %, the rounding of bfloat16.
func courses(small bool) []course {
	demo := course{"demo", func(testing.TB) string { return *demoBase }, demoRecords, 2e-3, 20, 8, 12, false}
	random := course{"135m", randomFolder("135m"), randomRecords(49152, 4, 72), 1e-3, 5, 4, 10, true}
	if small {
		demo.steps, demo.batch = 3, 1
		random = course{"tiny", randomFolder("tiny"), randomRecords(96, 4, 16), 1e-2, 3, 4, 6, false}
	}
	return []course{demo, random}
}

func (c *course) train(tb testing.TB, dev bindings.Device) []point {
	tb.Helper()
	folder := c.folder(tb)
	model, err := trainer.OpenBase(folder)
	require.NoError(tb, err)
	defer model.Close()
	model.LoadIn4Bit()
	model.ApplyLora(lora.Config{R: 16, Alpha: 32, Init: lora.InitDefault, Targets: lora.ParseTargets(lora.AllLinear)})
	args := trainer.DefaultArgs()
	args.OutputDir = tb.TempDir()
	args.MaxSteps, args.BatchSize = c.steps, c.batch
	args.LearningRate, args.Schedule = c.rate, "constant_with_warmup"
	args.WarmupSteps = c.warmup
	args.LoggingSteps, args.SaveStrategy, args.ReportTo = 1, "no", []string{"none"}
	points := new(points)
	run, err := trainer.New(trainer.Run{
		Base: model, Args: args, TrainSet: c.records(tb, folder), Device: dev, Outputs: []trainer.Output{points},
	})
	require.NoError(tb, err)
	require.NoError(tb, run.Train(tb.Context()))
	return points.all
}

// points is an output that records the rows of training.
type points struct {
	trainer.NoOutput
	all []point
}

func (p *points) Log(r trainer.Row) error {
	if r.Loss != nil {
		p.all = append(p.all, point{float64(*r.Loss), float64(*r.GradNorm)})
	}
	return nil
}

// demoRecords returns the demo's questions.
func demoRecords(tb testing.TB, folder string) []dataset.Example {
	tok, err := tokenizer.LoadFolder(folder)
	require.NoError(tb, err)
	path := filepath.Join(tb.TempDir(), "train.jsonl")
	file, err := os.Create(path)
	require.NoError(tb, err)
	defer file.Close()
	for _, q := range town.New(1).Questions().Train {
		require.NoError(tb, json.NewEncoder(file).Encode(q))
	}
	set, err := dataset.Load([]string{path}, tok, dataset.DefaultOptions(), nil)
	require.NoError(tb, err)
	return set.Examples
}

func randomFolder(architecture string) func(testing.TB) string {
	return func(tb testing.TB) string { return newRandomWeights(tb, architecture).write(tb, architecture) }
}

func randomRecords(vocabulary, sequences, length int) func(testing.TB, string) []dataset.Example {
	return func(testing.TB, string) []dataset.Example {
		var all []dataset.Example
		for _, ids := range randomIDs(vocabulary, sequences, length) {
			all = append(all, dataset.Example{IDs: ids, Labels: ids})
		}
		return all
	}
}
