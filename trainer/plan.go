package trainer

import (
	"errors"
	"fmt"
	"strings"

	"qlora/bindings"
	"qlora/lora"
	"qlora/nn"
	"qlora/trainer/dataset"
)

// A RunPlan is the device memory of a run, to the byte. It is computed by walking the
// training code on a device that computes nothing; the trainer allocates by the same
// plan.
type RunPlan struct {
	Device    bindings.Info
	Bytes     bindings.MemoryPlan
	Recompute nn.Recompute
	Part      int       // of micro-batches; see Fitting
	Offload   bool      // of activations; see Fitting
	Embedding bool      // in the host's memory; see Fitting
	Whole     bool      // of copies of weights; see Fitting
	FSDP      string    // the setting, or what auto chose
	Tried     []Fitting // before, that do not fit
	Trainable int64     // trained parameters
	Fits      bool      // within the given limit

	// InitBytes estimates the extra host memory in bytes that PiSSA, OLoRA and LoftQ
	// need during initialization, before the first step.
	InitBytes int64
}

// Fitting returns the way that was chosen to keep the run to its memory.
func (p *RunPlan) Fitting() Fitting {
	return Fitting{Recompute: p.Recompute, Part: p.Part, Offload: p.Offload, Embedding: p.Embedding, Whole: p.Whole, Bytes: p.Bytes.Total()}
}

// PlanRun plans a run. limit is the device memory in bytes, 0 if unknown. If train is
// nil, every sequence is assumed to have maxLength tokens. prompts may be nil. The
// error is about the model or the settings; a run that does not fit is not an error.
func PlanRun(model *Base, a Args, train, eval []dataset.Example, prompts *Prompts, maxLength int, profile bindings.Profile, limit int64) (*RunPlan, error) {
	if err := errors.Join(a.Validate(), model.Validate(), a.checkReference(model), a.checkShards(model)); err != nil {
		return nil, err
	}
	if a.sharers == 0 {
		a.ShareAmong(a.World(), a.World())
	}
	shapes := func(part int) nn.Shapes {
		s := fullBatches(&a, maxLength, part)
		if train != nil {
			s = largestBatches(&a, NewLength(&a, len(train)), train, eval, part)
		}
		s.Generate = max(s.Generate, prompts.longest())
		return s
	}
	room := limits{device: limit}
	l, _, err := a.leastShared(a.shardKinds(model), room, func() (*layout, error) { return layOut(model, &a, shapes, profile, room, nil) })
	if err != nil {
		return nil, err
	}
	p := l.plan(profile, room)
	p.FSDP = a.FSDP
	return p, nil
}

// A layout is a model with its adapters and everything that training needs, placed in
// planned memory that is not yet allocated.
type layout struct {
	*lora.Tuned
	comparer *comparer  // nil: completions are not compared
	policy   *nn.Policy // nil: they are not sampled
	gradients
	state bindings.OptimizerState // of the optimizer
	clip  bindings.Tensor         // GradNorm's Out
	part  int                     // of micro-batches; see Fitting
	parts int                     // the most of a micro-batch
	tried []Fitting               // before, that do not fit
}

// layOutWith plans with a fitting, whose parts shapes has.
func layOutWith(model *Base, a *Args, f Fitting, state bindings.OptimizerState, shapes nn.Shapes, profile bindings.Profile) (*layout, error) {
	options := nn.Options{Train: model.Lora == nil, Recompute: f.Recompute, Offload: f.Offload, EmbeddingOnHost: f.Embedding, Whole: f.Whole, NoiseAlpha: a.NoiseAlpha, LabelSmoothing: a.LabelSmoothing, Shards: a.Shards()}
	tuned, err := model.assemble(options, profile.Info())
	if err != nil {
		return nil, err
	}
	shapes.Window = max(shapes.Window, a.window())
	if err := tuned.Model.CheckShapes(shapes); err != nil {
		return nil, err
	}
	l := &layout{Tuned: tuned, comparer: a.comparer(), policy: a.policy(), state: state, part: f.Part, parts: shapes.Window / a.window()}
	shapes.Compare, shapes.Policy = l.comparer.comparing(), l.policy
	if err := l.useReference(shapes.Compare, a, model); err != nil {
		return nil, err
	}
	if l.policy != nil {
		shapes.Together.Sequences = a.together(profile.Info())
	}
	level, ranks := a.shareState()
	state.Parts = level != wholeState
	if l.params, err = tuned.Parameters(state); err != nil {
		return nil, err
	}
	a.loraPlus(l.params)
	l.clip = tuned.Memory.Arena(bindings.Optimizer).New(bindings.F32, 1, 2)
	if state.Parts {
		l.shared = new(stateShards)
		l.shared.layOut(tuned.Memory, l.params, state, level, ranks, profile.Info().Squares)
		shapes.Step = func(dev bindings.Device) { l.shared.needs(dev, state.Rule) }
	}
	l.layOut(tuned.Memory.Arena(bindings.Gradients), shapes.Window)
	tuned.Plan(profile, shapes)
	return l, nil
}

