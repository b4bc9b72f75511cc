package cuda

import "qlora/bindings"

// profile is what a device needs, whether it is opened or not.
type profile struct {
	info    bindings.Info
	decoded int // bytes of a weight's copy in bf16
}

func profileOf(name string) profile {
	return profile{info: bindings.Info{Name: name, Activation: bindings.BF16}, decoded: decodedBytes}
}

// Profile returns the memory behaviour of a CUDA device, and of the emulated one.
func Profile() bindings.Profile { return profileOf("cuda") }

// Info returns what the device says of itself.
func (p profile) Info() bindings.Info { return p.info }

// Needs returns the scratch that op takes, and the memory for logits.
func (p profile) Needs(op bindings.Operation) bindings.Needs { return table.Needs(p, op) }
