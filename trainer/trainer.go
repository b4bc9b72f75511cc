package trainer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"qlora/bindings"
	"qlora/bindings/groups"
	"qlora/checkpoint"
	"qlora/nn"
	"qlora/option"
	"qlora/trainer/dataset"
)

// A Run is everything that a training run needs. Base, Args, TrainSet and Device are
// required; all other fields may be zero.
type Run struct {
	Base     *Base
	Args     Args
	TrainSet []dataset.Example
	EvalSet  []dataset.Example
	Device   bindings.Device

	// Others are further devices of this process, of Device's kind, that share the run's
	// work: each is a rank with a copy of the model. nil: Device trains alone.
	Others []bindings.Device
	// Group is this process among others that run the same program, which each have one
	// Device: calls of New and Train are then made by all. nil: there are none. Rank 0 alone
	// reads checkpoints and writes. Train leaves the group.
	Group groups.Group

	// Machine is what the processes of a machine have in common, whatever they call it: the id of
	// its boot. "": the host's name.
	Machine string

	// MemoryLimit is the most bytes that the run may allocate on a device. 0: the
	// machine's free memory if the device is the CPU, otherwise no limit.
	MemoryLimit int64
	// Files are written next to the results and into every checkpoint. nil: the base's
	// SideFiles, the tokenizer and the chat template, WithEnds.
	Files []File
	// Inputs are files and folders that the run was made from besides the base: its
	// datasets. A run does not move them aside with an old run.
	Inputs []string
	// Prompts are completed at every evaluation. nil: none.
	Prompts *Prompts
	// Rollouts say how completions are sampled and judged, for the objective grpo; else nil.
	Rollouts *Rollouts
	// Outputs receive what the run reports. Without any, the run writes only its
	// results, checkpoints and trainer_state.json. Package report has outputs that
	// show a run and that write metrics, a plot and the model card.
	Outputs []Output
	// Note, if not nil, receives a message for each decision made on the user's behalf.
	Note func(string)
}

// A File is a small file next to a model.
type File struct {
	Name string // base name, without a folder
	Data []byte
}

// A Trainer is a run whose input has been checked.
type Trainer struct {
	Run
	length    Length
	cadence   cadence
	schedule  *Schedule
	layout    *layout
	limit     limits
	identity  identity
	resume    *progress // nil: a fresh start
	reference reference
	past      *State // of the checkpoint
	from      string // folder of the checkpoint

	peers   []*Trainer  // of Others
	judging *sync.Mutex // of the ranks of this process, of which one at a time judges completions
	members []member    // the ranks of the group; nil: alone

	run   string   // the run's name in the record of its folder
	seen  []byte   // the record that New found in the output folder
	aside bool     // move the output folder aside before the first step
	lock  *os.File // on the output folder, while Train runs
}

