package nn_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/nn"
	"qlora/nn/family"
)

// lastTokenProfile needs scratch only for one query over all keys.
type lastTokenProfile struct {
	bindings.Profile
	keys int
}

func (p lastTokenProfile) Needs(op bindings.Operation) bindings.Needs {
	if a, ok := op.(*bindings.Attend); ok && a.Q.Rows == 1 && a.Keys.Longest() == p.keys {
		return bindings.Needs{Workspace: 1000}
	}
	return bindings.Needs{}
}

// TestGenerationIsPlannedToItsLastToken checks that the dry run covers a prompt of all
// tokens, and one token after all others.
func TestGenerationIsPlannedToItsLastToken(t *testing.T) {
	cfg, err := family.ReadConfig(writeTiny(t, tinyConfigs["llama"]))
	require.NoError(t, err)
	m, err := nn.New(cfg, nil, nn.Options{}, bindings.NewMemory(), bindings.Info{Activation: bindings.F32})
	require.NoError(t, err)
	m.Prepare(lastTokenProfile{cpu.Profile(cpu.Options{}), 20}, nn.Shapes{Generate: 20})
	require.Equal(t, int64(1000), m.Workspace().Bytes())
}
