package nn

import "qlora/bindings"

// Unexported names for the external tests, which may import package family.
var (
	Decode       = decode
	Float32Bytes = float32Bytes
)

// Memory returns the plan the model is allocated in.
func (m *Model) Memory() *bindings.Memory { return m.memory }

// Noise returns the bound of NEFTune's noise.
func (m *Model) Noise(longest int) float32 { return m.noise(longest, m.Config.Hidden) }

// Workspace returns the operations' scratch.
func (m *Model) Workspace() bindings.Tensor { return m.workspace }