// fitting returns what the layout is planned with.
func (l *layout) fitting() Fitting {
	o := &l.Model.Options
	return Fitting{Recompute: o.Recompute, Part: l.part, Offload: o.Offload, Embedding: o.EmbeddingOnHost, Whole: o.Whole}
}

// bytes returns the memory that the layout needs.
func (l *layout) bytes() int64 { return l.Memory.Plan().Total() }

func (l *layout) plan(profile bindings.Profile, limit limits) *RunPlan {
	f := l.fitting()
	p := &RunPlan{
		Device: profile.Info(), Bytes: l.Memory.Plan(), Recompute: f.Recompute, Part: f.Part, Offload: f.Offload, Embedding: f.Embedding, Whole: f.Whole, Tried: l.tried,
	}
	for _, param := range l.params {
		p.Trainable += int64(param.Value.Len())
	}
	p.Fits = limit.hold(p.Bytes)
	if l.Adapters != nil {
		p.InitBytes = l.Adapters.InitBytes()
	}
	return p
}

// refusal returns the error for a run that does not fit: how much it needs, how much
// is free, and what would fit.
func refusal(model *Base, a Args, train, eval []dataset.Example, prompts *Prompts, took int64, profile bindings.Profile, limit int64) error {
	short := fmt.Sprintf("the run needs %s and %s has %s free", Bytes(took), profile.Info().Name, Bytes(limit))
	a.GradientCheckpointing, a.Recompute, a.AutoSplit = false, "layer", false
	given := a
	for {
		plan, err := PlanRun(model, a, train, eval, prompts, 0, profile, limit)
		if err != nil {
			return err
		}
		if plan.Fits {
			return fmt.Errorf("%s; it would fit (%s) with `recompute` layer%s", short, Bytes(plan.Bytes.Total()), a.batchesUnlike(&given))
		}
		if a.BatchSize == 1 {
			shared := ""
			if a.World() > 1 && a.Shards() == 0 {
				shared = "`fsdp` full_shard, "
			}
			return fmt.Errorf("%s; even one sequence at a time with `recompute` layer needs %s: use %sa shorter `max_length`, a smaller `lora_r`, `optim` adamw_8bit or a smaller model",
				short, Bytes(plan.Bytes.Total()), shared)
		}
		a.divideBatches()
	}
}

// divideBatches divides micro-batches into the fewest equal ones. A step has the same sequences, and
// as many completions are sampled together.
func (a *Args) divideBatches() {
	n := 2
	for a.BatchSize%n != 0 {
		n++
	}
	a.BatchSize, a.Accumulation = a.BatchSize/n, a.Accumulation*n
	a.StepsPerGeneration *= n
	most := a.BatchSize
	if a.objective().samples { // an evaluation's batch has whole groups
		group := a.generationsEval()
		most = max(group, most/group*group)
	}
	a.EvalBatchSize = min(a.EvalBatchSize, most)
}

// batchesUnlike returns the options of batches by which a differs from given.
func (a *Args) batchesUnlike(given *Args) string {
	var text strings.Builder
	for _, o := range []struct {
		name          string
		value, before int
	}{
		{"per_device_train_batch_size", a.BatchSize, given.BatchSize},
		{"gradient_accumulation_steps", a.Accumulation, given.Accumulation},
		{"steps_per_generation", a.StepsPerGeneration, given.StepsPerGeneration},
		{"per_device_eval_batch_size", a.EvalBatchSize, given.EvalBatchSize},
	} {
		if o.value != o.before {
			fmt.Fprintf(&text, " `%s` %d", o.name, o.value)
		}
	}
	return text.String()
}
