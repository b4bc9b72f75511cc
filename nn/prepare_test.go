package nn_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cuda"
	"qlora/nf4"
	"qlora/nn"
	"qlora/nn/family"
)

// attach adds an adapter of rank r to every projection.
func attach(m *nn.Model, r int) {
	a := m.Memory().Arena(bindings.Adapters)
	for i, p := range m.Projections() {
		p.Adapter = &bindings.Adapter{
			A: a.New(m.Info().Activation, r, p.Weight.In), B: a.New(m.Info().Activation, p.Weight.Out, r),
			Scale: 2, Dropout: 0.2, Stream: uint32(i),
		}
	}
}

// attachMagnitudes adds a magnitude to every adapter (DoRA).
func attachMagnitudes(m *nn.Model) {
	a := m.Memory().Arena(bindings.Adapters)
	for _, p := range m.Projections() {
		p.Adapter.Magnitude, p.Adapter.Norms = a.New(bindings.F32, 1, p.Weight.Out), a.New(bindings.F32, 1, p.Weight.Out)
	}
}

func oneSequence(tokens int) *nn.Batch { return &nn.Batch{Starts: []int32{0, int32(tokens)}} }

// TestPlanLargeModels plans models of 7 and 65 billion parameters for a GPU by
// their shapes alone: one sequence of 512 tokens, rank 16 on all linear layers.
func TestPlanLargeModels(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name, json string
		recompute  nn.Recompute
		most       int64
	}{
		{"7B", `{"model_type":"llama","torch_dtype":"bfloat16"}`, nn.RecomputeLayer, 6 * gib},
		{"65B", `{"model_type":"llama","torch_dtype":"bfloat16","hidden_size":8192,"intermediate_size":22016,"num_hidden_layers":80,"num_attention_heads":64}`, nn.RecomputeLayer, 44 * gib},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := family.ParseConfig([]byte(c.json))
			require.NoError(t, err)
			profile := cuda.Profile()
			mem := bindings.NewMemory()
			options := nn.Options{Recompute: c.recompute, Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}}
			m, err := nn.New(cfg, nil, options, mem, profile.Info())
			require.NoError(t, err)
			attach(m, 16)
			m.Parameters(bindings.OptimizerState{Rule: bindings.AdamW{}})
			m.Prepare(profile, nn.Shapes{Train: []*nn.Batch{oneSequence(512)}})
			plan := mem.Plan()
			for _, category := range bindings.Categories {
				t.Logf("%-14s %14d", category, plan[category])
			}
			require.LessOrEqual(t, plan.Total(), c.most)
		})
	}
}
