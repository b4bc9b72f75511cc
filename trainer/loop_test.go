package trainer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func train(t *testing.T, ctx context.Context, r Run) error {
	t.Helper()
	tr, err := New(r)
	require.NoError(t, err)
	return tr.Train(ctx)
}

func history(t *testing.T, dir string) *State {
	t.Helper()
	s, err := readState(filepath.Join(dir, stateFile))
	require.NoError(t, err)
	return s
}

func TestTrainLeavesWhatARunLeaves(t *testing.T) {
	r := tinyRun(t)
	r.Files = []File{{"tokenizer.json", []byte("{}")}}
	require.NoError(t, train(t, t.Context(), r))
	for _, name := range []string{
		"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", stateFile,
		"checkpoint-3/adapter_model.safetensors", "checkpoint-3/tokenizer.json", "checkpoint-6/" + stateFile, "checkpoint-8/" + manifestFile,
	} {
		require.FileExists(t, filepath.Join(r.Args.OutputDir, name))
	}
	s := history(t, r.Args.OutputDir)
	require.Equal(t, 8, s.GlobalStep)
	require.Equal(t, Number(2), s.Epoch)
	var losses, evals []float64
	for _, row := range s.LogHistory {
		if row.Loss != nil {
			losses = append(losses, float64(*row.Loss))
		}
		if row.EvalLoss != nil {
			evals = append(evals, float64(*row.EvalLoss))
		}
	}
	require.Len(t, losses, 4)
	require.Len(t, evals, 3) // steps 3, 6 and the last
	// Steps have different records, evaluations the same.
	require.Less(t, evals[2], evals[0], "the loss does not fall: %v", evals)
	require.NotNil(t, s.LogHistory[len(s.LogHistory)-1].TrainLoss)
}

// outcome returns what two runs of the same settings must have in common: the tensors
// and the logged values, without measured times.
func outcome(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range []string{"adapter_model.safetensors", "model.safetensors"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			out[name] = string(b)
		}
	}
	require.NotEmpty(t, out, "neither an adapter nor a model in %s", dir)
	s := history(t, dir)
	optimizer, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("checkpoint-%d", s.GlobalStep), optimizerFile))
	require.NoError(t, err)
	out[optimizerFile] = string(optimizer)
	for i := range s.LogHistory {
		row := &s.LogHistory[i]
		row.EvalRuntime, row.EvalSamplesPerSecond, row.EvalStepsPerSecond = nil, nil, nil
		row.TrainRuntime, row.TrainSamplesPerSecond, row.TrainStepsPerSecond = nil, nil, nil
	}
	b, err := json.Marshal(s)
	require.NoError(t, err)
	out[stateFile] = strings.ReplaceAll(string(b), dir, "DIR") // in best_model_checkpoint
	return out
}

// stopper cancels a run after a step.
type stopper struct {
	NoOutput
	after  int
	cancel func()
}

func (s *stopper) Step(p StepDone) {
	if p.Step == s.after {
		s.cancel()
	}
}

