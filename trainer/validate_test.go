package trainer

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidateNamesTheOption(t *testing.T) {
	a := DefaultArgs()
	require.NoError(t, a.Validate())
	for name, change := range map[string]func(*Args){
		"output_dir":                  func(a *Args) { a.OutputDir = "" },
		"lr_scheduler_type":           func(a *Args) { a.Schedule = "polynomial" },
		"optim":                       func(a *Args) { a.Optimizer = "adafactor" },
		"per_device_train_batch_size": func(a *Args) { a.BatchSize = 0 },
		"gradient_accumulation_steps": func(a *Args) { a.Accumulation = -1 },
		"loraplus_lr_ratio":           func(a *Args) { a.LoraPlusRatio = -16 },
		"learning_rate":               func(a *Args) { a.LearningRate = math.NaN() },
		"adam_beta2":                  func(a *Args) { a.AdamBeta2 = 1 },
		"warmup_ratio":                func(a *Args) { a.WarmupRatio = 1.5 },
		"logging_steps":               func(a *Args) { a.LoggingSteps = 0 },
		"save_steps":                  func(a *Args) { a.SaveSteps = 2.5 },
		"num_train_epochs":            func(a *Args) { a.Epochs = 0 },
		"gradient_checkpointing":      func(a *Args) { a.GradientCheckpointing, a.Recompute = true, "mlp" },
	} {
		a := DefaultArgs()
		change(&a)
		require.ErrorContains(t, a.Validate(), "--"+name)
	}
}
