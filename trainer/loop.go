package trainer

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"qlora/bindings"
	"qlora/internal/atomicfile"
	"qlora/internal/place"
	"qlora/nn"
)

// loop is a run in progress.
type loop struct {
	*Trainer
	at         progress
	state      *State
	order      *order
	epochOrder []int // of the next step's epoch
	outputs    outputs
	checkpoint string // the newest one known to be complete
	stopped    bool   // early, by the evaluations
	asked      bool   // a rank was asked to stop

	rollout     *rollout // of the last micro-batch; nil: none
	completions []Sample // of it, for people

	began  time.Time // minus the seconds of the run before it was resumed
	tokens int64     // trained since the last log row
	busy   time.Duration

	telemetry *telemetry
}

// Train loads the base, allocates the planned memory, trains, and writes the results
// to the output folder. Call it at most once. When ctx is canceled it finishes the
// current step, saves a checkpoint and returns [ErrInterrupted].
func (t *Trainer) Train(ctx context.Context) error {
	if len(t.peers) > 0 {
		return t.trainTogether(ctx)
	}
	return t.train(ctx)
}

// train trains as one rank. Only rank 0 writes.
func (t *Trainer) train(ctx context.Context) (err error) {
	defer func() { t.leave(err) }()
	if err := t.shareOut(); err != nil {
		return err
	}
	if t.rank() > 0 {
		return t.trainAlong(ctx)
	}
	created, err := place.Create("output_dir", t.Args.OutputDir)
	if err != nil {
		return err
	}
	if t.lock, err = lockFolder(t.Args.OutputDir); err != nil {
		return t.full(err, 0)
	}
	defer func() { _ = t.lock.Close() }() // unlocks; it may be another file by then
	atomicfile.Clean(t.Args.OutputDir)
	defer t.layout.Close()
	r := t.newLoop()
	defer r.telemetry.end()
	defer func() { err = t.full(err, r.at.Step) }()
	defer func() {
		if stopErr := r.outputs.Stop(r.state, err); err == nil {
			err = stopErr
		}
	}()
	if err := r.load(); err != nil {
		if t.seen == nil { // leave no sign of a run
			_ = os.Remove(filepath.Join(t.Args.OutputDir, lockFile))
			for _, dir := range created {
				_ = os.Remove(dir)
			}
		}
		return err
	}
	if err := r.claim(); err != nil {
		return err
	}
	begin := r.begin()
	r.began = time.Now().Add(-begin.Took)
	if err := r.outputs.Start(begin); err != nil {
		return err
	}
	if err := r.precompute(ctx); err != nil {
		return err
	}
	if err := r.steps(ctx); err != nil {
		return err
	}
	return r.finish()
}

func (t *Trainer) newLoop() *loop {
	return &loop{Trainer: t, order: newOrder(&t.Args, t.TrainSet), state: newState(&t.Args, t.length, &t.cadence), outputs: t.Outputs, telemetry: newTelemetry(t.Device)}
}

func (r *loop) loading(done, total int64) {
	r.outputs.Work(Work{What: "loading base model", Done: done, Total: total, Bytes: true})
}

// initializing reports the adapters initialized from their base, which is slow.
func (r *loop) initializing(done, total int64) {
	r.outputs.Work(Work{What: "initializing adapters", Done: done, Total: total})
}

func (r *loop) begin() *Begin {
	plan := r.Plan()
	return &Begin{
		OutputDir: r.Args.OutputDir, Args: &r.Args, Base: r.Base,
		Device: plan.Device, Plan: plan.Bytes, Compute: computeType(plan.Device), Recompute: plan.Recompute.String(), Ranks: r.ranks(), Fitting: plan.Fitting(), Length: r.length, Trainable: plan.Trainable,
		Step: r.at.Step, Took: time.Duration(r.at.Seconds * float64(time.Second)), Tokens: r.at.Tokens, Resumed: r.from, State: r.state,
		EvalRecords: len(r.EvalSet),
	}
}

