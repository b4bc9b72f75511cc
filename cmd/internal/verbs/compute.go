package verbs

import (
	"strings"

	"qlora/bindings"
)

// noteCompute prints a line if the type of computation that was asked for is not the
// device's: there is one kernel for each.
func (o *tuneOptions) noteCompute(c *call, dev bindings.Info) {
	if !c.set.Given("bnb_4bit_compute_dtype") {
		return
	}
	cpu := dev.Name == "cpu"
	switch asked := strings.TrimPrefix(o.quantize.ComputeDType, "torch."); {
	case cpu && asked == "bfloat16":
		c.note("the cpu device computes in float32, not in the bfloat16 of `bnb_4bit_compute_dtype`")
	case !cpu && asked == "float32":
		c.note("the CUDA kernels compute in bfloat16, not in the float32 of `bnb_4bit_compute_dtype`; `device` cpu computes in float32")
	}
}
