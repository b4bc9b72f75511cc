package nn

import "qlora/bindings"

// What the tests outside of the package, which may read families' configs, see of it.
var (
	Decode       = decode
	Float32Bytes = float32Bytes
)

// Memory returns the plan that the model is laid out in.
func (m *Model) Memory() *bindings.Memory { return m.memory }

// Noise returns the bound of NEFTune's noise.
func (m *Model) Noise(longest int) float32 { return m.noise(longest, m.Config.Hidden) }

// Workspace returns the operations' scratch.
func (m *Model) Workspace() bindings.Tensor { return m.workspace }
