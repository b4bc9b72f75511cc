package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"qlora/nn"
)

// evaluate logs eval_loss as Trainer computes it: the mean over records of the mean
// over the tokens of the record's batch. It skips batches without predicted tokens. It
// also generates the samples. It reports whether the evaluation is the best so far, and
// stops when ctx is canceled.
//
// The ranks share the batches, and their results add up in the order of the batches: an
// evaluation does not depend on how many ranks there are.
func (r *loop) evaluate(ctx context.Context) (best bool, err error) {
	start := time.Now()
	if r.layout.policy != nil {
		loss, compared, shown, err := r.evaluateSampled(ctx)
		if err != nil {
			return false, err
		}
		took := time.Since(start).Seconds()
		samples, err := r.sample(ctx)
		if err != nil && ctx.Err() == nil {
			return false, err
		}
		if _, samples, err = r.shareEvaluation(err != nil, nil, samples); err != nil {
			return false, err
		}
		row := Record{EvalLoss: number(loss), Compared: compared}
		return r.evaluated(row, took, ceilDiv(len(r.EvalSet)*r.Args.generationsEval(), r.Args.EvalBatchSize), append(shown, samples...))
	}
	mine, err := r.scores(ctx)
	took := time.Since(start).Seconds()
	var samples []Sample
	if err == nil {
		samples, err = r.sample(ctx) // before the row: an interrupted evaluation is repeated as a whole
	}
	if err != nil && !r.stoppedBy(ctx, err) {
		return false, err
	}
	scores, samples, err := r.shareEvaluation(err != nil, mine, samples)
	if err != nil {
		return false, err
	}
	sum, records, accuracy := 0.0, 0, 0.0
	var compared sums
	for _, s := range scores {
		sum += s.Loss * float64(s.Records)
		records += s.Records
		accuracy += s.Accuracy
		compared.add(s.Compared)
	}
	row := Record{
		EvalLoss: number(sum / float64(records)),
		Compared: r.layout.comparer.row(compared, "eval_"),
	}
	if r.Args.metric() == metricAccuracy {
		row.EvalAccuracy = number(accuracy / float64(len(scores))) // as TRL computes it
	}
	return r.evaluated(row, took, ceilDiv(len(r.EvalSet), r.Args.EvalBatchSize), samples)
}

// evaluated logs the row of an evaluation that took so many seconds and batches, and reports
// whether it is the best so far.
func (r *loop) evaluated(row Record, took float64, batches int, samples []Sample) (best bool, err error) {
	row.EvalRuntime = rounded(took, 4)
	row.EvalSamplesPerSecond = rounded(float64(len(r.EvalSet))/took, 3)
	row.EvalStepsPerSecond = rounded(float64(batches)/took, 3)
	err = r.log(Row{Record: row})
	metric := row.metric(r.Args.metric())
	if metric == nil {
		return false, errors.Join(err, fmt.Errorf("evaluating after step %d: no completion was judged, so there is no %s to compare; see the reward functions", r.at.Step, r.Args.metric()))
	}
	value := float64(*metric)
	r.schedule.evaluated(value)
	r.countPatience(value)
	best = r.compareBest(value)
	if err != nil || len(samples) == 0 {
		return best, err
	}
	return best, r.outputs.Sampled(samples)
}

// A score is what an evaluation has of a batch.
type score struct {
	Batch    int     // its number
	Records  int     //
	Loss     float64 // mean over its tokens, or of its comparisons
	Accuracy float64 // mean
	Compared sums    `json:",omitempty"`
}

// scores evaluates the rank's batches.
func (r *loop) scores(ctx context.Context) ([]score, error) {
	size, order := r.Args.EvalBatchSize, evaluationOrder(&r.Args, r.EvalSet)
	indices := func(i int) []int { return order[i*size : min((i+1)*size, len(order))] }
	batch := func(i int) microBatch {
		return r.layout.comparer.batch(recordSet{r.EvalSet, r.reference.eval}, indices(i))
	}
	var all []score
	for i := range ceilDiv(len(order), size) {
		if err := r.halted(ctx, i); err != nil {
			return nil, err
		}
		if b := batch(i); r.mine(i) && b.weight > 0 {
			r.outputs.Work(Work{What: "evaluating", Done: int64(i * size), Total: int64(len(order))})
			stats, err := r.score(&b)
			if err != nil {
				return nil, err
			}
			all = append(all, score{
				Batch: i, Records: len(indices(i)), Loss: stats.loss / float64(b.weight),
				Accuracy: float64(stats.hits) / float64(b.weight), Compared: stats.compared,
			})
		}
		if err := r.accompany(i, ceilDiv(len(order), size), func(i int) int { b := batch(i); return b.walks(0) }, nn.WalkEvaluate); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// score evaluates a batch.
func (r *loop) score(b *microBatch) (stats, error) {
	if err := b.evaluate(r.layout.Model, r.Device); err != nil {
		return stats{}, fmt.Errorf("evaluating after step %d: %w", r.at.Step, err)
	}
	s, err := r.read()
	if err != nil {
		return stats{}, fmt.Errorf("evaluating after step %d: %w", r.at.Step, err)
	}
	// The reference also drops batches that are not finite, and so shows a diverged model as
	// sound; we stop.
	if !finite(s.loss) {
		return stats{}, notFinite("evaluation loss", s.loss, r.at.Step, r.checkpoint)
	}
	return s, nil
}

// rounded returns x with that many decimals, as Hugging Face logs its measurements.
func rounded(x float64, decimals int) *Number {
	scale := math.Pow10(decimals)
	return number(math.Round(x*scale) / scale)
}
