package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A study is a study in progress. Finished measurements are files in dir, and are not
// repeated.
type study struct {
	ctx     context.Context
	out     io.Writer
	program program
	folders [2]string // by folder; exact may be ""
	dir     string
	data    *splits
	commit  string
	pace    pace
}

// A baseResult is a base's loss on the held-out records.
type baseResult struct {
	Base string `json:"base"`
	evaluation
	origin
}

// A trialResult is the result of a trial.
type trialResult struct {
	trial
	evaluation
	training
	Seconds float64 `json:"seconds"`
	origin
}

// An origin identifies what a result was measured with. A result of another origin is
// measured again.
type origin struct {
	Commit string `json:"commit"`
	Data   string `json:"data_sha256"`
}

func (s *study) origin(of split) origin { return origin{s.commit, of.SHA256} }

// bases returns the bases that can be measured, and adds them to the expected work.
func (s *study) bases() []base {
	var all []base
	for _, b := range bases {
		if s.folders[b.Folder] == "" {
			fmt.Fprintf(s.out, "base %s is omitted: its folder is not named\n", b.Name)
			continue
		}
		s.pace.todo += s.evaluationCost(s.data.HeldOut)
		all = append(all, b)
	}
	return all
}

// expect adds the trials to the expected work.
func (s *study) expect(all []trial) {
	for _, t := range all {
		s.pace.todo += s.cost(t)
	}
}

// trials returns the finished trials, also with an error.
func (s *study) trials(all []trial) ([]*trialResult, error) {
	var done []*trialResult
	for _, t := range all {
		one, err := s.trial(t)
		if err != nil {
			return done, err
		}
		done = append(done, one)
	}
	return done, nil
}

// base evaluates an untuned base.
func (s *study) base(b base) (*baseResult, error) {
	r := &baseResult{Base: b.Name, origin: s.origin(s.data.HeldOut)}
	path := s.path("base-" + b.Name)
	if stored, ok := read[baseResult](path); ok && stored.origin == r.origin {
		s.pace.todo -= s.evaluationCost(s.data.HeldOut)
		return stored, nil
	}
	s.announce("base " + b.Name)
	start := time.Now()
	var err error
	if r.evaluation, err = s.program.evaluate(s.ctx, s.folders[b.Folder], s.data.HeldOut.Path, b.Args...); err != nil {
		return nil, err
	}
	s.pace.did(s.evaluationCost(s.data.HeldOut), time.Since(start))
	fmt.Fprintf(s.out, "  loss %.4f\n", r.Loss)
	return r, write(path, r)
}

// trial trains and evaluates, and then removes the training folder.
func (s *study) trial(t trial) (*trialResult, error) {
	measured := s.data.measured(t)
	r := &trialResult{trial: t, origin: s.origin(measured)}
	path := s.path(t.name())
	if stored, ok := read[trialResult](path); ok && stored.origin == r.origin && stored.trial == t {
		s.pace.todo -= s.cost(t)
		return stored, nil
	}
	s.announce(t.name())
	model, err := s.trainable(t.Method)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(s.dir, "run")
	if err := os.RemoveAll(folder); err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	start := time.Now()
	if r.training, err = s.program.train(s.ctx, model, s.data.Train.Path, folder, t.args()); err != nil {
		return nil, err
	}
	if t.Method == full {
		r.evaluation, err = s.program.evaluate(s.ctx, folder, measured.Path, "--load_in_4bit=false")
	} else {
		r.evaluation, err = s.program.evaluate(s.ctx, model, measured.Path, "--adapter", folder)
	}
	if err != nil {
		return nil, err
	}
	r.Seconds = time.Since(start).Seconds()
	s.pace.did(s.cost(t), time.Since(start))
	fmt.Fprintf(s.out, "  loss %.4f after %d steps, in %.0f s\n", r.Loss, t.Steps, r.Seconds)
	return r, write(path, r)
}

func (s *study) path(name string) string { return filepath.Join(s.dir, "results", name+".json") }

// announce prints the next measurement and the time left.
func (s *study) announce(name string) {
	fmt.Fprintf(s.out, "%s  %s%s\n", time.Now().Format(time.TimeOnly), name, s.pace.left())
}
