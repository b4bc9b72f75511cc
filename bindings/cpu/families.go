package cpu

import (
	"os"

	"qlora/bindings"
	"qlora/bindings/cpu/kernels"
)

// KernelsVariable is the environment variable that selects the family of kernels, as
// Options.Kernels does.
const KernelsVariable = "QLORA_CPU_KERNELS"

// families holds the family for operations on activations of either type.
type families struct{ f32, bf16 kernels.Family }

// familiesFor returns the families of a name, or the best of this processor for "". A
// family of one type leaves the other to the best.
func familiesFor(name string) (families, error) {
	if name == "" {
		name = os.Getenv(KernelsVariable)
	}
	best := families{kernels.Best(bindings.F32), kernels.Best(bindings.BF16)}
	if name == "" {
		return best, nil
	}
	f, err := kernels.Find(name)
	switch {
	case err != nil:
		return best, err
	case f.Info().BF16:
		return families{best.f32, f}, nil
	}
	return families{f, f}, nil
}

// of returns the family for operations on activations of a type.
func (f *families) of(activations bindings.DType) kernels.Family {
	if activations == bindings.BF16 {
		return f.bf16
	}
	return f.f32
}