// steps runs the remaining optimizer steps.
func (r *loop) steps(ctx context.Context) error {
	if r.at.EvaluationDue {
		after := r.cadence.after(r.at.Step)
		after.log = false // the row was written before the evaluation
		if err := r.follow(ctx, after, nil); err != nil {
			return err
		}
	}
	for !r.done() {
		if r.canceled(ctx) {
			return r.interrupted()
		}
		row, err := r.step(ctx)
		if err != nil {
			return r.failed(ctx, err)
		}
		if err := r.follow(ctx, r.cadence.after(r.at.Step), row); err != nil {
			return err
		}
	}
	return nil
}

// step runs one optimizer step and returns its log row.
func (r *loop) step(ctx context.Context) (*Record, error) {
	start := time.Now()
	if r.cadence.after(r.at.Step + 1).log {
		r.telemetry.ask() // read during the step, not between steps
	}
	inEpoch := r.at.Step % r.length.StepsInEpoch
	if inEpoch == 0 {
		r.at.EpochDraws = r.order.draws
		r.epochOrder = r.order.begin(r.at.Step / r.length.StepsInEpoch)
	}
	rate := r.schedule.Rate(r.at.Step)
	w, err := r.window(ctx, inEpoch)
	if err != nil {
		return nil, err
	}
	loss, norm, err := r.optimize(ctx, &w, rate)
	if err != nil {
		return nil, err
	}
	r.at.Step++
	r.at.Tokens += int64(w.tokens)
	r.at.PendingLoss += loss
	r.at.PendingSteps++
	r.state.GlobalStep, r.state.Epoch = r.at.Step, Number(r.length.Epoch(r.at.Step))
	r.state.TotalFLOs = Number(r.flopsPerToken() * float64(r.at.Tokens))
	r.tokens += int64(w.tokens)
	r.busy += time.Since(start)
	speed := float64(r.tokens) / max(r.busy.Seconds(), 1e-9)
	left := r.busy / time.Duration(r.at.PendingSteps) * time.Duration(r.length.Steps-r.at.Step)
	r.outputs.Step(StepDone{
		Step: r.at.Step, Steps: r.length.Steps, Epoch: float64(r.state.Epoch), Loss: loss, GradNorm: norm, LearningRate: rate,
		TokensPerSecond: speed, MemoryBytes: r.memoryBytes(), Tokens: r.at.Tokens, Left: left,
	})
	return &Record{GradNorm: number(norm), LearningRate: number(rate)}, nil
}

// optimize accumulates the gradients of a window and updates the parameters. If the
// loss or the gradient norm is not finite, it does not update them.
func (r *loop) optimize(ctx context.Context, w *window, rate float64) (loss, norm float64, err error) {
	m, dev := r.layout.Model, r.Device
	failed := func(err error) (loss, norm float64, _ error) {
		return 0, 0, fmt.Errorf("step %d: %w", r.at.Step+1, err)
	}
	r.layout.begin(dev)
	for i, b := range w.batches {
		random := bindings.Random{Train: !r.Args.withoutDropout(), Seed: r.Args.Seed, Step: r.at.MicroBatch}
		r.at.MicroBatch++ // also without a predicted token
		if r.mine(i) {
			for j, p := range b.pieces(r.layout.part) {
				random.Row = p.row
				if err := p.train(m, dev, w.scale(i), random); err != nil {
					return failed(err)
				}
				m.Gather(dev)
				m.KeepStats(dev, i*r.layout.parts+j)
				if err := r.layout.add(dev); err != nil {
					return failed(r.named(err))
				}
			}
		}
		if err := r.accompany(i, len(w.batches), func(i int) int { return w.batches[i].walks(r.layout.part) }, nn.WalkTrain); err != nil {
			return failed(err)
		}
	}
	if err := r.layout.end(dev, r.Group); err != nil {
		return failed(r.named(err))
	}
	if r.layout.shared == nil { // else the norm is of what ranks tell each other
		dev.Run(&bindings.GradNorm{Params: r.layout.params, Max: float32(r.Args.MaxGradNorm), Out: r.layout.clip})
	}
	stats, err := r.stepStats(ctx, w)
	if err != nil {
		return failed(err)
	}
	var clip [8]byte
	if err := dev.Read(clip[:], r.layout.clip); err != nil {
		return failed(err)
	}
	norm = float64(math.Float32frombits(binary.LittleEndian.Uint32(clip[:])))
	switch {
	case !finite(stats.loss):
		return 0, 0, notFinite("loss", stats.loss, r.at.Step+1, r.checkpoint)
	case !finite(norm):
		return 0, 0, notFinite("gradient norm", norm, r.at.Step+1, r.checkpoint)
	}
	dev.Run(&bindings.Optimize{
		Params: r.layout.updated(), Rule: r.layout.state.Rule, LR: rate, WeightDecay: r.Args.WeightDecay,
		Step: r.at.Step + 1, Clip: r.layout.clip,
	})
	if p := r.layout.shared; p != nil {
		if err := p.collectValues(dev); err != nil {
			return failed(r.named(err))
		}
	}
	m.Derive(dev)
	r.at.Compared.add(stats.compared)
	return stats.loss, norm, nil
}

