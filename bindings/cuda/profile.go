package cuda

import (
	"qlora/bindings"
	"qlora/bindings/cuda/waves"
)

// profile is the bindings.Profile of a device.
type profile struct {
	info    bindings.Info
	decoded int       // maximum bytes of a weight's copy in bf16
	gpu     waves.GPU // no processors: unknown
}

// tokenMultiple is the smaller side of a large product's tile: rows up to it cost little more.
const tokenMultiple = 64

func profileOf(name string) profile {
	return profile{info: bindings.Info{Name: name, Activation: bindings.BF16, FewRows: fewTokens, Apart: true, TokenMultiple: tokenMultiple, Squares: bindings.Squares{Piece: paramPiece, Lanes: normLanes}}, decoded: decodedBytes}
}

// Profile returns the profile of a CUDA device, real or emulated.
func Profile() bindings.Profile { return profileOf("cuda") }

// Info returns the device's description.
func (p profile) Info() bindings.Info { return p.info }

// Needs returns the scratch of op, and its memory for logits.
func (p profile) Needs(op bindings.Operation) bindings.Needs { return table.Needs(p, op) }
