// Command retention measures the cost of 4-bit weights: the held-out loss of a base model in
// every storage format, and after the same steps of full fine-tuning, LoRA and QLoRA.
// README.md in this folder has the results.
//
// It runs qlora's own commands. Each measurement is stored when it is complete, so that
// an interrupted study can be resumed.
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

// options are the options of the command line.
type options struct {
	model, exactModel, data string
	qlora, commit, out      string
	seeds, steps, batch     int
}

func main() {
	var o options
	flag.StringVar(&o.model, "model", "", "`folder` of a model in 16 bits")
	flag.StringVar(&o.exactModel, "model-f32", "", "`folder` of the same model before it was rounded to 16 bits; without it that row is omitted")
	flag.StringVar(&o.data, "data", "", "`folder` with train.jsonl and test.jsonl")
	flag.StringVar(&o.qlora, "qlora", "build/qlora", "the `program`")
	flag.StringVar(&o.commit, "commit", "", "`name` of the commit that the program was built from; results of another one are measured again")
	flag.StringVar(&o.out, "out", filepath.Join("build", "retention"), "`folder` for the results")
	flag.IntVar(&o.seeds, "seeds", 3, "runs of each configuration")
	flag.IntVar(&o.steps, "steps", 24, "optimizer steps of a run")
	flag.IntVar(&o.batch, "batch", 4, "records per step")
	flag.Parse()
	if err := o.check(flag.NArg()); err != nil {
		fmt.Fprintln(os.Stderr, "retention:", err)
		os.Exit(2)
	}
	err := measure(o)
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "retention: interrupted; finished results are kept, and the same command resumes")
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "retention:", err)
		os.Exit(1)
	}
}

// check returns an error for a missing option, named as on the make command line.
func (o *options) check(rest int) error {
	switch {
	case rest > 0:
		return errors.New("arguments besides the options are not allowed; -help lists the options")
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
			return fmt.Errorf("%s: %s does not exist", needed.from, needed.path)
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
	// Finished results are reported even if others failed.
	if reportErr := r.report(o.out); reportErr != nil {
		return errors.Join(err, reportErr)
	}
	fmt.Println("written to", o.out)
	return err
}
