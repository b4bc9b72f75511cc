package verbs

import (
	"fmt"

	"github.com/spf13/cobra"

	"qlora/bindings/cpu"
	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/hub"
	"qlora/lora/merge"
	"qlora/nn/quantize"
)

// Merge returns the verb that merges adapters into their base.
func Merge() *cobra.Command {
	own, how, from := merge.Options{}, quantize.DefaultOptions(), hubOptions{}
	set := options.New()
	set.Add("Merge", &own)
	set.Add("Hugging Face Hub", &from)
	set.Add("4-bit result", &how)
	return verb("merge", "merge adapters into their base and write a model folder", set, func(c *call) error {
		return mergeFolder(c, &own, how, &from)
	})
}

func mergeFolder(c *call, o *merge.Options, how quantize.Options, from *hubOptions) error {
	for _, needed := range []struct{ name, value string }{{"model", o.Model}, {"output_dir", o.OutputDir}} {
		if err := required(needed.name, needed.value); err != nil {
			return err
		}
	}
	if len(o.Adapters) == 0 {
		return exit.Wrongf("--adapter is missing: name the folder of a PEFT adapter")
	}
	if err := from.models(c, (*hub.Client).FetchModel); err != nil {
		return err
	}
	// The products of the adapters are small: the CPU always computes them.
	dev, err := cpu.New(cpu.Options{})
	if err != nil {
		return exit.AsWrong(err)
	}
	defer closeDevice(dev)
	job, err := merge.NewJob(*o, how, dev.LowRank)
	if err != nil {
		return exit.AsWrong(err)
	}
	defer job.Close()
	for _, note := range job.Notes() {
		c.note(note)
	}
	if job.RoundsTwice() {
		c.note("base and result are in 4 bits, so merged weights are rounded twice; pass the 16-bit original as --model if you have it")
	}
	progress, done := c.progress("merging", true)
	err = job.Write(c, progress)
	done()
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, o.OutputDir)
	return nil
}
