package verbs

import (
	"fmt"

	"github.com/spf13/cobra"

	"qlora/bindings/cpu"
	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/lora/export"
)

// Export returns the verb that writes a model or an adapter for other programs.
func Export() *cobra.Command {
	own, from := export.DefaultOptions(), hubOptions{}
	set := options.New()
	set.Add("Export", &own)
	set.Add("Hugging Face Hub", &from)
	return verb("export", "write a base with adapters, or an adapter alone, as a GGUF file", set, func(c *call) error {
		return exportFile(c, &own, &from)
	})
}

func exportFile(c *call, o *export.Options, from *hubOptions) error {
	for _, needed := range []struct{ name, value string }{{"model", o.Model}, {"outfile", o.OutFile}} {
		if err := required(needed.name, needed.value); err != nil {
			return err
		}
	}
	if o.AdapterOnly && len(o.Adapters) != 1 {
		return exit.Wrongf("--adapter_only needs one --adapter, and there are %d", len(o.Adapters))
	}
	if err := from.models(c); err != nil {
		return err
	}
	// The products of the adapters are small: the CPU always computes them.
	dev, err := cpu.New(cpu.Options{})
	if err != nil {
		return exit.AsWrong(err)
	}
	defer closeDevice(dev)
	job, err := export.NewJob(*o, dev.LowRank)
	if err != nil {
		return exit.AsWrong(err)
	}
	defer job.Close()
	for _, note := range job.Notes() {
		c.note(note)
	}
	progress, done := c.progress("exporting", true)
	err = job.Write(c, progress)
	done()
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, o.OutFile)
	return nil
}
