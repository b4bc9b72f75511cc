package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"qlora/bindings"
	"qlora/lora"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/dataset"
	"qlora/trainer/report"
	"qlora/trainer/report/live"
)

// arguments returns the settings of the run.
func arguments(o options, out string) trainer.Args {
	a := trainer.DefaultArgs()
	a.OutputDir = out
	a.Objective, a.Beta = "dpo", o.beta
	a.MaxSteps, a.BatchSize, a.EvalBatchSize = o.steps, o.batch, o.batch
	a.LearningRate, a.Schedule, a.WarmupSteps = o.rate, "cosine", 0.1
	a.Seed = o.seed
	a.EvalStrategy, a.EvalSteps = trainer.StrategySteps, float64(max(1, o.steps/5))
	a.LoggingSteps, a.SaveStrategy, a.ReportTo = float64(max(1, o.steps/50)), "no", []string{"none"}
	return a
}

// pairsIn reads pairs as the settings compare them.
func pairsIn(path string, o options, a *trainer.Args) (*dataset.Set, error) {
	tok, err := tokenizer.LoadFolder(o.model)
	if err != nil {
		return nil, err
	}
	d := dataset.DefaultOptions()
	d.ModelFolder = o.model
	d.Compare, d.Block = a.Compare()
	return dataset.Load([]string{path}, tok, d, nil)
}

// tune trains an adapter on the pairs of a file by DPO, and evaluates it on those of another.
func tune(ctx context.Context, w io.Writer, dev bindings.Device, o options, train, heldOut, out string) error {
	for _, file := range []string{"trainer_state.json", "adapter_config.json"} { // of the last time
		if _, err := os.Stat(filepath.Join(out, file)); err == nil {
			if err := os.RemoveAll(out); err != nil {
				return err
			}
		}
	}
	a := arguments(o, out)
	set, err := pairsIn(train, o, &a)
	if err != nil {
		return err
	}
	others, err := pairsIn(heldOut, o, &a)
	if err != nil {
		return err
	}
	m, err := base(o)
	if err != nil {
		return err
	}
	defer m.Close()
	m.ApplyLora(lora.Config{
		BaseModel: o.model, TaskType: "CAUSAL_LM", R: o.rank, Alpha: 2 * float64(o.rank), Init: lora.InitDefault, Targets: lora.ParseTargets(lora.AllLinear),
	})
	outputs := append(report.Files(&a), report.NewConsole(w))
	if o.live != "" {
		page, err := live.Listen(o.live)
		if err != nil {
			return err
		}
		defer page.Close()
		fmt.Fprintln(w, "live at", page.URL())
		outputs = append(outputs, page)
	}
	_, err = trainer.Tune(ctx, trainer.Run{Base: m, Args: a, TrainSet: set.Examples, EvalSet: others.Examples, Device: dev, Outputs: outputs})
	return err
}

// A likelihood is what the answers of held-out pairs have: log-probabilities in nats, as means of a token.
type likelihood struct {
	ChosenBefore   float64 `json:"chosen_before"`
	ChosenAfter    float64 `json:"chosen_after"`
	RejectedBefore float64 `json:"rejected_before"`
	RejectedAfter  float64 `json:"rejected_after"`
	Accuracy       float64 `json:"rewards_accuracies"` // the share of pairs whose chosen answer has the larger reward
	Margin         float64 `json:"rewards_margins"`
}

// evaluate returns the likelihood of the pairs of a file before and after tuning.
func evaluate(ctx context.Context, dev bindings.Device, o options, adapter, heldOut string) (likelihood, error) {
	a := arguments(o, "-")
	set, err := pairsIn(heldOut, o, &a)
	if err != nil {
		return likelihood{}, err
	}
	m, err := base(o)
	if err != nil {
		return likelihood{}, err
	}
	defer m.Close()
	if err := m.UseAdapter(adapter); err != nil {
		return likelihood{}, err
	}
	tuned, err := m.Assemble(dev.Info())
	if err != nil {
		return likelihood{}, err
	}
	defer tuned.Close()
	comparisons := trainer.NewComparisons(&a, set.Examples)
	tuned.Plan(dev, comparisons.Shapes(tuned.Model.Bare()))
	if err := tuned.Load(dev, m.Values()); err != nil {
		return likelihood{}, err
	}
	_, row, err := comparisons.Evaluate(ctx, tuned.Model, dev, func(int) {})
	if err != nil {
		return likelihood{}, err
	}
	// Sums of a completion, as means over the pairs of a micro-batch, become means of a token.
	var tokens [2]float64
	for _, e := range set.Examples {
		side := 0
		for d := range e.Documents() {
			tokens[side] += float64(d.Trained()) / float64(len(set.Examples))
			side++
		}
	}
	of := func(name string) float64 { return float64(row[name]) }
	return likelihood{
		ChosenBefore: (of("logps/chosen") - of("rewards/chosen")/o.beta) / tokens[0], ChosenAfter: of("logps/chosen") / tokens[0],
		RejectedBefore: (of("logps/rejected") - of("rewards/rejected")/o.beta) / tokens[1], RejectedAfter: of("logps/rejected") / tokens[1],
		Accuracy: of("rewards/accuracies"), Margin: of("rewards/margins"),
	}, nil
}
