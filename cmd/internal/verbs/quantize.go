package verbs

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/fourbit"
	"qlora/cmd/internal/options"
	"qlora/nn"
	"qlora/trainer"
)

// quantizeOptions are those of quantize besides how to quantize.
type quantizeOptions struct {
	Model     string `option:"model" alias:"model_name_or_path" help:"folder with config.json and *.safetensors in 16 or 32 bits"`
	OutputDir string `option:"output_dir" help:"folder to make"`
}

// Quantize is the verb that writes a base in 4 bits.
func Quantize() *cobra.Command {
	own, how := quantizeOptions{}, defaultQuantization()
	set := options.New()
	set.Add("Model", &own)
	set.Add("4-bit base", &how)
	return verb("quantize", "writes a base as a bitsandbytes 4-bit folder", set, func(c *call) error {
		return own.quantize(c, how)
	})
}

func (o *quantizeOptions) quantize(c *call, how quantization) error {
	if err := required("output_dir", o.OutputDir); err != nil {
		return err
	}
	opt, err := how.options()
	if err != nil {
		return err
	}
	model, err := openModel(o.Model, false)
	if err != nil {
		return err
	}
	defer model.Close()
	if model.Config.Quantization != nil {
		return exit.Wrongf("--model %s is quantized already", o.Model)
	}
	if files, err := os.ReadDir(o.OutputDir); err == nil && len(files) > 0 {
		return exit.Wrongf("--output_dir %s is there and not empty; name a new folder", o.OutputDir)
	}
	linear, err := linearLayers(model)
	if err != nil {
		return err
	}
	side, err := readSideFiles(o.Model)
	if err != nil {
		return err
	}
	job := fourbit.Job{Config: model.Config, Base: model.Base, Linear: linear, Options: *opt, Compute: how.Compute, Files: side}
	if isTerminal(c.err) {
		job.Quantized = func(done, total int) { fmt.Fprintf(c.err, "\r%d of %d layers", done, total) }
		defer fmt.Fprintln(c.err)
	}
	if err := job.Write(c, o.OutputDir); err != nil {
		return err
	}
	fmt.Fprintln(c.out, o.OutputDir)
	return nil
}

// linearLayers are the names of the layers that are held in 4 bits, after
// checking that the folder has all tensors that the model needs.
func linearLayers(m *trainer.Model) ([]string, error) {
	laidOut, err := nn.New(m.Config, m.Base, nn.Options{}, bindings.NewMemory(), cpu.Profile().Info())
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	var names []string
	for _, p := range laidOut.Projections() {
		names = append(names, p.Name)
	}
	return names, nil
}
