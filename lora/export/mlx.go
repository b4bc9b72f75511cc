package export

import (
	"context"
	"fmt"
	"path/filepath"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/lora"
	"qlora/lora/mlx"
	"qlora/nn"
	"qlora/nn/family"
	"qlora/option"
)

// mlxWork writes an adapter for mlx-lm.
type mlxWork struct {
	opts   Options
	base   checkpoint.Checkpoint
	stored *lora.Stored
	mlx    mlx.Adapter
}

func newMLX(o Options) (*mlxWork, error) {
	if len(o.Adapters) != 1 {
		return nil, option.Errorf("format", o.Format, "it is an adapter's alone, and there are %d in `adapter`; a merged folder (qlora merge) is read by mlx_lm.convert", len(o.Adapters))
	}
	if err := o.checkFolder(); err != nil {
		return nil, err
	}
	w := &mlxWork{opts: o}
	if err := w.open(o.Adapters[0]); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *mlxWork) open(dir string) error {
	config, err := lora.ReadConfig(dir)
	if err != nil {
		return err
	}
	model, err := family.ReadConfig(w.opts.Model)
	if err != nil {
		return err
	}
	if w.base, err = checkpoint.Open(w.opts.Model); err != nil {
		return err
	}
	before := w.base
	if model, w.base, err = lora.Rebase(dir, &config, model, w.base); err != nil {
		w.base = before
		return err
	}
	if config.SaveEmbeddings {
		return fmt.Errorf("%s has the embedding of a resized base, which cannot be in an adapter of mlx-lm: merge it (`qlora merge`) and convert the merged folder with mlx_lm.convert", dir)
	}
	tuned, err := lora.Assemble(model, w.base, nn.Options{Quantize: &bindings.QuantizeOptions{BlockSize: 64}}, &config, bindings.Info{Activation: bindings.F32})
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, lora.ConfigFile), err)
	}
	if w.stored, err = tuned.Adapters.Open(dir); err != nil {
		return err
	}
	w.mlx, err = tuned.Adapters.MLX(w.stored)
	return err
}

func (w *mlxWork) Notes() []string { return nil }

func (w *mlxWork) Write(context.Context, func(done, total int64)) error {
	return replaceDir(w.opts.OutputDir, func(tmp string) error { return mlx.Write(tmp, w.mlx) })
}

func (w *mlxWork) Result() string { return w.opts.OutputDir }

func (w *mlxWork) Close() error {
	if w.stored != nil {
		w.stored.Close()
	}
	if w.base == nil {
		return nil
	}
	return w.base.Close()
}
