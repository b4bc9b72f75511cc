// Command prefer teaches a model to answer briefly, by preferences alone: it samples several answers of the model itself to each of its prompts, prefers the
// shorter ones, tunes the model on these pairs by DPO, and measures what has become of its answers to other prompts.
//
// It is also an example of the packages trainer and trainer/dataset with an objective.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/demo/town"
	"qlora/trainer"
)

type options struct {
	model, out  string
	prompts     int // the most to tune on
	heldOut     int // the most to measure with
	samples     int // of each prompt
	tokens      int // the longest answer
	temperature float64
	seed        uint64

	steps, batch, rank int
	rate, beta         float64
	live               string
}

// The defaults are those of the embedded base of the demonstration.
func main() {
	o := options{}
	flag.StringVar(&o.model, "model", filepath.Join("demo", "base"), "the model's `folder`: the demonstration's base, or a model that chats")
	flag.StringVar(&o.out, "out", filepath.Join("out", "prefer"), "`folder` for the pairs, the adapter and the pictures")
	flag.IntVar(&o.prompts, "prompts", 400, "the most prompts to tune on")
	flag.IntVar(&o.heldOut, "heldout", 400, "the most prompts to measure with")
	flag.IntVar(&o.samples, "samples", 4, "answers to each prompt, of which the shortest is preferred to the longest")
	flag.IntVar(&o.tokens, "tokens", 128, "the longest answer, in tokens")
	flag.Float64Var(&o.temperature, "temperature", 1, "temperature of sampling")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the samples and of the training")
	flag.IntVar(&o.steps, "steps", 40, "optimizer steps")
	flag.IntVar(&o.batch, "batch", 4, "pairs in a step")
	flag.IntVar(&o.rank, "rank", 16, "rank of the adapter")
	flag.Float64Var(&o.rate, "rate", 1e-3, "learning rate")
	flag.Float64Var(&o.beta, "beta", 0.1, "DPO's beta")
	flag.StringVar(&o.live, "live", "", "`address` to serve the page of the run at, such as :0")
	flag.Parse()
	if flag.NArg() > 0 || o.samples < 2 || o.tokens < 2 || o.steps < 1 || o.batch < 1 || o.rank < 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "prefer:", err)
		os.Exit(1)
	}
}

// run makes the pairs, tunes on them and measures, and prints what it finds to w.
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

	m, err := open(dev, o, "")
	if err != nil {
		return err
	}
	chats := m.template != nil
	asked := prompts(chats)
	asked.train, asked.heldOut = asked.train[:min(o.prompts, len(asked.train))], asked.heldOut[:min(o.heldOut, len(asked.heldOut))]
	var before struct{ train, heldOut [][]answer }
	if before.train, err = answers(ctx, m, asked.train, o); err == nil {
		before.heldOut, err = answers(ctx, m, asked.heldOut, o)
	}
	m.close()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	train, heldOut := filepath.Join(o.out, "train.jsonl"), filepath.Join(o.out, "heldout.jsonl")
	pairs, err := writePairs(train, asked.train, before.train, chats)
	if err != nil {
		return err
	}
	others, err := writePairs(heldOut, asked.heldOut, before.heldOut, chats)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "pairs     %d of %d prompts to tune on, %d of %d others: of %d answers the shortest preferred to the longest\n",
		pairs, len(asked.train), others, len(asked.heldOut), o.samples)
	adapter := filepath.Join(o.out, "adapter")
	if err := tune(ctx, w, dev, o, train, heldOut, adapter); err != nil {
		return err
	}

	if m, err = open(dev, o, adapter); err != nil {
		return err
	}
	after, err := answers(ctx, m, asked.heldOut, o)
	m.close()
	if err != nil {
		return err
	}
	likelihood, err := evaluate(ctx, dev, o, adapter, heldOut)
	if err != nil {
		return err
	}
	f := compare(before.heldOut, after, likelihood)
	if !chats {
		known := newTruth(town.New(townSeed))
		f.Before.True, f.After.True = known.share(asked.heldOut, before.heldOut), known.share(asked.heldOut, after)
	}
	fmt.Fprintf(w, "\n%s", f.table())
	show(w, asked.heldOut, before.heldOut, after)
	picture := filepath.Join(o.out, "lengths.png")
	if err := draw(picture, before.heldOut, after); err != nil {
		return err
	}
	fmt.Fprintf(w, "pictures  %s, %s\n", picture, filepath.Join(adapter, "rewards.png"))
	return f.write(filepath.Join(o.out, "figures.json"))
}

// base opens the model in 4 bits.
func base(o options) (*trainer.Base, error) {
	m, err := trainer.OpenBase(o.model)
	if err != nil {
		return nil, err
	}
	m.LoadIn4Bit()
	return m, nil
}
