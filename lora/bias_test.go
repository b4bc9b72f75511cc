package lora

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/nn"
)

// TestNewBiases checks that the bias of an adapter's B starts as PEFT's and that the
// adapter adds its scale times the bias.
func TestNewBiases(t *testing.T) {
	cfg := Config{R: 4, Alpha: 6, Init: InitDefault, LoraBias: true, Targets: Targets{Names: []string{"v_proj", "o_proj"}}}
	a, m, dev := attachedTo(t, "qwen2", cfg)
	require.NoError(t, a.Init(dev, 1))
	require.Len(t, a.biases, 4)
	before := lossOf(t, m, dev)
	for _, b := range a.biases {
		for _, v := range values(t, dev, b.value) {
			require.Zero(t, v, b.name)
		}
	}
	require.Contains(t, a.BiasNote(), "2 of the 4 adapted layers, such as model.layers.0.self_attn.o_proj, have no bias")

	// The bias of a layer moved by scale times a value is that of the adapter moved by the value.
	v := a.biases[0]
	require.Equal(t, "model.layers.0.self_attn.v_proj.lora_B.bias", v.name)
	x := make([]float32, v.value.Len())
	for i := range x {
		x[i] = 0.25 * float32(i%5)
	}
	require.NoError(t, v.write(dev, x))
	want := lossOf(t, m, dev)
	require.Greater(t, math.Abs(want-before), 1e-3)
	require.NoError(t, v.write(dev, make([]float32, len(x))))
	p := m.Projections()[2]
	require.Equal(t, "model.layers.0.self_attn.v_proj", p.Name)
	own := tensor{name: p.Name, value: p.Bias, master: p.Bias}
	moved := values(t, dev, p.Bias)
	for i := range moved {
		moved[i] += 1.5 * x[i]
	}
	require.NoError(t, own.write(dev, moved))
	require.InEpsilon(t, want, lossOf(t, m, dev), 1e-3, "the base's bias is in bfloat16")

	cfg.Init = InitRandom
	a, _, dev = attachedTo(t, "qwen2", cfg)
	require.NoError(t, a.Init(dev, 1))
	checkRange := func(x []float32) {
		most := 0.0
		for _, v := range x {
			most = max(most, math.Abs(float64(v)))
		}
		require.LessOrEqual(t, most, 0.5)
		require.Greater(t, most, 0.4)
	}
	for _, b := range a.biases {
		checkRange(values(t, dev, b.value))
	}
}

// TestBiasesAreRefused checks what PEFT refuses together with lora_bias.
func TestBiasesAreRefused(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"`init_lora_weights` is true or false, not pissa": func(c *Config) { c.Init = InitPiSSA },
		"cannot be combined with `use_dora`":              func(c *Config) { c.DoRA = true },
	} {
		c := Config{R: 4, Alpha: 8, LoraBias: true}
		change(&c)
		require.ErrorContains(t, c.Validate(), want)
	}
	_, m, dev := attachedTo(t, "narrow", Config{R: 4, Alpha: 8})
	c := Config{R: 4, Alpha: 8, LoraBias: true, Targets: ParseTargets("q_proj,lm_head")}
	_, err := Assemble(m.Config, nil, nn.Options{}, &c, dev.Info())
	require.ErrorContains(t, err, "leave the embedding and the head out of `target_modules`")
}
