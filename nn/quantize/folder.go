package quantize

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"qlora/bindings"
	"qlora/internal/atomicfile"
	"qlora/internal/bnb"
	"qlora/internal/safetensors"
	"qlora/nn"
)

// companions are the files of a model folder that are copied as they are.
var companions = []string{
	"generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"tokenizer.model", "vocab.json", "merges.txt", "chat_template.jinja", "LICENSE", "LICENSE.txt",
}

// A Job is a model folder that can be written in 4 bits: all that could be wrong
// with the input was checked.
type Job struct {
	modelDir, outDir string
	config           []byte // config.json as it will be
	w                writer
}

// NewJob checks the model in modelDir and that outDir is absent or empty. It
// writes nothing. Close gives the mapped weights back.
func NewJob(modelDir, outDir string, opts Options) (*Job, error) {
	device, err := opts.Device()
	if err != nil {
		return nil, err
	}
	cfg, err := nn.ReadConfig(modelDir)
	if err != nil {
		return nil, err
	}
	if cfg.Quantization != nil {
		return nil, fmt.Errorf("%s is in 4 bits already; quantize the 16-bit model it was made from", modelDir)
	}
	config, err := addQuantization(cfg.Raw, &bnb.QuantizationConfig{Kind: device.Kind, DoubleQuant: device.Double, ComputeDType: opts.ComputeDType})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(modelDir, "config.json"), err)
	}
	if err := checkEmpty(outDir); err != nil {
		return nil, err
	}
	base, err := safetensors.OpenFolder(modelDir)
	if err != nil {
		return nil, err
	}
	// A plan checks that every tensor is there and has its shape and type.
	m, err := nn.New(cfg, base, nn.Options{Quantize: device}, bindings.NewMemory(), bindings.Info{Activation: bindings.F32})
	if err != nil {
		base.Close()
		return nil, err
	}
	j := &Job{modelDir: modelDir, outDir: outDir, config: config, w: writer{base: base, device: device, linear: map[string]bool{}}}
	for _, p := range m.Projections() {
		j.w.linear[p.Name+".weight"] = true
	}
	return j, nil
}

// Close gives back what NewJob took.
func (j *Job) Close() error { return j.w.base.Close() }

// Write writes the model with the weights of its linear layers in 4 bits; the
// head, embeddings, norms and biases are copied as they are, and so are the
// tokenizer's files. The folder appears whole or not at all. At no time is more
// of the model in memory than the 4-bit weights of one shard. Progress, which
// may be nil, is told in bytes of the source's tensors.
func (j *Job) Write(ctx context.Context, progress func(done, total int64)) error {
	j.w.progress = progress
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(j.outDir)), 0o755); err != nil {
		return err
	}
	return atomicfile.ReplaceDir(j.outDir, func(tmp string) error {
		if err := j.w.write(ctx, tmp, shardBytes); err != nil {
			return err
		}
		for _, name := range companions {
			if err := copyFile(filepath.Join(j.modelDir, name), filepath.Join(tmp, name)); err != nil {
				return err
			}
		}
		return os.WriteFile(filepath.Join(tmp, "config.json"), j.config, 0o644)
	})
}

// Folder is NewJob and Write in one.
func Folder(ctx context.Context, modelDir, outDir string, opts Options, progress func(done, total int64)) error {
	j, err := NewJob(modelDir, outDir, opts)
	if err != nil {
		return err
	}
	defer j.Close()
	return j.Write(ctx, progress)
}

// checkEmpty refuses to replace a folder that holds something.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("output_dir: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("output_dir %s is not empty; name a new folder", dir)
	}
	return nil
}

// addQuantization is config.json with the object quantization_config.
func addQuantization(config []byte, q *bnb.QuantizationConfig) ([]byte, error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(config, &file); err != nil {
		return nil, err
	}
	text, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	file["quantization_config"] = text
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(file); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// copyFile copies a regular file; one that is absent is left out.
func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", from)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return out.Close()
}
