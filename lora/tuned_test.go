package lora

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/nn"
	"qlora/nn/family"
)

// counting counts the memory blocks that are allocated on a device.
type counting struct {
	bindings.Device
	taken int
}

func (d *counting) Allocate(b *bindings.Block) error {
	d.taken++
	return d.Device.Allocate(b)
}

func (d *counting) Free(b *bindings.Block) {
	d.taken--
	d.Device.Free(b)
}

// TestTunedIsAssembledInOrder assembles a model with its adapter folder, modules
// trained whole included. Nothing is allocated before Load, and everything is freed.
func TestTunedIsAssembledInOrder(t *testing.T) {
	dir := filepath.Join(recorded, "models", "narrow")
	model, err := family.ReadConfig(dir)
	require.NoError(t, err)
	base, err := checkpoint.Open(dir)
	require.NoError(t, err)
	defer base.Close()
	onCPU, err := cpu.New(cpu.Options{Kernels: "gonum"})
	require.NoError(t, err)
	dev := &counting{Device: onCPU}
	adapter := filepath.Join(recorded, "llama-modules", "final")
	config, err := ReadConfig(adapter)
	require.NoError(t, err)
	require.NotEmpty(t, config.ModulesToSave)

	losses := map[string]float64{}
	for name, c := range map[string]*Config{"base": nil, "tuned": &config} {
		tuned, err := Assemble(model, base, nn.Options{}, c, dev.Info())
		require.NoError(t, err)
		plan := tuned.Plan(dev, nn.Shapes{Evaluate: []*nn.Batch{threeTokens}})
		require.Positive(t, plan.Total())
		require.Zero(t, dev.taken)
		require.NoError(t, tuned.Load(dev, Values{Base: base, Adapter: adapter}))
		losses[name] = lossOf(t, tuned.Model, dev)
		require.Positive(t, dev.taken)
		tuned.Close()
		require.Zero(t, dev.taken)
	}
	require.NotEqual(t, losses["base"], losses["tuned"])

	tuned, err := Assemble(model, base, nn.Options{}, &config, dev.Info())
	require.NoError(t, err)
	tuned.Plan(dev, nn.Shapes{Evaluate: []*nn.Batch{threeTokens}})
	require.Error(t, tuned.Load(dev, Values{Base: base, Adapter: t.TempDir()}))
	require.Zero(t, dev.taken, "memory stays allocated after a failed Load")
}
