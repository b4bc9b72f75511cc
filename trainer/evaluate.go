package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// evaluate logs eval_loss as Trainer computes it: the mean over records of the mean
// over the tokens of the record's batch. It skips batches without predicted tokens. It
// also generates the samples. It reports whether the evaluation is the best so far, and
// stops when ctx is canceled.
func (r *loop) evaluate(ctx context.Context) (best bool, err error) {
	start := time.Now()
	if r.layout.policy != nil {
		loss, compared, shown, err := r.evaluateSampled(ctx)
		if err != nil {
			return false, err
		}
		took := time.Since(start).Seconds()
		samples, err := r.sample(ctx)
		if err != nil {
			return false, err
		}
		row := Record{EvalLoss: number(loss), Compared: compared}
		return r.evaluated(row, took, ceilDiv(len(r.EvalSet)*r.Args.generationsEval(), r.Args.EvalBatchSize), append(shown, samples...))
	}
	size, order := r.Args.EvalBatchSize, evaluationOrder(&r.Args, r.EvalSet)
	sum, records, accuracy, batches := 0.0, 0, 0.0, 0
	var compared sums
	for i := 0; i < len(order); i += size {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		r.outputs.Work(Work{What: "evaluating", Done: int64(i), Total: int64(len(order))})
		indices := order[i:min(i+size, len(order))]
		b := r.layout.comparer.batch(recordSet{r.EvalSet, r.reference.eval}, indices)
		if b.weight == 0 {
			continue
		}
		if err := b.evaluate(r.layout.Model, r.Device); err != nil {
			return false, fmt.Errorf("evaluating after step %d: %w", r.at.Step, err)
		}
		stats, err := r.read()
		if err != nil {
			return false, fmt.Errorf("evaluating after step %d: %w", r.at.Step, err)
		}
		// The reference also drops batches that are not finite, and so shows a
		// diverged model as sound; we stop.
		if !finite(stats.loss) {
			return false, notFinite("evaluation loss", stats.loss, r.at.Step, r.checkpoint)
		}
		sum += stats.loss / float64(b.weight) * float64(len(indices))
		records += len(indices)
		accuracy += float64(stats.hits) / float64(b.weight)
		compared.add(stats.compared)
		batches++
	}
	took := time.Since(start).Seconds()
	samples, err := r.sample(ctx) // before the row: an interrupted evaluation is repeated as a whole
	if err != nil {
		return false, err
	}
	row := Record{
		EvalLoss: number(sum / float64(records)),
		Compared: r.layout.comparer.row(compared, "eval_"),
	}
	if r.Args.metric() == metricAccuracy {
		row.EvalAccuracy = number(accuracy / float64(batches)) // as TRL computes it
	}
	return r.evaluated(row, took, ceilDiv(len(order), size), samples)
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

// rounded returns x with that many decimals, as Hugging Face logs its measurements.
func rounded(x float64, decimals int) *Number {
	scale := math.Pow10(decimals)
	return number(math.Round(x*scale) / scale)
}
