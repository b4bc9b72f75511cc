package live

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"qlora/bindings"
	"qlora/trainer"
	"qlora/trainer/report"
)

// The states of a run.
const (
	preparing   = "preparing" // reading input
	training    = "training"
	finished    = "finished"
	interrupted = "interrupted"
	failed      = "failed"
)

// Limits on the stored data of a run: a page has no more room, and a run may be long.
const (
	maxPoints      = 4000
	maxEvaluations = 2000
	maxReadings    = 2000
	maxSamples     = 2000
	maxEntries     = 1000
)

// run is everything that a page shows.
type run struct {
	Status   string           `json:"status"`
	Text     string           `json:"text"` // explains the status
	Name     string           `json:"name"` // of the base
	Output   string           `json:"output"`
	Device   string           `json:"device"`
	Settings []report.Setting `json:"settings"`
	Memory   []share          `json:"memory"`
	Steps    int              `json:"steps"`
	Epochs   float64          `json:"epochs"`
	Step     int              `json:"step"`
	Epoch    float64          `json:"epoch"`
	Left     float64          `json:"left"`  // seconds; 0 at the end or if unknown
	Began    int64            `json:"began"` // seconds since 1970, minus the run's time before it was resumed; 0 before the start
	Ended    int64            `json:"ended"` // 0 while it runs
	Now      int64            `json:"now"`   // machine's clock at sending
	Work     *work            `json:"work"`  // nil during steps

	Points      columns          `json:"points"`
	Evaluations []evaluation     `json:"evaluations"`
	Rewards     []rewards        `json:"rewards"`  // empty if nothing is compared
	Readings    []reading        `json:"readings"` // empty if the device measures nothing
	Samples     []trainer.Sample `json:"samples"`
	Log         []entry          `json:"log"`
}

// A share is a category of memory.
type share struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// columns are the curves: their values at each step.
type columns struct {
	Step  []int     `json:"step"`
	Loss  []float32 `json:"loss"`
	Norm  []float32 `json:"norm"`
	Rate  []float32 `json:"rate"`
	Speed []float32 `json:"speed"` // tokens/s; 0 if unknown
}

type evaluation struct {
	Step int     `json:"step"`
	Loss float32 `json:"loss"`
}

// A reading holds a GPU's measurements after a step.
type reading struct {
	Step int `json:"step"`
	*bindings.Telemetry
}

// An entry is an event of the run, with text.
type entry struct {
	At   int64  `json:"at"` // seconds since 1970; 0 if before the run was resumed
	Text string `json:"text"`
}

