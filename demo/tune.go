package demo

import (
	"context"
	"encoding/json"
	"io"
	"path/filepath"

	"qlora/bindings"
	"qlora/demo/town"
	"qlora/internal/atomicfile"
	"qlora/lora"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/dataset"
	"qlora/trainer/report"
)

// The compared methods, under their names on the command line.
const (
	methodFull  = "full"
	methodLoRA  = "lora"
	methodQLoRA = "qlora"
)

// settings are the settings of a run, chosen on the validation questions: for full fine-tuning the best of the learning rates 2e-4, 5e-4, 1e-3, 1.5e-3 and
// 2e-3.
type settings struct {
	steps int
	batch int
	rank  int
	rate  float64
	seed  uint64
}

// settingsOf returns a method's settings. All methods see the same questions in the same order; only the learning rates differ.
func settingsOf(method string) settings {
	s := settings{steps: 400, batch: 8, rank: 16, rate: 2e-3, seed: 42}
	if method == methodFull {
		s.rate = 1.5e-3
	}
	return s
}

// openModel opens the base in a folder with the method's encoding of weights and training options.
func openModel(dir, method string, s settings) (*trainer.Base, error) {
	model, err := trainer.OpenBase(dir)
	if err != nil {
		return nil, err
	}
	if method == methodQLoRA {
		model.LoadIn4Bit()
	}
	if method != methodFull {
		model.ApplyLora(lora.Config{
			BaseModel: dir, TaskType: "CAUSAL_LM",
			R: s.rank, Alpha: 2 * float64(s.rank), Init: lora.InitDefault,
			Targets: lora.ParseTargets(lora.AllLinear),
		})
	}
	return model, nil
}

// A result holds the results of a run other than its files.
type result struct {
	plan            *trainer.RunPlan
	tokensPerSecond float64
}

// tune trains on the questions with the base in out/base, and writes the adapter, or with method full the model, to out.
func tune(ctx context.Context, dev bindings.Device, out, method string, s settings, questions []town.Record, console trainer.Output) (*result, error) {
	records := filepath.Join(out, "train.jsonl")
	if err := writeQuestions(records, questions); err != nil {
		return nil, err
	}
	base := filepath.Join(out, "base")
	tok, err := tokenizer.LoadFolder(base)
	if err != nil {
		return nil, err
	}
	set, err := dataset.Load([]string{records}, tok, dataset.DefaultOptions(), nil)
	if err != nil {
		return nil, err
	}
	model, err := openModel(base, method, s)
	if err != nil {
		return nil, err
	}
	defer model.Close()

	args := trainer.DefaultArgs()
	args.OutputDir = out
	args.MaxSteps, args.BatchSize = s.steps, s.batch
	args.LearningRate, args.Schedule, args.WarmupSteps = s.rate, "cosine", 0.05
	args.Seed = s.seed
	args.LoggingSteps, args.SaveStrategy, args.ReportTo = 2, "no", []string{"none"}
	pace := new(pace)
	run, err := trainer.New(trainer.Run{
		Base: model, Args: args, TrainSet: set.Examples, Device: dev,
		Outputs: append(report.Files(&args), sparse{Output: console, every: 20}, pace),
	})
	if err != nil {
		return nil, err
	}
	if err := run.Train(ctx); err != nil {
		return nil, err
	}
	return &result{plan: run.Plan(), tokensPerSecond: pace.mean()}, nil
}

// sparse passes on a subset of the training rows: the console needs fewer than loss.png.
type sparse struct {
	trainer.Output
	every int // in steps
}

// Log passes on the rows of every every-th step, and the last.
func (s sparse) Log(r trainer.Row) error {
	if r.Loss != nil && r.Step%s.every != 0 {
		return nil
	}
	return s.Output.Log(r)
}

// pace is an output that measures a run's mean speed from its log rows.
type pace struct {
	trainer.NoOutput
	seconds, tokens float64
	last            int
}

// Log weights each row by the number of steps it covers.
func (p *pace) Log(r trainer.Row) error {
	if r.TokensPerSecond != nil && *r.TokensPerSecond > 0 {
		steps := float64(r.Step - p.last)
		p.tokens += steps
		p.seconds += steps / float64(*r.TokensPerSecond)
		p.last = r.Step
	}
	return nil
}

func (p *pace) mean() float64 { return p.tokens / p.seconds }

func writeQuestions(path string, questions []town.Record) error {
	return atomicfile.Write(path, 0o644, func(w io.Writer) error {
		lines := json.NewEncoder(w)
		for i := range questions {
			if err := lines.Encode(&questions[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
