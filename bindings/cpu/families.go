package cpu

import (
	"fmt"
	"os"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
)

// KernelsVariable is the environment variable that selects the family of kernels, as
// Options.Kernels does.
const KernelsVariable = "QLORA_CPU_KERNELS"

// families holds the family for operations on activations of either type.
type families struct{ f32, bf16 kernels.Family }

// of returns the family for operations on activations of a type.
func (f *families) of(activations bindings.DType) kernels.Family {
	if activations == bindings.BF16 {
		return f.bf16
	}
	return f.f32
}

// auto returns BF16 if the processor multiplies it in hardware, else F32.
func (f *families) auto() bindings.DType {
	if f.bf16.Info().BF16 {
		return bindings.BF16
	}
	return bindings.F32
}

// families returns the families that the options select: a named one, else the best of
// this processor. A family of bfloat16 leaves float32 to the best.
func (o *Options) families() (families, error) {
	best := families{kernels.Best(bindings.F32), kernels.Best(bindings.BF16)}
	name, by := o.kernels()
	if name == "" {
		return best, nil
	}
	f, err := kernels.Find(name)
	switch {
	case err != nil:
		return best, fmt.Errorf("choose the CPU's kernels by %s: %w", by, err)
	case f.Info().BF16:
		return families{best.f32, f}, nil
	}
	return families{f, f}, nil
}

// kernels returns the name of the selected family and what selects it, or "".
func (o *Options) kernels() (name, by string) {
	switch {
	case o.Kernels != "":
		return o.Kernels, "the option"
	case os.Getenv(KernelsVariable) != "":
		return os.Getenv(KernelsVariable), KernelsVariable
	}
	return "", ""
}

// A Choice says which kernels multiply on this processor and what suits them.
type Choice struct {
	Float32, BFloat16 string         // the families' names, by compute type
	By                string         // what selected them: "the option" or a variable; "": the processor
	Runs              []string       // the families that this processor runs, the best first
	Auto              bindings.DType // BF16 if the processor multiplies it in hardware, else F32
}

// Choose returns the choice that the options make. It returns an error if they select a
// family that the processor does not run.
func (o Options) Choose() (Choice, error) {
	chosen, err := o.families()
	_, by := o.kernels()
	c := Choice{Float32: chosen.f32.Info().Name, BFloat16: chosen.bf16.Info().Name, By: by, Auto: chosen.auto()}
	for _, f := range kernels.Families() {
		c.Runs = append(c.Runs, f.Info().Name)
	}
	return c, err
}
