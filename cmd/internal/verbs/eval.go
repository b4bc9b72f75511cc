package verbs

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/nn"
	"qlora/nn/quantize"
	"qlora/trainer/dataset"
)

// evalOptions are those of eval besides the model.
type evalOptions struct {
	Dataset []string `option:"dataset" help:"files, folders or quoted patterns of records, as for train; may be given more than once"`
	Records dataset.Options
	Batch   int  `option:"per_device_eval_batch_size" unit:"sequences" help:"sequences in a micro-batch"`
	JSON    bool `option:"json" help:"print one JSON object"`
}

// Eval is the verb that measures a model on a dataset.
func Eval() *cobra.Command {
	model := inferOptions{}
	own := evalOptions{Records: dataset.DefaultOptions(), Batch: 8}
	how, machine := quantize.DefaultOptions(), machine{Device: "auto"}
	set := options.New()
	set.Add("Model", &model)
	set.Add("Evaluation", &own)
	set.Add("4-bit base", &how)
	set.Add("Machine", &machine)
	return verb("eval", "measures loss, perplexity and token accuracy of a model on a dataset", set, func(c *call) error {
		r, err := model.open(c, machine, how)
		if err != nil {
			return err
		}
		defer r.close()
		return own.eval(c, r, model.Adapter)
	})
}

func (o *evalOptions) eval(c *call, r *inference, adapter string) error {
	switch {
	case len(o.Dataset) == 0:
		return exit.Wrongf("--dataset is missing: name the files to evaluate")
	case o.Batch < 1:
		return exit.Wrongf("--per_device_eval_batch_size is %d, but it must be at least 1", o.Batch)
	}
	o.Records.VocabularySize = r.base.Config.Vocabulary
	folder, err := chatFolder(r.folder, adapter)
	if err != nil {
		return err
	}
	o.Records.ModelFolder = folder.Dir
	set, err := load(c, "dataset", o.Dataset, r.tok, o.Records, nil)
	if err != nil {
		return err
	}
	var batches []*nn.Batch
	for i := 0; i < len(set.Examples); i += o.Batch {
		var ids, labels [][]int32
		for _, e := range set.Examples[i:min(i+o.Batch, len(set.Examples))] {
			ids, labels = append(ids, e.IDs), append(labels, e.Labels)
		}
		batches = append(batches, nn.NewBatch(ids, labels))
	}
	if err := r.load(nn.Shapes{Evaluate: largest(batches)}, adapter); err != nil {
		return err
	}
	var sum nn.Stats
	for _, b := range batches {
		if err := c.Err(); err != nil {
			return err
		}
		if b.Predicted() == 0 {
			continue
		}
		if err := r.model.Evaluate(r.dev, b); err != nil {
			return err
		}
		stats, err := r.model.Stats(r.dev)
		if err != nil {
			return err
		}
		sum.Loss += stats.Loss
		sum.Predicted += stats.Predicted
		sum.Hits += stats.Hits
	}
	loss := sum.Loss / float64(sum.Predicted)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("the loss is %v: the weights or the adapter are damaged", loss)
	}
	accuracy := float64(sum.Hits) / float64(sum.Predicted)
	if !o.JSON {
		fmt.Fprintf(c.out, "loss        %.6f\nperplexity  %.4f\naccuracy    %.4f\ntokens      %d\n", loss, math.Exp(loss), accuracy, sum.Predicted)
		return nil
	}
	return json.NewEncoder(c.out).Encode(struct {
		Loss       float64 `json:"loss"`
		Perplexity float64 `json:"perplexity"`
		Accuracy   float64 `json:"accuracy"`
		Tokens     int     `json:"tokens"`
	}{loss, math.Exp(min(loss, 700)), accuracy, sum.Predicted}) // JSON has no infinity
}

// largest are the batches that memory must be planned for.
func largest(batches []*nn.Batch) []*nn.Batch {
	most, longest := batches[0], batches[0]
	for _, b := range batches {
		if b.Tokens() > most.Tokens() {
			most = b
		}
		if b.Longest() > longest.Longest() {
			longest = b
		}
	}
	return []*nn.Batch{most, longest}
}
