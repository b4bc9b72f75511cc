package trainer

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"qlora/bindings"
)

// An Output receives what a run reports: the console, metrics.jsonl, a plot. A run
// calls it from one goroutine, in this order: Work while the base is read; Start;
// Step, Work, Log, Sampled and Saved as they occur; Stop at the end in every case,
// even if Start was not called. An error of any of them stops the run. Embed
// [NoOutput] to implement only some methods.
type Output interface {
	Start(*Begin) error
	Step(StepDone)
	Work(Work)
	Log(Row) error
	Sampled([]Sample) error // of one evaluation, or with log_completions of training, after the row was logged
	Saved(dir string, step int) error
	Stop(*State, error) error
}

// Begin describes a run before its first step.
type Begin struct {
	OutputDir string
	Args      *Args
	Base      *Base
	Device    bindings.Info
	Plan      bindings.MemoryPlan
	Compute   string // the device's type of activations and operands, as torch names it
	Recompute string
	Fitting   Fitting
	Ranks     int // that train
	Length    Length
	Trainable int64         // trained parameters
	Step      int           // steps done before; above 0 in a resumed run
	Took      time.Duration // time of those steps
	Tokens    int64         // trained in those steps, prompts included
	Resumed   string        // the checkpoint folder that the run resumes from; "": none
	State     *State        // of the running run; it has the rows logged before

	EvalRecords int // in Run.EvalSet
}

// StepDone describes an optimizer step that was just done.
type StepDone struct {
	Step            int
	Steps           int
	Epoch           float64
	Loss            float64 // of this step
	GradNorm        float64
	LearningRate    float64
	TokensPerSecond float64
	MemoryBytes     int64         // that the run allocated on its device
	Tokens          int64         // trained so far, prompts included
	Left            time.Duration // estimated time to the end of training
}

// Work reports the progress of long work other than steps.
type Work struct {
	What        string // "evaluating"
	Done, Total int64  // in bytes or another unit
	Bytes       bool
}

// A Row is a line of metrics.jsonl: a row of log_history plus measurements of the
// machine.
type Row struct {
	Record
	TokensPerSecond     *Number // since the last row, prompts included
	MemoryBytes         int64   // that the run allocated on its device
	*bindings.Telemetry         // nil: the device measures nothing
}

// measured has the measurements of a Row.
type measured struct {
	TokensPerSecond *Number `json:"tokens_per_second,omitempty"`
	MemoryBytes     int64   `json:"memory_bytes"`
	*bindings.Telemetry
}

// MarshalJSON writes the record's keys, then those of the measurements.
func (r Row) MarshalJSON() ([]byte, error) {
	record, err := json.Marshal(r.Record)
	if err != nil {
		return nil, err
	}
	more, err := json.Marshal(measured{r.TokensPerSecond, r.MemoryBytes, r.Telemetry})
	if err != nil {
		return nil, err
	}
	return slices.Concat(record[:len(record)-1], []byte{','}, more[1:]), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Row) UnmarshalJSON(b []byte) error {
	var more measured
	if err := errors.Join(json.Unmarshal(b, &r.Record), json.Unmarshal(b, &more)); err != nil {
		return err
	}
	r.TokensPerSecond, r.MemoryBytes, r.Telemetry = more.TokensPerSecond, more.MemoryBytes, more.Telemetry
	return nil
}

// NoOutput ignores everything.
type NoOutput struct{}

func (NoOutput) Start(*Begin) error       { return nil } // nothing to open
func (NoOutput) Step(StepDone)            {}
func (NoOutput) Work(Work)                {}
func (NoOutput) Log(Row) error            { return nil }
func (NoOutput) Sampled([]Sample) error   { return nil }
func (NoOutput) Saved(string, int) error  { return nil }
func (NoOutput) Stop(*State, error) error { return nil }

// outputs are several outputs as one. Each is called even where another fails.
type outputs []Output

func (o outputs) Start(b *Begin) error {
	return o.each(func(o Output) error { return o.Start(b) })
}

func (o outputs) Step(p StepDone) {
	for _, one := range o {
		one.Step(p)
	}
}

func (o outputs) Work(w Work) {
	for _, one := range o {
		one.Work(w)
	}
}

func (o outputs) Log(r Row) error {
	return o.each(func(o Output) error { return o.Log(r) })
}

func (o outputs) Sampled(s []Sample) error {
	return o.each(func(o Output) error { return o.Sampled(s) })
}

func (o outputs) Saved(dir string, step int) error {
	return o.each(func(o Output) error { return o.Saved(dir, step) })
}

func (o outputs) Stop(s *State, err error) error {
	return o.each(func(o Output) error { return o.Stop(s, err) })
}

func (o outputs) each(call func(Output) error) error {
	var all []error
	for _, one := range o {
		all = append(all, call(one))
	}
	return errors.Join(all...)
}
