package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/internal/tensorboard"
	"qlora/trainer"
)

// events writes logged rows as TensorBoard events, under the tags of Hugging Face's
// TensorBoardCallback: the key after train/, or after eval/ instead of eval_.
type events struct {
	trainer.NoOutput
	dir    string // "" selects runs in the output folder
	writer *tensorboard.Writer
}

// Start begins a new file. In a resumed run it replaces the repeated steps of earlier
// files.
func (e *events) Start(b *trainer.Begin) (err error) {
	dir := e.dir
	if dir == "" {
		dir = filepath.Join(b.OutputDir, "runs")
	}
	first := int64(b.Step) + 1
	if e.writer, err = tensorboard.Create(dir, first); err != nil {
		return err
	}
	// The texts of Hugging Face's callback, and a summary of the run.
	return errors.Join(
		e.writer.Text(first, "args", codeBlock(argsJSON(b.Args))),
		e.writer.Text(first, "model_config", codeBlock(b.Base.Config.Raw)),
		e.writer.Text(first, "settings", settingsTable(Summary(b))),
	)
}

// codeBlock returns JSON as a Markdown code block.
func codeBlock(raw []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "    ", "  ") != nil {
		b.Reset()
		b.Write(raw)
	}
	return "    " + strings.TrimRight(b.String(), "\n")
}

// argsJSON returns an object of the settings by the names of their options, in the order
// of the fields.
func argsJSON(a *trainer.Args) []byte {
	b := []byte("{")
	for field, value := range reflect.ValueOf(a).Elem().Fields() {
		name := field.Tag.Get("option")
		v, err := json.Marshal(value.Interface())
		if name == "" || err != nil { // settings always encode
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%q:%s", name, v)
	}
	return append(b, '}')
}

func (e *events) Log(r trainer.Row) error {
	var scalars []tensorboard.Scalar
	for _, s := range []struct {
		tag   string
		value *trainer.Number
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
	for _, name := range slices.Sorted(maps.Keys(r.Compared)) {
		tag := "train/" + name
		if of, ok := strings.CutPrefix(name, "eval_"); ok {
			tag = "eval/" + of
		}
		scalars = append(scalars, tensorboard.Scalar{Tag: tag, Value: float64(r.Compared[name])})
	}
	return e.writer.Scalars(int64(r.Step), append(scalars, gpuScalars(r.Telemetry)...)...)
}

// gpuScalars returns a GPU's measurements, in a separate section.
func gpuScalars(t *bindings.Telemetry) (all []tensorboard.Scalar) {
	if t == nil {
		return nil
	}
	if t.MemoryUsed != nil {
		all = append(all, tensorboard.Scalar{Tag: "gpu/memory_used", Value: float64(*t.MemoryUsed)})
	}
	if t.Utilization != nil {
		all = append(all, tensorboard.Scalar{Tag: "gpu/utilization", Value: float64(*t.Utilization)})
	}
	if t.Temperature != nil {
		all = append(all, tensorboard.Scalar{Tag: "gpu/temperature", Value: float64(*t.Temperature)})
	}
	if t.Power != nil {
		all = append(all, tensorboard.Scalar{Tag: "gpu/power", Value: *t.Power})
	}
	return all
}

// Sampled writes each prompt's samples under a separate tag.
func (e *events) Sampled(samples []trainer.Sample) error {
	var all []error
	for i, s := range samples {
		all = append(all, e.writer.Text(int64(s.Step), fmt.Sprintf("samples/%d", i+1), sampleText(s)))
	}
	return errors.Join(all...)
}

// sampleText formats the completion between the prompt and the record's own completion.
func sampleText(s trainer.Sample) string {
	block := func(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }
	text := "prompt\n\n" + block(s.Prompt) + "\n\ncompletion\n\n" + block(s.Completion)
	if s.Reward != nil {
		text += fmt.Sprintf("\n\nreward %v", *s.Reward)
	}
	if s.Expected != "" {
		text += "\n\nin the record\n\n" + block(s.Expected)
	}
	return text
}

func (e *events) Stop(*trainer.State, error) error {
	if e.writer == nil {
		return nil
	}
	return e.writer.Close()
}