type work struct {
	What  string `json:"what"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Bytes bool   `json:"bytes"`
}

type stepMessage struct {
	Step  int     `json:"step"`
	Epoch float64 `json:"epoch"`
	Left  float64 `json:"left"`
	Loss  float32 `json:"loss"`
	Norm  float32 `json:"norm"`
	Rate  float32 `json:"rate"`
	Speed float32 `json:"speed"`
}

type end struct {
	Status string `json:"status"`
	Text   string `json:"text"`
	At     int64  `json:"at"` // seconds since 1970
}

func (e end) text() string {
	if e.Text == "" {
		return e.Status
	}
	return e.Status + ": " + e.Text
}

// begin fills in what is known before the first step. Rows and samples are those of a
// resumed run.
func (r *run) begin(b *trainer.Begin, rows []trainer.Row, samples []trainer.Sample) {
	r.Status, r.Name, r.Output = training, b.Base.Name, cmp.Or(b.Args.RunName, filepath.Base(b.OutputDir))
	r.Device, r.Settings, r.Memory = b.Device.Name, report.Summary(b), memory(b.Plan)
	if b.Device.Detail != "" {
		r.Device += ": " + b.Device.Detail
	}
	r.Steps, r.Step = b.Length.Steps, b.Step
	r.Epochs, r.Epoch = b.Length.Epoch(b.Length.Steps), b.Length.Epoch(b.Step)
	r.Began = time.Now().Add(-b.Took).Unix()
	r.Work = nil
	for _, row := range rows {
		r.rewarded(row)
		if row.Telemetry != nil {
			r.read(reading{row.Step, row.Telemetry})
		}
		switch {
		case row.Loss != nil:
			speed := float32(0)
			if row.TokensPerSecond != nil {
				speed = float32(*row.TokensPerSecond)
			}
			r.Points.add(row.Step, float32(*row.Loss), float32(*row.GradNorm), float32(*row.LearningRate), speed)
		case row.EvalLoss != nil:
			r.evaluated(evaluation{row.Step, float32(*row.EvalLoss)})
			r.noted(entry{Text: fmt.Sprintf("step %d: evaluated, loss %.4f", row.Step, float64(*row.EvalLoss))})
		}
	}
	r.sampled(samples)
	now := time.Now().Unix()
	if b.Resumed != "" {
		r.noted(entry{now, fmt.Sprintf("step %d: resumed from %s", b.Step, filepath.Base(b.Resumed))})
	} else {
		r.noted(entry{now, "training began"})
	}
}

func (r *run) step(s trainer.StepDone) {
	r.Step, r.Epoch, r.Left, r.Work = s.Step, s.Epoch, s.Left.Seconds(), nil
	r.Points.add(s.Step, float32(s.Loss), float32(s.GradNorm), float32(s.LearningRate), float32(s.TokensPerSecond))
}

func (r *run) evaluated(e evaluation) {
	r.Evaluations = append(thinned(r.Evaluations, maxEvaluations), e)
}

func (r *run) read(m reading) { r.Readings = append(thinned(r.Readings, maxReadings), m) }

// thinned returns all, or every second element if there are more than most.
func thinned[T any](all []T, most int) []T {
	if len(all) < most {
		return all
	}
	var half []T
	for i := 1; i < len(all); i += 2 {
		half = append(half, all[i])
	}
	return half
}

func (r *run) sampled(all []trainer.Sample) {
	r.Samples = append(r.Samples, all...)
	r.Samples = r.Samples[max(0, len(r.Samples)-maxSamples):]
}

func (r *run) noted(e entry) {
	r.Log = append(r.Log, e)
	r.Log = r.Log[max(0, len(r.Log)-maxEntries):]
}

// add appends a point. At maxPoints, it first merges each two points into one at the
// later one's step, with the mean of losses and norms.
func (c *columns) add(step int, loss, norm, rate, speed float32) {
	if len(c.Step) == maxPoints {
		for i := range maxPoints / 2 {
			c.Step[i] = c.Step[2*i+1]
			c.Rate[i], c.Speed[i] = c.Rate[2*i+1], c.Speed[2*i+1]
			c.Loss[i] = (c.Loss[2*i] + c.Loss[2*i+1]) / 2
			c.Norm[i] = (c.Norm[2*i] + c.Norm[2*i+1]) / 2
		}
		n := maxPoints / 2
		c.Step, c.Loss, c.Norm, c.Rate, c.Speed = c.Step[:n], c.Loss[:n], c.Norm[:n], c.Rate[:n], c.Speed[:n]
	}
	c.Step = append(c.Step, step)
	c.Loss, c.Norm = append(c.Loss, loss), append(c.Norm, norm)
	c.Rate, c.Speed = append(c.Rate, rate), append(c.Speed, speed)
}

// copy returns a copy of the run that later changes do not affect. Slices that only
// grow, or are replaced, share their elements.
func (r *run) copy() run {
	c := *r
	c.Now = time.Now().Unix()
	c.Points = columns{
		Step: slices.Clone(r.Points.Step), Loss: slices.Clone(r.Points.Loss), Norm: slices.Clone(r.Points.Norm),
		Rate: slices.Clone(r.Points.Rate), Speed: slices.Clone(r.Points.Speed),
	}
	return c
}
