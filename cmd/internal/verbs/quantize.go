package verbs

import (
	"fmt"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/hub"
	"qlora/nn/quantize"
)

// quantizeOptions are the options of quantize, without those of the 4-bit code.
type quantizeOptions struct {
	Model     string `option:"model" path:"true" hub:"model" alias:"model_name_or_path" help:"folder, or ORG/NAME on the Hugging Face Hub, with config.json and *.safetensors in 16 or 32 bits; or a GGUF file"`
	OutputDir string `option:"output_dir" path:"true" help:"folder to create"`
}

// Quantize returns the verb that writes a base in 4 bits.
func Quantize() *cobra.Command {
	own, how, from := quantizeOptions{}, quantize.DefaultOptions(), hubOptions{}
	set := options.New()
	set.Add("Model", &own)
	set.Add("Hugging Face Hub", &from)
	set.Add("4-bit base", &how)
	return verb("quantize", "write a model as a bitsandbytes 4-bit folder", set, func(c *call) error {
		return own.quantize(c, how, &from)
	})
}

func (o *quantizeOptions) quantize(c *call, how quantize.Options, from *hubOptions) error {
	if err := required("model", o.Model); err != nil {
		return err
	}
	if err := required("output_dir", o.OutputDir); err != nil {
		return err
	}
	if err := from.models(c, (*hub.Client).FetchModel); err != nil {
		return err
	}
	job, err := quantize.NewJob(o.Model, o.OutputDir, how)
	if err != nil {
		return exit.AsWrong(err)
	}
	defer job.Close()
	progress, done := c.progress("quantizing", true)
	err = job.Write(c, progress)
	done()
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, o.OutputDir)
	return nil
}
