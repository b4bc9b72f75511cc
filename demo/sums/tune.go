package main

import (
	"context"
	"io"

	"qlora/bindings"
	"qlora/lora"
	"qlora/nn"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/dataset"
	"qlora/trainer/report"
	"qlora/trainer/reward"
)

// longestAnswer is the most tokens of an answer: up to three digits after a space, and the end of the text.
const longestAnswer = 6

// show tunes all weights of the base on sums with their answers, and writes the model to out with the base's tokenizer.
func show(ctx context.Context, dev bindings.Device, o options, records, out string) error {
	m, err := trainer.OpenBase(o.model)
	if err != nil {
		return err
	}
	defer m.Close()
	tok, err := tokenizer.LoadFolder(o.model)
	if err != nil {
		return err
	}
	set, err := dataset.Load([]string{records}, tok, dataset.DefaultOptions(), nil)
	if err != nil {
		return err
	}
	a := trainer.DefaultArgs()
	a.OutputDir, a.MaxSteps, a.BatchSize, a.Seed = out, o.firstSteps, 32, o.seed
	a.LearningRate, a.Schedule, a.WarmupSteps = o.firstRate, "constant_with_warmup", 0.03
	a.AdamBeta2, a.WeightDecay = 0.98, 0.1
	a.LoggingSteps, a.SaveStrategy, a.ReportTo = 10, "no", []string{"none"}
	run, err := trainer.New(trainer.Run{Base: m, Args: a, TrainSet: set.Examples, Device: dev, Outputs: report.Files(&a)})
	if err != nil {
		return err
	}
	return run.Train(ctx)
}

// reinforce tunes an adapter on the model of a folder by the rewards of its answers to the prompts of records.
func reinforce(ctx context.Context, w io.Writer, dev bindings.Device, o options, model, records, out string) error {
	m, err := open(model)
	if err != nil {
		return err
	}
	defer m.Close()
	m.ApplyLora(lora.Config{
		BaseModel: model, TaskType: "CAUSAL_LM", R: o.rank, Alpha: 2 * float64(o.rank), Init: lora.InitDefault, Targets: lora.ParseTargets(lora.AllLinear),
	})
	tok, err := tokenizer.LoadFolder(model)
	if err != nil {
		return err
	}
	a := trainer.DefaultArgs()
	a.Objective, a.Beta, a.NumGenerations, a.MaxCompletionLength = "grpo", 0, o.samples, longestAnswer
	a.OutputDir, a.MaxSteps, a.BatchSize, a.Seed, a.LearningRate = out, o.steps, o.prompts*o.samples, o.seed, o.rate
	a.LoggingSteps, a.SaveStrategy, a.ReportTo = float64(min(5, o.steps)), "no", []string{"none"}
	a.RewardFuncs = []string{"exact:completion"}
	opt := dataset.DefaultOptions()
	opt.Compare, _ = a.Compare()
	opt.Room = a.MaxCompletionLength
	set, err := dataset.Load([]string{records}, tok, opt, nil)
	if err != nil {
		return err
	}
	judges, err := reward.Parse(a.RewardFuncs, reward.Settings{})
	if err != nil {
		return err
	}
	stop, err := m.Ends(tok, nil)
	if err != nil {
		return err
	}
	run, err := trainer.New(trainer.Run{
		Base: m, Args: a, TrainSet: set.Examples, Device: dev, Outputs: append(report.Files(&a), sparse{Output: report.NewConsole(w), every: 20}),
		Rollouts: &trainer.Rollouts{Stop: stop, Decode: func(ids []int32) string { return tok.Decode(ids, true) }, Rewards: judges},
	})
	if err != nil {
		return err
	}
	return run.Train(ctx)
}

// sparse passes on a subset of the training rows.
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

// answers returns the most likely answer of the model in 4 bits, with an adapter unless it is "", to each question.
func answers(ctx context.Context, dev bindings.Device, model, adapter string, questions []sum) ([]string, error) {
	m, err := open(model)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	tok, err := tokenizer.LoadFolder(model)
	if err != nil {
		return nil, err
	}
	if adapter != "" {
		if err := m.UseAdapter(adapter); err != nil {
			return nil, err
		}
	}
	stop, err := m.Ends(tok, nil)
	if err != nil {
		return nil, err
	}
	tuned, err := m.Load(dev, nn.Shapes{Generate: 64})
	if err != nil {
		return nil, err
	}
	defer tuned.Close()
	encoder := tok.NewEncoder()
	var all []string
	for _, q := range questions {
		var ids []int32
		_, err := tuned.Model.Generate(ctx, dev, encoder.EncodePrompt(q.Prompt), longestAnswer, nn.Sampling{}, stop, func(id int32) bool {
			ids = append(ids, id)
			return true
		})
		if err != nil {
			return nil, err
		}
		all = append(all, tok.Decode(ids, true))
	}
	return all, nil
}
