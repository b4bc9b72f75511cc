package trainer

import "math"

// Length is the length of a run in the units of the training loop.
type Length struct {
	Records      int // in the dataset
	Batches      int // micro-batches in an epoch, of all ranks of the settings' world
	Accumulation int // micro-batches in a window, likewise; the last of an epoch may have fewer
	StepsInEpoch int // optimizer steps in an epoch
	Steps        int // optimizer steps in the run
	Epochs       int // epochs that the run starts
}

// NewLength computes the length of a run as Trainer's set_initial_training_values
// does: the last batch and the last window of an epoch may be partial, and a fraction
// of an epoch is rounded up to whole steps. A world of several ranks has as many
// micro-batches for each, see indicesOf.
func NewLength(a *Args, records int) Length {
	world := a.World()
	l := Length{Records: records, Accumulation: a.Accumulation * world}
	switch {
	case a.objective().samples:
		l.Batches = records / max(1, a.generationPrompts()) * a.generateEvery()
	case a.DropLast:
		l.Batches = records / a.BatchSize / world * world
	default:
		l.Batches = ceilDiv(ceilDiv(records, a.BatchSize), world) * world
	}
	l.StepsInEpoch = max(1, ceilDiv(l.Batches, l.Accumulation))
	if a.MaxSteps > 0 {
		l.Steps = a.MaxSteps
		l.Epochs = ceilDiv(l.Steps, l.StepsInEpoch)
		return l
	}
	l.Steps = int(math.Ceil(a.Epochs * float64(l.StepsInEpoch)))
	l.Epochs = int(math.Ceil(a.Epochs))
	return l
}

// Window returns the range [from, to) of the epoch's micro-batches that step (counted
// from 0 in the epoch) accumulates.
func (l *Length) Window(step int) (from, to int) {
	return step * l.Accumulation, min((step+1)*l.Accumulation, l.Batches)
}

// Epoch returns the position after the run's first steps optimizer steps, in epochs.
func (l *Length) Epoch(steps int) float64 {
	if steps == 0 {
		return 0
	}
	epoch, step := (steps-1)/l.StepsInEpoch, (steps-1)%l.StepsInEpoch
	_, batches := l.Window(step)
	return float64(epoch) + float64(batches)/float64(l.Batches)
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
