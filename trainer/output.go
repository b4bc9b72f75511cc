package trainer

import (
	"errors"
	"time"

	"qlora/bindings"
)

// An Output receives what a run reports: the console, metrics.jsonl, a plot. A
// run calls it from one goroutine, in this order: Work while the base is read,
// Start, then Step, Work, Log, Sampled and Saved as they come, Stop at the end
// whatever happened, also before Start. An error of any of them stops the run.
// Embed [NoOutput] to implement a part.
type Output interface {
	Start(*Begin) error
	Step(StepDone)
	Work(Work)
	Log(Row) error
	Sampled([]Sample) error // by one evaluation, whose row was logged
	Saved(dir string, step int) error
	Stop(*State, error) error
}

// Begin is what is known of a run before its first step.
type Begin struct {
	OutputDir string
	Args      *Args
	Base      *Base
	Device    bindings.Info
	Plan      bindings.MemoryPlan
	Recompute string
	Length    Length
	Trainable int64         // parameters that are trained
	Step      int           // steps done before: above 0 in a resumed run
	Took      time.Duration // by those
	Tokens    int64         // trained on in those, prompts included
	Resumed   string        // the checkpoint folder that the run goes on from
	State     *State        // of the run while it goes on; it has the rows logged before

	EvalRecords int // in Run.EvalSet
}

// StepDone is what an output receives after every optimizer step.
type StepDone struct {
	Step            int
	Steps           int
	Epoch           float64
	Loss            float64 // of this step
	GradNorm        float64
	LearningRate    float64
	TokensPerSecond float64
	MemoryBytes     int64         // that the run holds on its device
	Tokens          int64         // trained on so far, prompts included
	Left            time.Duration // to the end of training, at the pace of this run
}

// Work reports progress of something other than steps that may take long.
type Work struct {
	What        string // "evaluating"
	Done, Total int64  // bytes, or as many of something else
	Bytes       bool
}

// A Row is a line of metrics.jsonl: a row of log_history and what is measured of
// the machine.
type Row struct {
	Record
	TokensPerSecond     *Number `json:"tokens_per_second,omitempty"` // trained on since the last row, prompts included
	MemoryBytes         int64   `json:"memory_bytes"`                // that the run holds on its device
	*bindings.Telemetry         // nil: the device measures nothing
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
