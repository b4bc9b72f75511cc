package main

import (
	"fmt"
	"io"

	"qlora/bindings/cuda"
	"qlora/lora"
	"qlora/nn/family"
	"qlora/trainer"
)

// contextModel is the shape whose longest contexts are listed.
const contextModel = "Llama-3.1-8B"

// contextStep is what contexts are multiples of, in tokens.
const contextStep = 256

// writeContexts lists the longest sequence that cards hold, with all on the card, and with the embedding and the
// activations in the host's memory.
func writeContexts(w io.Writer) error {
	fmt.Fprintf(w, `
The longest sequence of %s that a card trains on: all on the card (%s), with the embedding in the host's memory
(%s), and with what backward reads of the layers there, too (the default, which chooses each where nothing else fits):

| card | on the card | the embedding in the host's memory | activations, too | and that takes of the host |
|---|--:|--:|--:|--:|
`, contextModel, "`--embedding_on_host false --offload_activations false`", "`--offload_activations false`")
	for _, g := range gpus[:4] {
		limit := int64((g.gib - reserve) * (1 << 30))
		on, _, err := longest(limit, trainer.OffloadFalse, trainer.OffloadFalse)
		if err != nil {
			return err
		}
		without, _, err := longest(limit, trainer.OffloadAuto, trainer.OffloadFalse)
		if err != nil {
			return err
		}
		off, host, err := longest(limit, trainer.OffloadAuto, trainer.OffloadAuto)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "| %.0f GB (%s) | %d | %d | %d | %.1f GiB |\n", g.gib, g.name, on, without, off, float64(host)/(1<<30))
	}
	return nil
}

// longest returns the longest sequence that fits into limit bytes, and its bytes of the host's memory.
func longest(limit int64, embedding, offload string) (tokens int, host int64, err error) {
	model, args, err := run(contextModel)
	if err != nil {
		return 0, 0, err
	}
	args.EmbeddingOnHost, args.OffloadActivations = embedding, offload // and recompute layer, which needs the least
	fits := func(steps int) bool {
		p, planErr := trainer.PlanRun(model, args, nil, nil, nil, steps*contextStep, cuda.Profile(), limit)
		if planErr != nil {
			err = planErr
			return false
		}
		if p.Fits {
			host = p.Bytes.Host()
		}
		return p.Fits
	}
	from, to := 0, model.Config.MaxPositions/contextStep+1
	for to-from > 1 && err == nil {
		if at := (from + to) / 2; fits(at) {
			from = at
		} else {
			to = at
		}
	}
	return from * contextStep, host, err
}

// run returns the planned run on the shape of that name.
func run(name string) (*trainer.Base, trainer.Args, error) {
	args := trainer.DefaultArgs()
	args.BatchSize, args.EvalBatchSize, args.Recompute, args.GradientCheckpointing = 1, 1, "layer", false
	args.OutputDir = "unused"
	for _, s := range shapes {
		if s.name != name {
			continue
		}
		config, err := family.ParseConfig([]byte(s.config))
		if err != nil {
			return nil, args, err
		}
		model := &trainer.Base{Name: s.name, Config: config}
		model.LoadIn4Bit()
		options := lora.DefaultOptions()
		options.R, options.Alpha, options.TargetModules = rank, 2*rank, lora.AllLinear
		adapters, err := options.Config()
		if err != nil {
			return nil, args, err
		}
		model.ApplyLora(adapters)
		return model, args, nil
	}
	return nil, args, fmt.Errorf("no shape %q", name)
}