// TestInterruptedRunEndsWithTheSameBits interrupts a run after every possible step,
// mid-epoch and with dropout on; it ends with the same bits.
func TestInterruptedRunEndsWithTheSameBits(t *testing.T) {
	type interruption struct {
		name   string
		change func(*Run)
	}
	for _, c := range fewer([]interruption{
		{"qlora", func(*Run) {}},
		{"grouped by length", func(r *Run) { r.Args.GroupByLength = true }},
		{"warmup_stable_decay, evaluated late", func(r *Run) {
			r.Args.Schedule, r.Args.WarmupSteps, r.Args.ScheduleArgs = "warmup_stable_decay", 2, ScheduleArgs{"num_decay_steps": 3.0}
			r.Args.EvalDelay, r.Args.LoggingFirstStep = 4, true
		}},
		{"reduce_lr_on_plateau", func(r *Run) {
			r.Args.Schedule, r.Args.EvalSteps, r.Args.SaveSteps = "reduce_lr_on_plateau", 1, 1
			r.Args.ScheduleArgs = ScheduleArgs{"patience": 1.0, "factor": 0.5, "threshold": 0.5}
		}},
		{"pissa", starts["pissa"]},
		{"loftq twice", starts["loftq twice"]},
		{"dora", func(r *Run) { r.Base.Lora.DoRA = true }},
		{"biases of the adapters", func(r *Run) { r.Base.Lora.LoraBias, r.Args.WeightDecay = true, 0.1 }},
		{"neftune", func(r *Run) { r.Args.NoiseAlpha = 5 }},
		{"modules to save", func(r *Run) { r.Base.Lora.ModulesToSave = []string{"embed_tokens", "lm_head", "norm"} }},
		{"full", func(r *Run) {
			r.Base.Quantize, r.Base.Lora = nil, nil
			r.Args.LearningRate = 1e-3
			r.Args.WeightDecay = 0.1
		}},
		{"adamw_8bit full", func(r *Run) {
			r.Base.Quantize, r.Base.Lora = nil, nil
			r.Args.Optimizer, r.Args.LearningRate, r.Args.WeightDecay = adamw8Bit, 1e-3, 0.1
		}},
		{"adamw_8bit with LoRA+", func(r *Run) {
			r.Args.Optimizer, r.Args.OptimArgs, r.Args.LoraPlusRatio = "paged_adamw_8bit", "min_8bit_size=256", 4
		}},
		{"lion_32bit", func(r *Run) { r.Args.Optimizer, r.Args.LearningRate = lion, 1e-3 }},
		{"lion_8bit", func(r *Run) {
			r.Args.Optimizer, r.Args.OptimArgs, r.Args.LearningRate = lion8Bit, "min_8bit_size=256", 1e-3
		}},
		{"sgd", func(r *Run) { r.Args.Optimizer, r.Args.LearningRate = sgd, 0.1 }},
		{"sgd with momentum", func(r *Run) {
			r.Args.Optimizer, r.Args.OptimArgs, r.Args.LearningRate = sgd, "momentum=0.9,nesterov=true", 0.1
		}},
		{"bfloat16", func(r *Run) { r.Device = openBFloat16(t) }},
		{"bfloat16, neftune and dora", func(r *Run) {
			r.Device, r.Args.NoiseAlpha, r.Base.Lora.DoRA = openBFloat16(t), 5, true
		}},
		{"bfloat16, modules to save", func(r *Run) {
			r.Device, r.Base.Lora.ModulesToSave = openBFloat16(t), []string{"embed_tokens", "lm_head", "norm"}
		}},
		{"bfloat16, loftq twice", func(r *Run) {
			r.Device = openBFloat16(t)
			starts["loftq twice"](r)
		}},
		{"bfloat16, full", func(r *Run) {
			r.Device, r.Base.Quantize, r.Base.Lora = openBFloat16(t), nil, nil
			r.Args.LearningRate, r.Args.WeightDecay = 1e-3, 0.1
		}},
	}) {
		t.Run(c.name, func(t *testing.T) {
			whole := tinyRun(t)
			c.change(&whole)
			require.NoError(t, train(t, t.Context(), whole))
			want := outcome(t, whole.Args.OutputDir)

			r := whole
			r.Args.OutputDir = filepath.Join(t.TempDir(), "out")
			r.Args.Resume = ResumeNewest
			for after := 1; after < 8; after++ {
				ctx, cancel := context.WithCancel(t.Context())
				r.Outputs = []Output{&stopper{after: after, cancel: cancel}}
				require.ErrorIs(t, train(t, ctx, r), ErrInterrupted, "after step %d", after)
				cancel()
			}
			r.Outputs = nil
			require.NoError(t, train(t, t.Context(), r))
			got := outcome(t, r.Args.OutputDir)
			for name := range want {
				require.True(t, want[name] == got[name], "%s differs from the uninterrupted run's", name)
			}
			require.Equal(t, want[stateFile], got[stateFile])
		})
	}
}
