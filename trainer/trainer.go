package trainer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"qlora/bindings"
	"qlora/option"
	"qlora/trainer/dataset"
)

// A Run is everything that a training run is made of. Base, Args, TrainSet and Device
// are needed; the zero value of everything else is useful.
type Run struct {
	Base     *Base
	Args     Args
	TrainSet []dataset.Example
	EvalSet  []dataset.Example
	Device   bindings.Device

	// MemoryLimit is the most bytes that the run may allocate on the device. 0: what the
	// machine has free where the device is the CPU, otherwise no limit.
	MemoryLimit int64
	// Files are written next to the results and into every checkpoint. nil: the base's
	// SideFiles, which are the tokenizer's and the chat template.
	Files []File
	// Prompts are completed at every evaluation. nil: none.
	Prompts *Prompts
	// Outputs receive what the run reports; none: the run writes its results, checkpoints
	// and trainer_state.json alone. Package report has those that show a run and those
	// that write metrics, a plot and the model card.
	Outputs []Output
	// Note, if not nil, receives a message for each decision made on the user's behalf.
	Note func(string)
}

// A File is a small file that lies next to a model.
type File struct {
	Name string // without a folder
	Data []byte
}

// A Trainer is a run that can be trained: everything that could be wrong with
// its input was checked.
type Trainer struct {
	Run
	length   Length
	cadence  cadence
	schedule *Schedule
	layout   *layout
	limit    int64
	identity identity
	resume   *progress // nil: a fresh start
	past     *State    // of the checkpoint
	from     string    // the checkpoint folder that they were read from
}

// New returns the trainer of a run that it has planned and all of whose input it has
// checked: the settings, the records, the checkpoint to resume from, and that it fits
// the device. It writes nothing, and every error is about the input.
func New(r Run) (*Trainer, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	a := &r.Args
	if r.Note == nil {
		r.Note = func(string) {}
	}
	if r.Files == nil {
		var err error
		if r.Files, err = r.Base.SideFiles(); err != nil {
			return nil, err
		}
	}
	t := &Trainer{Run: r, limit: r.MemoryLimit, length: NewLength(a, len(r.TrainSet))}
	t.cadence, t.schedule = newCadence(a, t.length), NewSchedule(a, t.length.Steps)
	if t.limit == 0 {
		t.limit = deviceMemory(r.Device)
	}
	var err error
	if t.identity, err = newIdentity(a, r.Base, r.TrainSet); err != nil {
		return nil, err
	}
	if err := t.findCheckpoint(); err != nil {
		return nil, err
	}
	shapes := largestBatches(a, t.length, r.TrainSet, r.EvalSet)
	shapes.Generate = r.Prompts.longest()
	if t.layout, err = layOut(r.Base, a, shapes, r.Device, t.limit); err != nil {
		return nil, err
	}
	a.loraPlus(t.layout.params)
	t.noteOptimizer()
	t.noteTied()
	if note := t.layout.Model.Config.Note; note != "" {
		t.Note(note)
	}
	if err := t.checkTensors(); err != nil {
		return nil, err
	}
	if p := t.Plan(); !p.Fits {
		return nil, refusal(r.Base, *a, r.TrainSet, r.EvalSet, r.Prompts, p.Bytes.Total(), r.Device, t.limit)
	}
	return t, nil
}

// noteTied says what becomes of a head that is the embedding.
func (t *Trainer) noteTied() {
	m := t.layout.Model
	switch tied := m.Config.Tied; {
	case tied && !m.Tied():
		t.Note("`modules_to_save` takes the output head and the embedding, which are one matrix in this model, apart, as PEFT does; `ensure_weight_tying` keeps them one")
	case !tied && m.Options.Modules.Tie:
		t.Note("`ensure_weight_tying` changes nothing: the output head and the embedding are two matrices in this model")
	}
}

// checkTensors says what is wrong with the tensors that the run starts from.
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

// Plan returns what Train will allocate on the device.
func (t *Trainer) Plan() *RunPlan { return t.layout.plan(t.Device, t.limit) }

