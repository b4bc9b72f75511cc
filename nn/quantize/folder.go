package quantize

import (
	"context"
	"fmt"
	"slices"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/internal/place"
	"qlora/nn"
	"qlora/nn/family"
)

// ShardBytes is the maximum size of a shard with 4-bit weights in bytes, unless one
// weight is larger. It bounds memory: safetensors stores a weight's scales far from
// its codes, so all 4-bit weights of a shard are computed before it is written.
const ShardBytes = 1 << 30

// A Job is a model folder to write in 4 bits, with its input checked.
type Job struct {
	outDir string
	base   checkpoint.Checkpoint
	writer checkpoint.Writer
}

// NewJob checks the options, the model in modelDir, and that outDir is absent or
// empty. It writes nothing. Close unmaps the weights.
func NewJob(modelDir, outDir string, opts Options) (*Job, error) {
	device, err := opts.Device()
	if err != nil {
		return nil, err
	}
	cfg, err := family.ReadConfig(modelDir)
	if err != nil {
		return nil, err
	}
	quantization, err := opts.Config(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Quantization != nil {
		return nil, fmt.Errorf("%s already has 4-bit weights; quantize the 16-bit model it was made from", modelDir)
	}
	config, err := checkpoint.EditConfig(cfg.Raw, map[string]any{"quantization_config": quantization})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", checkpoint.ConfigSource(modelDir), err)
	}
	if err := place.CheckOutput("output_dir", outDir, outDir, place.Input{What: "the model", Path: modelDir}); err != nil {
		return nil, err
	}
	if err := checkpoint.CheckOutput(outDir); err != nil {
		return nil, err
	}
	base, err := checkpoint.Open(modelDir)
	if err != nil {
		return nil, err
	}
	// A plan checks that every tensor exists with its shape and type.
	m, err := nn.New(cfg, base, nn.Options{Quantize: device}, bindings.NewMemory(), bindings.Info{Activation: bindings.F32})
	if err != nil {
		base.Close()
		return nil, err
	}
	linear := map[string]*nn.Projection{}
	for _, p := range m.Projections() {
		linear[m.Stored(p.Name+".weight")] = p
	}
	read := map[string]bool{}
	for _, t := range m.Tensors() {
		read[t.Name] = true
	}
	all, err := weights(base, linear, read, device)
	if err != nil {
		base.Close()
		return nil, err
	}
	return &Job{outDir: outDir, base: base, writer: checkpoint.Writer{
		Config: config,
		Shards: checkpoint.Split(all, ShardBytes),
		Copies: checkpoint.SideFiles(base.Files(), slices.Concat(checkpoint.ModelFiles, checkpoint.TokenizerFiles)...),
	}}, nil
}

// Close unmaps the weights.
func (j *Job) Close() error { return j.base.Close() }

// Write writes the model with the weights of its linear layers in 4 bits. It copies
// the head, embeddings, norms, biases and the tokenizer's files unchanged. The folder
// appears whole or not at all. Memory holds at most the 4-bit weights of one shard.
// progress, if not nil, receives bytes of the source's tensors.
func (j *Job) Write(ctx context.Context, progress func(done, total int64)) error {
	return j.writer.Write(ctx, j.outDir, progress)
}

// Folder runs NewJob and Write.
func Folder(ctx context.Context, modelDir, outDir string, opts Options, progress func(done, total int64)) error {
	j, err := NewJob(modelDir, outDir, opts)
	if err != nil {
		return err
	}
	defer j.Close()
	return j.Write(ctx, progress)
}

// weights returns the weights of base in the order of their names, those of linear
// in 4 bits. Those that the model reads must be finite.
func weights(base checkpoint.Checkpoint, linear map[string]*nn.Projection, read map[string]bool, device *bindings.QuantizeOptions) ([]checkpoint.Weight, error) {
	var all []checkpoint.Weight
	for _, name := range base.Names() {
		copied := checkpoint.Copy
		if read[name] {
			copied = checkpoint.CopyFinite
		}
		w, err := copied(base, name)
		if p := linear[name]; err == nil && p != nil {
			w, err = packed(base, name, p.Transposed(), device)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

// packed returns the named 16- or 32-bit weight of base in 4 bits, as [out, in] even
// if base stores [in, out].
func packed(base checkpoint.Checkpoint, name string, transposed bool, device *bindings.QuantizeOptions) (checkpoint.Weight, error) {
	t, err := base.Tensor(name)
	shape := t.Shape
	if transposed && len(shape) == 2 {
		shape = []int{shape[1], shape[0]}
	}
	return checkpoint.Weight{
		Name: name, DType: t.Plain(), Shape: shape, Source: t.Bytes(),
		Pack: func(context.Context) (*checkpoint.FourBit, error) {
			defer base.Release(name)
			if err := t.CheckFinite(base.Where(name)); err != nil {
				return nil, err
			}
			if transposed {
				t = t.Transposed()
			}
			w := Pack(t, device)
			w.DType = t.Plain()
			return w, nil
		},
	}, err
}
