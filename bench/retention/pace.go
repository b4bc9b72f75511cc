package main

import (
	"fmt"
	"time"
)

// The cost of a token, relative to a token that trains an adapter, measured on the CPU
// device and used only to estimate the time left.
const (
	evaluationShare = 0.5
	fullShare       = 1.4
)

// A pace estimates the time left from the work done and the work to do.
type pace struct {
	todo, done float64 // of this session
	took       time.Duration
}

func (p *pace) did(cost float64, took time.Duration) {
	p.done += cost
	p.todo -= cost
	p.took += took
}

// left returns "" until something was measured.
func (p *pace) left() string {
	if p.done == 0 {
		return ""
	}
	left := time.Duration(p.todo / p.done * float64(p.took))
	return fmt.Sprintf("  (about %v left)", left.Round(time.Minute))
}

func (s *study) evaluationCost(of split) float64 { return evaluationShare * float64(of.Tokens) }

func (s *study) cost(t trial) float64 {
	tokens := float64(t.Steps*t.Batch) * float64(s.data.Train.Tokens) / float64(s.data.Train.Records)
	if t.Method == full {
		tokens *= fullShare
	}
	return tokens + s.evaluationCost(s.data.measured(t))
}
