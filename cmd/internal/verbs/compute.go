package verbs

import (
	"fmt"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/nn/quantize"
)

// A compute is the type that the CPU device computes in.
type compute struct {
	dtype bindings.DType
	why   string // for a message: what chose it; "": the user
}

// computeOf returns the type of bnb_4bit_compute_dtype. auto is that of the run to continue,
// or, if continued is "", bfloat16 where the processor multiplies it in hardware.
func computeOf(how quantize.Options, continued string) compute {
	if dtype, chosen := how.Compute(); chosen {
		return compute{dtype, ""}
	}
	if how.ComputeDType = continued; continued != "" {
		if dtype, known := how.Compute(); known {
			return compute{dtype, "as the run that it continues"}
		}
	}
	chosen, err := cpu.Options{}.Choose()
	if err != nil || chosen.Auto == bindings.F32 { // opening the device reports the error
		return compute{bindings.F32, chosen.Float32 + " does not multiply bfloat16"}
	}
	return compute{chosen.Auto, chosen.BFloat16 + " multiplies it in hardware"}
}

// note returns a line about the type on a CPU.
func (t compute) note() string {
	line := "computes in " + torchName(t.dtype)
	if t.why != "" {
		line += fmt.Sprintf(" (%s)", t.why)
	}
	return line
}

// torchName returns torch's name of a type of computation.
func torchName(dtype bindings.DType) string {
	var q quantize.Options
	q.SetCompute(dtype)
	return q.ComputeDType
}

// noteCompute prints a line if the user chose a type of computation that the device's
// kernels lack.
func (c *call) noteCompute(how quantize.Options, dev bindings.Info) {
	if asked, chosen := how.Compute(); chosen && asked != dev.Activation {
		c.note(fmt.Sprintf("the CUDA kernels compute in bfloat16, not in the %s of `bnb_4bit_compute_dtype`; `device` cpu computes in float32", torchName(asked)))
	}
}
