package trainer

import (
	"path/filepath"

	"qlora/internal/tensorboard"
)

// events writes what is logged as TensorBoard events, under the tags of Hugging
// Face's TensorBoardCallback: the key after train/, or after eval/ instead of
// eval_.
type events struct {
	NoOutput
	dir    string // "": runs in the output folder
	writer *tensorboard.Writer
}

// Start begins a new file. In a resumed run it takes the place of what earlier
// files have of the steps that come again.
func (e *events) Start(b *Begin) (err error) {
	dir := e.dir
	if dir == "" {
		dir = filepath.Join(b.OutputDir, "runs")
	}
	e.writer, err = tensorboard.Create(dir, int64(b.Step)+1)
	return err
}

func (e *events) Log(r Row) error {
	var scalars []tensorboard.Scalar
	for _, s := range []struct {
		tag   string
		value *Number
	}{
		{"train/loss", r.Loss},
		{"train/grad_norm", r.GradNorm},
		{"train/learning_rate", r.LearningRate},
		{"train/tokens_per_second", r.TokensPerSecond},
		{"train/train_runtime", r.TrainRuntime},
		{"train/train_samples_per_second", r.TrainSamplesPerSecond},
		{"train/train_steps_per_second", r.TrainStepsPerSecond},
		{"train/total_flos", r.TotalFLOs},
		{"train/train_loss", r.TrainLoss},
		{"eval/loss", r.EvalLoss},
		{"eval/runtime", r.EvalRuntime},
		{"eval/samples_per_second", r.EvalSamplesPerSecond},
		{"eval/steps_per_second", r.EvalStepsPerSecond},
		{"train/epoch", &r.Epoch},
	} {
		if s.value != nil {
			scalars = append(scalars, tensorboard.Scalar{Tag: s.tag, Value: float64(*s.value)})
		}
	}
	return e.writer.Scalars(int64(r.Step), scalars...)
}

func (e *events) Stop(*State, error) error {
	if e.writer == nil {
		return nil
	}
	return e.writer.Close()
}
