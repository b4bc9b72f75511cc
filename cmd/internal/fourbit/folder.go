// Package fourbit writes a model folder with its linear layers in
// bitsandbytes' 4 bits, as transformers saves one that it has quantized.
package fourbit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"qlora/bindings"
	"qlora/internal/atomicfile"
	"qlora/internal/bnb"
	"qlora/internal/nf4"
	"qlora/internal/safetensors"
	"qlora/nn"
	"qlora/trainer"
)

// A Job is one folder to write.
type Job struct {
	Config  *nn.Config
	Base    *safetensors.Folder // in 16 or 32 bits
	Linear  []string            // names of the layers to quantize
	Options bindings.QuantizeOptions
	Compute string         // bnb_4bit_compute_dtype of the new config.json
	Files   []trainer.File // small files beside the weights
	// Quantized is told the linear layers that are done and how many there are.
	Quantized func(done, total int)
}

// Write makes the folder dir, whole or not at all. What is held in memory is
// the 4-bit weights, about half a byte each, and one piece of a 16-bit one.
func (j *Job) Write(ctx context.Context, dir string) error {
	entries, err := j.entries(ctx)
	if err != nil {
		return err
	}
	config, err := j.config()
	if err != nil {
		return err
	}
	return atomicfile.ReplaceDir(dir, func(tmp string) error {
		for _, f := range append(j.Files, trainer.File{Name: "config.json", Data: config}) {
			if err := os.WriteFile(filepath.Join(tmp, f.Name), f.Data, 0o644); err != nil {
				return err
			}
		}
		return safetensors.Write(filepath.Join(tmp, safetensors.SingleFile), entries, nil)
	})
}

// entries are the tensors of the new folder: those of the layers in 4 bits,
// all others as they are.
func (j *Job) entries(ctx context.Context) ([]safetensors.Entry, error) {
	linear := map[string]bool{}
	for _, name := range j.Linear {
		linear[name+".weight"] = true
	}
	var entries []safetensors.Entry
	done := 0
	for _, name := range j.Base.Names() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t, _ := j.Base.Tensor(name)
		if !linear[name] {
			entries = append(entries, safetensors.Entry{Name: name, DType: t.DType, Shape: t.Shape, Write: func(w io.Writer) error {
				_, err := w.Write(t.Data)
				return err
			}})
			continue
		}
		w, err := quantize(t, j.Options)
		if err != nil {
			return nil, fmt.Errorf("%s: tensor %q: %w", j.Base.Where(name), name, err)
		}
		j.Base.Release(t)
		entries = append(entries, bnb.Entries(name, w)...)
		done++
		if j.Quantized != nil {
			j.Quantized(done, len(j.Linear))
		}
	}
	return entries, nil
}

// config is the base's config.json with the quantization in it.
func (j *Job) config() ([]byte, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(j.Config.Raw, &keys); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	q, err := json.Marshal(bnb.QuantizationConfig{
		Kind: j.Options.Kind, DoubleQuant: j.Options.Double, ComputeDType: j.Compute, Storage: "uint8",
	})
	if err != nil {
		return nil, err
	}
	keys["quantization_config"] = q
	text, err := json.MarshalIndent(keys, "", "  ")
	return append(text, '\n'), err
}

// quantize gives the weight t in 4 bits.
func quantize(t safetensors.Tensor, opt bindings.QuantizeOptions) (bnb.Weight4, error) {
	name, ok := map[safetensors.DType]string{safetensors.F32: "float32", safetensors.BF16: "bfloat16", safetensors.F16: "float16"}[t.DType]
	if !ok {
		return bnb.Weight4{}, fmt.Errorf("element type %s cannot be quantized; F32, BF16 and F16 can", t.DType)
	}
	if len(t.Shape) != 2 {
		return bnb.Weight4{}, fmt.Errorf("its shape %v is not that of a matrix", t.Shape)
	}
	n := t.Shape[0] * t.Shape[1]
	w := bnb.Weight4{
		Kind: opt.Kind, BlockSize: opt.BlockSize, DType: name, Shape: [2]int{t.Shape[0], t.Shape[1]},
		Codes:  make([]byte, (n+1)/2),
		Absmax: make([]float32, (n+opt.BlockSize-1)/opt.BlockSize),
	}
	inPieces(n, func(lo, hi int) {
		x := make([]float32, hi-lo)
		size := t.DType.Size()
		widen(x, t.Data[lo*size:hi*size], t.DType)
		blocks := w.Absmax[lo/opt.BlockSize : (hi+opt.BlockSize-1)/opt.BlockSize]
		nf4.Quantize(w.Codes[lo/2:(hi+1)/2], blocks, x, opt.Kind, opt.BlockSize)
	})
	if opt.Double {
		nested := nf4.Nest(w.Absmax)
		w.Absmax, w.Nested = nil, &nested
	}
	return w, nil
}
