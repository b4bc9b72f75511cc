// Command retention measures what 4 bits cost: the held-out loss of a base model in every way to hold it, and after the same steps of full fine-tuning, LoRA
// and QLoRA. README.md in this folder has what came out.
//
// It runs qlora's own commands. What is measured is stored as soon as it is there, so that an interrupted study goes on where it was.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// options are those of the command line.
type options struct {
	model, exactModel, data string
	qlora, commit, out      string
	seeds, steps, batch     int
}

func main() {
	var o options
	flag.StringVar(&o.model, "model", "", "`folder` of a model in 16 bits")
	flag.StringVar(&o.exactModel, "model-f32", "", "`folder` of the same model before it was rounded to 16 bits; without it that row is left out")
	flag.StringVar(&o.data, "data", "", "`folder` with train.jsonl and test.jsonl")
	flag.StringVar(&o.qlora, "qlora", "build/qlora", "the `program`")
	flag.StringVar(&o.commit, "commit", "", "`name` of the state that the program was built from; what another one measured is measured again")
	flag.StringVar(&o.out, "out", filepath.Join("build", "retention"), "`folder` for what is measured")
	flag.IntVar(&o.seeds, "seeds", 3, "runs of each configuration")
	flag.IntVar(&o.steps, "steps", 24, "optimizer steps of a run")
	flag.IntVar(&o.batch, "batch", 4, "records of a step")
	flag.Parse()
	if err := o.check(flag.NArg()); err != nil {
		fmt.Fprintln(os.Stderr, "retention:", err)
		os.Exit(2)
	}
	err := measure(o)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "retention: interrupted; what is finished is kept, and the same command goes on")
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "retention:", err)
		os.Exit(1)
	}
}

// check refuses what is missing, under the names of the make command line.
func (o *options) check(rest int) error {
	switch {
	case rest > 0:
		return errors.New("there are arguments besides the options; -help lists them")
	case o.model == "":
		return errors.New("no model is named: make retention MODEL=folder DATA=folder, where MODEL is a Hugging Face folder in 16 bits (the repository has none)")
	case o.data == "":
		return errors.New("no data is named: make retention MODEL=folder DATA=folder, where DATA has train.jsonl and test.jsonl, for example those of GSM8K (the repository has none)")
	case o.seeds < 1 || o.steps < 1 || o.batch < 1:
		return errors.New("-seeds, -steps and -batch must be at least 1")
	}
	for _, needed := range []struct{ path, from string }{
		{filepath.Join(o.model, "config.json"), "MODEL"},
		{filepath.Join(o.data, "train.jsonl"), "DATA"},
		{filepath.Join(o.data, "test.jsonl"), "DATA"},
		{o.qlora, "make build"},
		{filepath.Join(cmp.Or(o.exactModel, o.model), "config.json"), "MODEL_F32"},
	} {
		if _, err := os.Stat(needed.path); err != nil {
			return fmt.Errorf("%s: there is no %s", needed.from, needed.path)
		}
	}
	return nil
}

func measure(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := &study{ctx: ctx, out: os.Stdout, program: program(o.qlora), folders: [2]string{o.model, o.exactModel}, dir: o.out, commit: o.commit}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	var err error
	if s.data, err = writeSplits(o.out, o.model, o.data); err != nil {
		return err
	}
	r := &results{Commit: o.commit, Data: *s.data}
	err = r.measure(s, o)
	if len(r.Trials) == 0 {
		return err
	}
	// What is finished is reported, also where the rest is not.
	if reportErr := r.report(o.out); reportErr != nil {
		return errors.Join(err, reportErr)
	}
	fmt.Println("written to", o.out)
	return err
}