// Validate returns everything that is wrong with the run: with its parts, its settings
// and its base, or, where these are sound, with its records and prompts. It loads
// nothing.
func (r *Run) Validate() error {
	wrong := []error{r.checkParts(), r.Args.Validate()}
	if r.Base != nil {
		wrong = append(wrong, r.Base.Validate(), r.Args.checkLoraPlus(r.Base))
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	return errors.Join(r.checkRecords(), r.Prompts.check(&r.Args, r.Base.Config))
}

// checkParts returns what of the run is missing, or is nothing that Train can work with.
func (r *Run) checkParts() error {
	var wrong []error
	switch {
	case r.Base == nil:
		wrong = append(wrong, errors.New("the run has no base: OpenBase reads one"))
	case r.Base.Weights == nil:
		wrong = append(wrong, errors.New("the base has no weights, which is enough for a plan alone: OpenBase maps them"))
	}
	if r.Device == nil {
		wrong = append(wrong, errors.New("the run has no device: cpu.New opens one"))
	}
	if slices.Contains(r.Outputs, nil) {
		wrong = append(wrong, errors.New("one of the run's outputs is nil"))
	}
	for _, f := range r.Files {
		if f.Name == "" || f.Name != filepath.Base(f.Name) || !filepath.IsLocal(f.Name) {
			wrong = append(wrong, fmt.Errorf("file %q is to lie next to the results, and that is no name of a file", f.Name))
		}
	}
	return errors.Join(wrong...)
}

func (r *Run) checkRecords() error {
	if len(r.TrainSet) == 0 {
		return fmt.Errorf("the dataset has no records")
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
			if err := checkExample(e, r.Base.Config.Vocabulary); err != nil {
				return fmt.Errorf("%s: record %d: %w", set.name, i, err)
			}
			trained += e.Trained()
		}
		if len(set.examples) > 0 && trained == 0 {
			return fmt.Errorf("%s: no token of its %d records is to be predicted", set.name, len(set.examples))
		}
	}
	if info, err := os.Stat(r.Args.OutputDir); err == nil && !info.IsDir() {
		return option.Errorf("output_dir", r.Args.OutputDir, "that is a file, not a folder")
	}
	return nil
}

func checkExample(e dataset.Example, vocabulary int) error {
	if len(e.IDs) == 0 || len(e.IDs) != len(e.Labels) {
		return fmt.Errorf("it has %d tokens and %d labels", len(e.IDs), len(e.Labels))
	}
	if e.Starts != nil && !startDocuments(e.Starts, len(e.IDs)) {
		return fmt.Errorf("its documents begin at %v of %d tokens", e.Starts, len(e.IDs))
	}
	if err := dataset.CheckIDs(e.IDs, vocabulary); err != nil {
		return err
	}
	return dataset.CheckLabels(e.Labels, vocabulary)
}

// startDocuments reports whether starts divide so many tokens into documents, none of
// them empty.
func startDocuments(starts []int32, tokens int) bool {
	for i, s := range starts {
		if i == 0 && s != 0 || i > 0 && s <= starts[i-1] || int(s) >= tokens {
			return false
		}
	}
	return len(starts) > 0
}

// findCheckpoint finds and verifies what the run goes on from.
func (t *Trainer) findCheckpoint() error {
	if !t.Args.resumes() {
		return nil
	}
	dir := t.Args.Resume
	if dir == ResumeNewest {
		newest, damaged, err := NewestCheckpoint(t.Args.OutputDir)
		if err != nil {
			return err
		}
		for _, err := range damaged {
			t.Note(fmt.Sprintf("not used to resume from: %v", err))
		}
		if newest == "" {
			t.Note(fmt.Sprintf("no whole checkpoint in %s: starting from the beginning", t.Args.OutputDir))
			return nil
		}
		dir = newest
	} else if _, err := verify(dir); err != nil {
		return fmt.Errorf("`resume_from_checkpoint` %s is not a whole checkpoint: %w", dir, err)
	}
	p, err := readProgress(dir)
	if err != nil {
		return err
	}
	if err := t.identity.differs(p.Identity); err != nil {
		return fmt.Errorf("the run cannot go on from %s: %w", dir, err)
	}
	if err := p.check(&t.length); err != nil {
		return fmt.Errorf("the run cannot go on from %s: %w", dir, err)
	}
	if t.past, err = readState(filepath.Join(dir, stateFile)); err != nil {
		return err
	}
	t.noteChanges(p.Settings)
	t.resume, t.from = p, dir
	return nil
}
