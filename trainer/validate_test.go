package trainer

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/lora"
	"qlora/option"
)

func TestValidateNamesTheOption(t *testing.T) {
	a := DefaultArgs()
	require.NoError(t, a.Validate())
	for name, change := range map[string]func(*Args){
		"output_dir":                  func(a *Args) { a.OutputDir = "" },
		"lr_scheduler_type":           func(a *Args) { a.Schedule = "greedy" },
		"optim":                       func(a *Args) { a.Optimizer = "adafactor" },
		"per_device_train_batch_size": func(a *Args) { a.BatchSize = 0 },
		"gradient_accumulation_steps": func(a *Args) { a.Accumulation = -1 },
		"loraplus_lr_ratio":           func(a *Args) { a.LoraPlusRatio = -16 },
		"learning_rate":               func(a *Args) { a.LearningRate = math.NaN() },
		"report_to":                   func(a *Args) { a.ReportTo = []string{"wandb"} },
		"label_smoothing_factor":      func(a *Args) { a.LabelSmoothing = 1 },
		"adam_beta2":                  func(a *Args) { a.AdamBeta2 = 1 },
		"warmup_ratio":                func(a *Args) { a.WarmupRatio = 1.5 },
		"logging_steps":               func(a *Args) { a.LoggingSteps = 0 },
		"save_steps":                  func(a *Args) { a.SaveSteps = 2.5 },
		"num_train_epochs":            func(a *Args) { a.Epochs = 0 },
		"gradient_checkpointing":      func(a *Args) { a.GradientCheckpointing, a.Recompute = true, "mlp" },
	} {
		a := DefaultArgs()
		change(&a)
		var refused *option.Error
		require.ErrorAs(t, a.Validate(), &refused)
		require.Equal(t, name, refused.Option)
	}
}

func TestValidateNamesEverything(t *testing.T) {
	a := DefaultArgs()
	a.BatchSize, a.LearningRate, a.Schedule = 0, -1, "greedy"
	err := a.Validate()
	for _, want := range []string{"`per_device_train_batch_size` is 0", "`learning_rate` is -1", "`lr_scheduler_type` is \"greedy\""} {
		require.ErrorContains(t, err, want)
	}
}

// TestNewRefusesWhatTrainCouldNotDo checks that New finds every error of a run,
// whatever is left out, and writes nothing.
func TestNewRefusesWhatTrainCouldNotDo(t *testing.T) {
	for want, change := range map[string]func(*Run){
		"the run has no base":                    func(r *Run) { r.Base = nil },
		"the base has no weights":                func(r *Run) { r.Base = &Base{Config: r.Base.Config} },
		"the run has no device":                  func(r *Run) { r.Device = nil },
		"outputs is nil":                         func(r *Run) { r.Outputs = []Output{nil} },
		`file "../x" of Files has no plain name`: func(r *Run) { r.Files = []File{{Name: "../x"}} },
		"4-bit weights cannot":                   func(r *Run) { r.Base.Lora = nil },
		"`adapter` is \"x\"":                     func(r *Run) { r.Base.Quantize, r.Base.Lora, r.Base.Adapter = nil, nil, "x" },
		"`bnb_4bit_blocksize` is 0":              func(r *Run) { r.Base.Quantize = new(bindings.QuantizeOptions) },
		"`keep_quantization` is true": func(r *Run) {
			r.Base.LoadIn4Bit()
			r.Base.Quantize.Keep, r.Base.Lora.Init = true, lora.InitPiSSA
		},
		"`r` is 0":                       func(r *Run) { r.Base.ApplyLora(lora.Config{Alpha: 8}) },
		"`lora_alpha` is 0":              func(r *Run) { r.Base.ApplyLora(lora.Config{R: 8}) },
		"`bias` is \"some\"":             func(r *Run) { r.Base.Lora.Bias = "some" },
		"`init_lora_weights` is \"eva\"": func(r *Run) { r.Base.Lora.Init = "eva" },
		"its documents start at []":      func(r *Run) { r.TrainSet[0].Starts = []int32{} },
		"its documents start at [0 0]":   func(r *Run) { r.TrainSet[0].Starts = []int32{0, 0} },
		"Prompts.Decode is nil":          func(r *Run) { r.Prompts = tinyPrompts(); r.Prompts.Decode = nil },
	} {
		r := tinyRun(t)
		change(&r)
		_, err := New(r)
		require.ErrorContains(t, err, want)
		require.NoDirExists(t, r.Args.OutputDir)
	}
}