// New plans a run and checks all of its input: the settings, the records, the
// checkpoint to resume from, and that it fits the device. It writes nothing, and every
// error is about the input.
func New(r Run) (_ *Trainer, err error) {
	if r.Group != nil {
		defer func() {
			if err != nil { // the others wait
				r.Group.Abort(err)
			}
		}()
	}
	if ranks := r.ranks(); r.Args.WorldSize == 0 && !r.Args.resumes() && ranks > 1 {
		r.Args.WorldSize = ranks
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if r.Note == nil {
		r.Note = func(string) {}
	}
	if r.Files == nil {
		if r.Files, err = r.sideFiles(); err != nil {
			return nil, err
		}
	}
	t := &Trainer{Run: r, judging: new(sync.Mutex)}
	if err := t.start(); err != nil {
		return nil, err
	}
	a := &t.Args
	t.length = NewLength(a, len(r.TrainSet))
	if t.length.Batches == 0 {
		return nil, option.Errorf("dataloader_drop_last", true, "the %d records do not fill a micro-batch of every rank", len(r.TrainSet))
	}
	t.cadence, t.schedule = newCadence(a, t.length), NewSchedule(a, t.length.Steps)
	t.limit = t.limits()
	if t.identity, err = newIdentity(a, r.Base, r.TrainSet, r.Device.Info()); err != nil {
		return nil, err
	}
	if err := t.checkCheckpoint(); err != nil {
		return nil, err
	}
	if t.rank() == 0 {
		if err := t.checkFolder(); err != nil {
			return nil, err
		}
	}
	t.reference.passes = referencePasses(a, mostTokens(t.shapes(0).Train), r.TrainSet, r.EvalSet)
	if err := t.place(); err != nil {
		return nil, err
	}
	t.noteParts()
	t.noteOffload()
	t.noteAll()
	if t.rank() == 0 {
		if err := t.checkTensors(); err != nil {
			return nil, err
		}
	}
	if p := t.Plan(); !p.Fits {
		if host := t.limit.host; host > 0 && p.Bytes.Host() > host {
			name, value := "offload_activations", a.OffloadActivations
			if !p.Offload {
				name, value = "embedding_on_host", a.EmbeddingOnHost
			}
			return nil, option.Errorf(name, value, "the run needs %s of the host's memory, which has %s free: use a shorter `max_length` or a smaller `per_device_train_batch_size`", Bytes(p.Bytes.Host()), Bytes(host))
		}
		return nil, refusal(r.Base, *a, r.TrainSet, r.EvalSet, r.Prompts, p.Bytes.Total(), r.Device, t.limit.device)
	}
	if err := t.newPeers(); err != nil {
		return nil, err
	}
	return t, t.agree()
}

// noteAll notes what a user may not expect of the settings.
func (t *Trainer) noteAll() {
	t.noteOptimizer()
	t.noteTied()
	t.noteStopping()
	if t.Args.SaveOnlyModel && t.Args.SaveStrategy != StrategyNo {
		t.Note("`save_only_model`: no run can resume from the checkpoints of this one")
	}
	for _, note := range append(t.Base.Notes(t.Device.Info()), t.layout.Model.Notes()...) {
		t.Note(note)
	}
	if a := t.layout.Adapters; a != nil && a.BiasNote() != "" {
		t.Note(a.BiasNote())
	}
}

// sideFiles returns the files of a run that names none.
func (r *Run) sideFiles() ([]File, error) {
	files, err := r.Base.SideFiles()
	if err != nil || len(files) == 0 || r.Base.Folder == "" || !checkpoint.HasTokenizer(r.Base.Folder) {
		return files, err
	}
	tok, err := r.Base.tokenizer(r.Base.Adapter)
	if err != nil {
		return nil, err
	}
	ends, err := r.Base.Ends(tok, nil)
	if err != nil {
		return nil, err
	}
	return r.Base.WithEnds(files, ends, r.TrainSet)
}

// noteTied notes what happens to a tied head.
func (t *Trainer) noteTied() {
	m := t.layout.Model
	switch tied := m.Config.Tied; {
	case tied && !m.Tied():
		t.Note("`modules_to_save` unties the output head from the embedding, as PEFT does; `ensure_weight_tying` keeps them tied")
	case !tied && m.Options.Modules.Tie:
		t.Note("`ensure_weight_tying` has no effect: this model's output head and embedding are not tied")
	}
}

// checkTensors returns an error if the tensors that the run starts from are invalid.
func (t *Trainer) checkTensors() error {
	if t.resume != nil {
		if a := t.layout.Adapters; a != nil && t.Base.Lora.Init.ChangesBase() {
			if err := a.Check(t.from); err != nil {
				return err
			}
		}
		return checkOptimizer(t.layout.params, filepath.Join(t.from, optimizerFile))
	}
	if t.Base.Lora != nil && t.Base.Adapter != "" {
		return t.layout.Adapters.Check(t.Base.Adapter)
	}
	return nil
}

// shapes returns the largest micro-batches, those of training in parts of so many tokens; 0: whole.
func (t *Trainer) shapes(part int) nn.Shapes {
	s := largestBatches(&t.Args, t.length, t.TrainSet, t.EvalSet, part)
	s.Generate = max(s.Generate, t.Prompts.longest())
	return s
}

// Plan returns the memory that Train will allocate on the device.
func (t *Trainer) Plan() *RunPlan { return t.layout.plan(t.Device, t.limit) }

// Validate returns all errors of the run's parts, settings and base or, if these are
// valid, of its records and prompts. It loads nothing.
func (r *Run) Validate() error {
	wrong := []error{r.checkParts(), r.Args.Validate()}
	if r.Base != nil {
		wrong = append(wrong, r.Base.Validate(), r.Args.checkLoraPlus(r.Base), r.Args.checkReference(r.Base), r.Args.checkShards(r.Base))
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	return errors.Join(r.checkRecords(), r.Args.CheckOutputs(r.Base, r.Inputs), r.Prompts.check(&r.Args, r.Base.Config), r.Rollouts.check(&r.Args))
}

// checkParts returns errors for parts that are missing or unusable.
func (r *Run) checkParts() error {
	var wrong []error
	switch {
	case r.Base == nil:
		wrong = append(wrong, errors.New("the run has no base: OpenBase reads one"))
	case r.Base.Weights == nil:
		wrong = append(wrong, errors.New("the base has no weights, which is enough only for a plan: OpenBase maps them"))
	}
	if r.Device == nil {
		wrong = append(wrong, errors.New("the run has no device: cpu.New opens one"))
	}
	if slices.Contains(r.Others, nil) || len(r.Others) > 0 && r.Group != nil {
		wrong = append(wrong, errors.New("one of the run's other devices is nil, or there are other processes besides"))
	}
	if slices.Contains(r.Outputs, nil) {
		wrong = append(wrong, errors.New("one of the run's outputs is nil"))
	}
	for _, f := range r.Files {
		if f.Name == "" || f.Name != filepath.Base(f.Name) || !filepath.IsLocal(f.Name) {
			wrong = append(wrong, fmt.Errorf("file %q of Files has no plain name", f.Name))
		}
	}
	return errors.Join(wrong...)
}

func (r *Run) checkRecords() error {
	if len(r.TrainSet) == 0 {
		return fmt.Errorf("the dataset has no records")
	}
	if n := r.Args.generationPrompts(); r.Args.objective().samples && r.Args.knowsWorld() && len(r.TrainSet) < n {
		return fmt.Errorf("the dataset has %d prompts, but completions of %d are sampled together: give more, or a smaller `steps_per_generation` or `gradient_accumulation_steps`", len(r.TrainSet), n)
	}
	if r.Args.EvalStrategy != StrategyNo && len(r.EvalSet) == 0 {
		return option.Errorf("eval_strategy", r.Args.EvalStrategy, "there is no `eval_dataset`")
	}
	for _, set := range []struct {
		name     string
		examples []dataset.Example
	}{{"dataset", r.TrainSet}, {"eval_dataset", r.EvalSet}} {
		trained := 0
		for i, e := range set.examples {
			err := checkExample(e, r.Base.Config.Vocabulary)
			if err == nil {
				err = r.Args.objective().checkDocuments(e)
			}
			if err != nil {
				return fmt.Errorf("%s: record %d: %w", set.name, i, err)
			}
			trained += e.Trained()
		}
		if r.Args.objective().samples {
			continue
		}
		if len(set.examples) > 0 && trained == 0 {
			return fmt.Errorf("%s: none of its %d records has a token to predict", set.name, len(set.examples))
		}
	}
	return nil
}

func checkExample(e dataset.Example, vocabulary int) error {
	if len(e.IDs) == 0 || len(e.IDs) != len(e.Labels) {
		return fmt.Errorf("it has %d tokens and %d labels", len(e.IDs), len(e.Labels))
	}
	if e.Weights != nil && len(e.Weights) != len(e.IDs) {
		return fmt.Errorf("it has %d tokens and %d weights", len(e.IDs), len(e.Weights))
	}
	if e.Starts != nil && !startDocuments(e.Starts, len(e.IDs)) {
		return fmt.Errorf("its documents start at %v of %d tokens", e.Starts, len(e.IDs))
	}
	if err := nn.CheckIDs(e.IDs, vocabulary); err != nil {
		return err
	}
	return nn.CheckLabels(e.Labels, vocabulary)
}

// startDocuments reports whether starts divide that many tokens into non-empty
// documents.
func startDocuments(starts []int32, tokens int) bool {
	for i, s := range starts {
		if i == 0 && s != 0 || i > 0 && s <= starts[i-1] || int(s) >= tokens {
			return false
		}
	}
	return len(starts) > 0
}
