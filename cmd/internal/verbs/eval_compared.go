package verbs

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"text/tabwriter"

	"qlora/chat"
	"qlora/cmd/internal/exit"
	"qlora/nn"
	"qlora/trainer"
)

type referenceOptions struct {
	Adapter string `option:"ref_adapter" path:"true" help:"with --objective: folder of the adapter of the reference model; default: the base without adapters is the reference"`
}

// objective validates the settings of the objective.
func (o *evaluation) objective() error {
	if o.run.Samples() {
		return exit.Wrongf("--objective grpo samples completions, which eval does not judge: `qlora train` with --eval_dataset does")
	}
	o.run.BatchSize, o.run.EvalBatchSize, o.run.OutputDir = o.Batch, o.Batch, "-"
	if _, block := o.run.Compare(); block > 0 {
		o.run.SamplingStrategy = trainer.OrderSequential
	}
	if err := o.run.Validate(); err != nil {
		return exit.AsWrong(err)
	}
	if o.run.Precompute {
		return exit.Wrongf("--precompute_ref_log_probs is of train: an evaluation uses each of them once")
	}
	if o.ref.Adapter != "" && !o.run.HasReference() {
		return exit.Wrongf("--ref_adapter is given, but --objective %s has no reference: leave it out, or use dpo or kto", o.run.Objective)
	}
	return nil
}

// compare prints the loss and the rewards of completions that are compared or judged.
func (o *evaluation) compare(c *call, r *inference) error {
	o.Records.VocabularySize = r.base.Config.Vocabulary
	folder, err := chat.Folder(r.folder, r.base.Adapter)
	if err != nil {
		return exit.AsWrong(err)
	}
	o.Records.ModelFolder, o.Records.Evaluation = folder, true
	o.Records.Compare, o.Records.Block = o.run.Compare()
	set, err := load(c, "dataset", o.Dataset, r.tok, o.Records, nil)
	if err != nil {
		return err
	}
	var reference *nn.Overlay
	if o.run.HasReference() {
		reference = r.Model.Bare()
		if o.ref.Adapter != "" {
			if reference, err = r.Reference(o.ref.Adapter); err != nil {
				return exit.AsWrong(err)
			}
		}
	}
	comparisons := trainer.NewComparisons(&o.run, set.Examples)
	if err := r.load(comparisons.Shapes(reference)); err != nil {
		return err
	}
	progress, done := c.progress("evaluating", false)
	defer done()
	n := len(set.Examples)
	loss, row, err := comparisons.Evaluate(c, r.Model, r.dev, func(done int) { progress(int64(done), int64(n)) })
	if err != nil {
		return err
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("the loss is %v: the weights or the adapter are damaged", loss)
	}
	if !o.JSON {
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "loss\t%.6f\n", loss)
		for _, name := range slices.Sorted(maps.Keys(row)) {
			fmt.Fprintf(w, "%s\t%.6f\n", name, float64(row[name]))
		}
		fmt.Fprintf(w, "records\t%d\n", n)
		return w.Flush()
	}
	all := map[string]any{"loss": loss, "records": n}
	for name, v := range row {
		all[name] = v
	}
	return json.NewEncoder(c.out).Encode(all)
}
