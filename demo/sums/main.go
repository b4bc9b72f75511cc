// Command sums teaches a model to add by rewards alone: a small model that has seen some sums answers others rightly now and then; GRPO samples several answers
// to each, and makes those more likely that are right. It measures the answers to sums of which neither has seen any, before and after.
//
// It is also an example of the packages trainer and trainer/reward with an objective that samples.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/trainer"
)

type options struct {
	model, out string
	seed       uint64

	shown      int // sums whose answers the model is shown first
	firstSteps int // of full fine-tuning on them
	firstRate  float64
	steps      int // of GRPO
	rate       float64
	prompts    int // in a step
	samples    int // of each
	rank       int
}

// The defaults are those of the embedded base of the demonstration.
func main() {
	o := options{}
	flag.StringVar(&o.model, "model", filepath.Join("demo", "base"), "the model's `folder`")
	flag.StringVar(&o.out, "out", filepath.Join("out", "sums"), "`folder` for the sums, the adapter and the pictures")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the sums, the samples and the training")
	flag.IntVar(&o.shown, "shown", 300, "sums whose answers the model is shown first")
	flag.IntVar(&o.firstSteps, "first-steps", 600, "steps of full fine-tuning on them")
	flag.Float64Var(&o.firstRate, "first-rate", 2e-3, "its learning rate")
	flag.IntVar(&o.steps, "steps", 500, "steps of GRPO")
	flag.Float64Var(&o.rate, "rate", 1e-3, "its learning rate")
	flag.IntVar(&o.prompts, "prompts", 8, "sums in a step")
	flag.IntVar(&o.samples, "samples", 8, "answers to each")
	flag.IntVar(&o.rank, "rank", 16, "rank of the adapter")
	flag.Parse()
	if flag.NArg() > 0 || o.samples < 2 || o.prompts < 1 || o.steps < 1 || o.firstSteps < 1 || o.rank < 1 || o.shown < 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sums:", err)
		os.Exit(1)
	}
}

// run tunes twice and measures, and prints what it finds to w.
func run(ctx context.Context, w io.Writer, o options) error {
	best, err := cpu.Options{}.Choose()
	if err != nil {
		return err
	}
	dev, err := cpu.New(cpu.Options{Compute: best.Auto})
	if err != nil {
		return err
	}
	defer dev.Close()
	fmt.Fprintf(w, "device    %s, computing in %s\n", dev.Info().Detail, checkpoint.DType(dev.Info().Activation.String()).Torch())
	s := newSums(o.seed)
	if o.shown > len(s.asked) {
		return fmt.Errorf("-shown %d: there are only %d sums besides those that are held out", o.shown, len(s.asked))
	}
	first, adapter := filepath.Join(o.out, "first"), filepath.Join(o.out, "adapter")
	for _, dir := range []string{first, adapter} { // of the last demonstration
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	shown, asked := filepath.Join(o.out, "shown.jsonl"), filepath.Join(o.out, "asked.jsonl")
	for path, of := range map[string][]sum{shown: s.asked[:o.shown], asked: s.asked, filepath.Join(o.out, "heldout.jsonl"): s.heldOut} {
		if err := write(path, of); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "first     the base is shown %d sums with their answers, in %d steps of full fine-tuning\n", o.shown, o.firstSteps)
	if err := show(ctx, dev, o, shown, first); err != nil {
		return err
	}
	before, err := answers(ctx, dev, first, "", s.heldOut)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "before    %s\n\n", score(s.heldOut, before))
	fmt.Fprintf(w, "GRPO on the result in 4 bits: %d steps of %d answers to each of %d of %d sums, whose answers it is not shown; 1 for a right one, 0 for another\n",
		o.steps, o.samples, o.prompts, len(s.asked))
	if err := reinforce(ctx, w, dev, o, first, asked, adapter); err != nil {
		return err
	}
	after, err := answers(ctx, dev, first, adapter, s.heldOut)
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	for i, q := range s.heldOut[:min(8, len(s.heldOut))] {
		fmt.Fprintf(w, "%-12s %-8q %-8q %q\n", strings.TrimSuffix(strings.TrimPrefix(q.Prompt, "Q: "), "\nA:"), before[i], after[i], q.Completion)
	}
	fmt.Fprintf(w, "\nbefore    %s\nafter     %s\npicture   %s\n", score(s.heldOut, before), score(s.heldOut, after), filepath.Join(adapter, "rewards.png"))
	return nil
}

// score returns the number of right answers as text.
func score(of []sum, answers []string) string {
	n := right(of, answers)
	return fmt.Sprintf("%d of %d held-out sums answered exactly (%.1f %%)", n, len(of), 100*float64(n)/float64(len(of)))
}

// right returns the number of right answers.
func right(of []sum, answers []string) int {
	n := 0
	for i, q := range of {
		if strings.TrimSpace(answers[i]) == strings.TrimSpace(q.Completion) {
			n++
		}
	}
	return n
}

// open opens a folder's model in 4 bits.
func open(dir string) (*trainer.Base, error) {
	m, err := trainer.OpenBase(dir)
	if err != nil {
		return nil, err
	}
	m.LoadIn4Bit()
	return m, nil
}
