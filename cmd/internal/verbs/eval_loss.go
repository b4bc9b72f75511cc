package verbs

import (
	"encoding/json"
	"fmt"
	"math"
	"text/tabwriter"

	"qlora/chat"
	"qlora/cmd/internal/exit"
	"qlora/nn"
)

// measure prints the loss on the records.
func (o *evaluation) measure(c *call, r *inference) error {
	o.Records.VocabularySize = r.base.Config.Vocabulary
	folder, err := chat.Folder(r.folder, r.base.Adapter)
	if err != nil {
		return exit.AsWrong(err)
	}
	o.Records.ModelFolder, o.Records.Evaluation = folder, true
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
	if err := r.load(nn.Shapes{Score: largest(batches)}); err != nil {
		return err
	}
	sum, err := o.score(c, r, batches, len(set.Examples))
	if err != nil {
		return err
	}
	loss := sum.Loss / float64(sum.Predicted)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("the loss is %v: the weights or the adapter are damaged", loss)
	}
	accuracy, deviation := float64(sum.Hits)/float64(sum.Predicted), sum.lossStdErr()
	if !o.JSON {
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "loss\t%.6f%s\n", loss, plusMinus(deviation))
		fmt.Fprintf(w, "perplexity\t%.4f%s\n", math.Exp(loss), plusMinus(math.Exp(loss)*deviation))
		fmt.Fprintf(w, "accuracy\t%.4f\n", accuracy)
		fmt.Fprintf(w, "tokens\t%d in %d sequences\n", sum.Predicted, len(sum.sequences))
		return w.Flush()
	}
	return json.NewEncoder(c.out).Encode(struct {
		Loss       float64 `json:"loss"`
		LossStdErr float64 `json:"loss_stderr"`
		Perplexity float64 `json:"perplexity"`
		Accuracy   float64 `json:"accuracy"`
		Tokens     int     `json:"tokens"`
		Sequences  int     `json:"sequences"`
	}{loss, deviation, math.Exp(min(loss, 700)), accuracy, sum.Predicted, len(sum.sequences)}) // JSON has no infinity
}

// plusMinus returns " ± deviation", or "" for 0, the deviation of a single sequence.
func plusMinus(deviation float64) string {
	if deviation == 0 {
		return ""
	}
	return fmt.Sprintf(" ± %.4f", deviation)
}

// measured is the sum over all micro-batches.
type measured struct {
	nn.Stats
	sequences []sequenceLoss // only those with predicted tokens
}

type sequenceLoss struct{ sum, tokens float64 }

func (o *evaluation) score(c *call, r *inference, batches []*nn.Batch, sequences int) (sum measured, err error) {
	progress, done := c.progress("evaluating", false)
	defer done()
	for i, b := range batches {
		if err := c.Err(); err != nil {
			return sum, err
		}
		progress(int64(i*o.Batch), int64(sequences))
		if b.Predicted() == 0 {
			continue
		}
		scores, err := r.Model.Score(r.dev, b)
		if err != nil {
			return sum, err
		}
		stats, err := r.Model.Stats(r.dev)
		if err != nil {
			return sum, err
		}
		sum.Loss += stats.Loss
		sum.Predicted += stats.Predicted
		sum.Hits += stats.Hits
		for s, n := range b.PredictedBySequence() {
			if n > 0 {
				sum.sequences = append(sum.sequences, sequenceLoss{-scores[s], float64(n)})
			}
		}
	}
	progress(int64(sequences), int64(sequences))
	return sum, nil
}

// lossStdErr returns the standard error of the mean loss per token. Tokens of one
// sequence are not independent, so it is the error of a ratio over sequences (Cochran,
// Sampling Techniques, chapter 6). It is 0 for a single sequence.
func (m *measured) lossStdErr() float64 {
	n, tokens := float64(len(m.sequences)), float64(m.Predicted)
	if n < 2 {
		return 0
	}
	squares := 0.0
	for _, s := range m.sequences {
		residual := s.sum - m.Loss/tokens*s.tokens
		squares += residual * residual
	}
	return math.Sqrt(squares*n/(n-1)) / tokens
}

// largest returns the batches that determine the memory plan.
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
