// Package quantize copies a Hugging Face model folder with its linear layers in
// bitsandbytes' 4-bit format, as transformers saves a model loaded with load_in_4bit.
package quantize

import (
	"fmt"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nf4"
	"qlora/nn"
	"qlora/option"
)

// Options is the 4-bit format, under the names of transformers' BitsAndBytesConfig.
// The command line reads the tags.
type Options struct {
	Type         string `option:"bnb_4bit_quant_type" values:"nf4,fp4" help:"the 4-bit code: nf4 or fp4"`
	Double       bool   `option:"bnb_4bit_use_double_quant" help:"double quantization: store the blocks' scales in 8 bits"`
	BlockSize    int    `option:"bnb_4bit_blocksize" unit:"weights" help:"weights per scale: a power of two from 32 to 4096"`
	ComputeDType string `option:"bnb_4bit_compute_dtype" values:"auto,bfloat16,float32" help:"type of activations and of the operands of products, whose sums are float32: bfloat16, float32 (on the cpu device) or auto: bfloat16, but float32 on a CPU that does not multiply bfloat16 in hardware"`
}

// auto is the value of Options.ComputeDType that leaves the type to the device.
const auto = "auto"

// computeTypes are the other values of Options.ComputeDType, torch's names of the types.
var computeTypes = map[string]bindings.DType{"bfloat16": bindings.BF16, "float32": bindings.F32}

// DefaultOptions returns the QLoRA paper's options, with the device's type of computation.
func DefaultOptions() Options {
	return Options{Type: nf4.NF4.String(), Double: true, BlockSize: 64, ComputeDType: auto}
}

// Ranges returns the intervals of the numeric options.
func (o *Options) Ranges() option.Ranges {
	return option.Ranges{"bnb_4bit_blocksize": option.From(32, 4096)}
}

// Device returns the options in a device's form. An error is an [option.Error].
func (o Options) Device() (*bindings.QuantizeOptions, error) {
	_, computes := computeTypes[o.computeType()]
	kind, err := nf4.ParseKind(o.Type)
	switch {
	case err != nil:
		return nil, option.Errorf("bnb_4bit_quant_type", o.Type, "it must be nf4 or fp4")
	case !computes && o.computeType() != auto:
		return nil, option.Errorf("bnb_4bit_compute_dtype", o.ComputeDType, "it must be auto, bfloat16 or float32")
	}
	device := &bindings.QuantizeOptions{Kind: kind, BlockSize: o.BlockSize, Double: o.Double}
	return device, Check(device)
}

// computeType returns ComputeDType without the prefix of its name in torch.
func (o Options) computeType() string { return strings.TrimPrefix(o.ComputeDType, "torch.") }

// Compute returns the type of computation; chosen is false if it is left to the device.
func (o Options) Compute() (dtype bindings.DType, chosen bool) {
	dtype, chosen = computeTypes[o.computeType()]
	return dtype, chosen
}

// SetCompute sets the type of computation: F32 or BF16.
func (o *Options) SetCompute(dtype bindings.DType) {
	o.ComputeDType = checkpoint.DType(dtype.String()).Torch()
}

// Check returns an [option.Error] for a kind or block size that bitsandbytes does not
// support.
func Check(o *bindings.QuantizeOptions) error {
	switch size := o.BlockSize; {
	case o.Kind != nf4.NF4 && o.Kind != nf4.FP4:
		return option.Errorf("bnb_4bit_quant_type", fmt.Sprint(o.Kind), "it must be nf4 or fp4")
	case size < 32 || size > 4096 || size&(size-1) != 0:
		return option.Errorf("bnb_4bit_blocksize", size, "it must be a power of two from 32 to 4096")
	}
	return nil
}

// Config returns the quantization entry of the model's config.json. Modules outside
// the transformer, and then the head by name, are not quantized. It advises transformers
// to compute in bfloat16 if the type is left to the device.
func (o Options) Config(model *nn.Config) (*checkpoint.Quantization, error) {
	device, err := o.Device()
	if err != nil {
		return nil, err
	}
	if _, chosen := o.Compute(); !chosen {
		o.SetCompute(bindings.BF16)
	}
	q := &checkpoint.Quantization{Kind: device.Kind, DoubleQuant: device.Double, ComputeDType: o.computeType()}
	if len(model.Beside) > 0 {
		q.SkipModules = append(slices.Clone(model.Beside), "lm_head")
	}
	return q, nil
}