// follow does what is due after a step, in this order: log row, evaluation,
// checkpoint.
func (r *loop) follow(ctx context.Context, after due, row *Record) error {
	if after.log {
		if err := r.logStep(row); err != nil {
			return err
		}
	}
	if after.eval {
		if !r.at.EvaluationDue {
			r.order.evaluated()
		}
		r.at.EvaluationDue = true
		best, err := r.evaluate(ctx)
		if err != nil {
			if r.canceled(ctx) {
				return r.interrupted()
			}
			return r.failed(ctx, err)
		}
		r.at.EvaluationDue = false
		after.save = after.save || best && r.Args.SaveStrategy == StrategyBest ||
			r.stopped && r.Args.SaveStrategy == StrategyEpoch // the stop ends the epoch
	}
	if after.save {
		if err := r.save(); err != nil {
			return err
		}
	}
	if r.canceled(ctx) && !r.done() {
		return r.interrupted()
	}
	return nil
}

// interrupted saves a checkpoint, unless one was just saved.
func (r *loop) interrupted() error {
	if r.checkpoint != CheckpointDir(r.Args.OutputDir, r.at.Step) || r.at.EvaluationDue {
		if err := r.save(); err != nil {
			return err
		}
	}
	return ErrInterrupted
}

// logStep writes the row of the steps since the last one.
func (r *loop) logStep(row *Record) error {
	row.Loss = number(r.at.PendingLoss / float64(r.at.PendingSteps))
	r.at.TotalLoss += r.at.PendingLoss
	row.Compared = r.row(r.at.Compared, r.at.Sampled, "")
	r.at.PendingLoss, r.at.PendingSteps, r.at.Compared, r.at.Sampled = 0, 0, nil, nil
	speed := Number(float64(r.tokens) / max(r.busy.Seconds(), 1e-9))
	r.tokens, r.busy = 0, 0
	err := r.log(Row{Record: *row, TokensPerSecond: &speed, Telemetry: r.telemetry.take()})
	if shown := r.completions; err == nil && r.Args.LogCompletions && shown != nil {
		r.completions = nil
		return r.outputs.Sampled(shown)
	}
	return err
}

// log fills in the row's step, epoch and memory, and reports it.
func (r *loop) log(row Row) error {
	row.Step, row.Epoch, row.MemoryBytes = r.at.Step, r.state.Epoch, r.memoryBytes()
	r.state.LogHistory = append(r.state.LogHistory, row.Record)
	return r.outputs.Log(row)
}

func (r *loop) memoryBytes() int64 { return r.layout.Memory.Plan().Total() }

// flopsPerToken returns Kaplan et al.'s estimate (2020) of 6 operations per weight and
// token, over the linear layers and their adapters. Hugging Face's total_flos also
// counts padding, norms and an untied head; here there is no padding.
func (r *loop) flopsPerToken() float64 {
	n := 0
	for _, p := range r.layout.Model.Projections() {
		n += p.Weight.Out * p.Weight.In
		if p.Adapter != nil {
			n += p.Adapter.A.Len() + p.Adapter.B.Len()
		}
	}
	return 6 * float64(n)
}
