package trainer

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/bindings/cuda"
	"qlora/lora"
	"qlora/nn/family"
)

// publicShapes are configurations of public models.
var publicShapes = map[string]string{
	"SmolLM2-135M": `{"model_type":"llama","hidden_size":576,"intermediate_size":1536,"num_hidden_layers":30,"num_attention_heads":9,"num_key_value_heads":3,
		"vocab_size":49152,"max_position_embeddings":8192,"tie_word_embeddings":true,"torch_dtype":"bfloat16"}`,
	"Llama-3.1-8B": `{"model_type":"llama","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,
		"vocab_size":128256,"max_position_embeddings":131072,"tie_word_embeddings":false,"torch_dtype":"bfloat16"}`,
}

// TestPreferencesTakeTheMemoryOfSFT compares plans of pairs with those of as many sequences of
// sft, on 4-bit bases. The reference takes no second model, and its forward hardly more
// workspace. 1.15 times the memory is promised; seen: 1.022.
func TestPreferencesTakeTheMemoryOfSFT(t *testing.T) {
	most := 0.0
	for name, shape := range publicShapes {
		config, err := family.ParseConfig([]byte(shape))
		require.NoError(t, err)
		for _, dev := range []bindings.Profile{cpu.Profile(cpu.Options{Threads: 4}), cpu.Profile(cpu.Options{Threads: 4, Compute: bindings.BF16}), cuda.Profile()} {
			for _, recompute := range []string{"none", "layer"} {
				for _, length := range []int{256, 1024} {
					plan := func(objective string, sequences int, change func(r *Args, c *lora.Config)) bindings.MemoryPlan {
						base := &Base{Name: name, Config: config}
						base.LoadIn4Bit()
						c := lora.Config{R: 16, Alpha: 32, Init: lora.InitDefault, Targets: lora.Targets{Pattern: lora.AllLinear}}
						a := DefaultArgs()
						a.OutputDir, a.Recompute, a.Objective, a.BatchSize = "unused", recompute, objective, sequences
						if objective == "kto" {
							a.SamplingStrategy = OrderSequential
						}
						change(&a, &c)
						base.ApplyLora(c)
						p, err := PlanRun(base, a, nil, nil, nil, length, dev, 0)
						require.NoError(t, err)
						return p.Bytes
					}
					nothing := func(*Args, *lora.Config) {}
					sft := plan("sft", 4, nothing)
					for what, p := range map[string]bindings.MemoryPlan{
						"dpo":              plan("dpo", 2, nothing),
						"dpo, precomputed": plan("dpo", 2, func(a *Args, _ *lora.Config) { a.Precompute = true }),
						"orpo":             plan("orpo", 2, nothing),
						"kto":              plan("kto", 4, nothing),
					} {
						ratio := float64(p.Total()) / float64(sft.Total())
						most = max(most, ratio)
						assert.LessOrEqual(t, ratio, 1.03, "%s on %s in %v, recompute %s, 4 sequences of %d tokens: %s has %d bytes, sft %d", name, dev.Info().Name,
							dev.Info().Activation, recompute, length, what, p.Total(), sft.Total())
						assert.Zero(t, p[bindings.Reference], "%s, %s: bytes of the reference", name, what)
					}
					p := plan("dpo", 2, func(_ *Args, c *lora.Config) { c.Init = lora.InitRandom })
					assert.Equal(t, p[bindings.Adapters], p[bindings.Reference], "%s: bytes of a frozen copy of the adapters", name)
				}
			}
		}
	}
	t.Logf("up to %.4f times the memory of sft", most)
}

// TestPlanOfPreferences compares the plan of each kind of reference with what the trainer
// takes, and trains: a step or a pass beyond the plan panics.
func TestPlanOfPreferences(t *testing.T) {
	for _, objective := range []string{"dpo", "kto", "orpo"} {
		for _, c := range fewer(referenceCases) {
			if c.refuse != "" && objective == "orpo" {
				continue // has no reference
			}
			t.Run(objective+", "+c.name, func(t *testing.T) {
				r := preferenceRun(t, objective)
				c.change(t, &r)
				r.Args.Precompute, r.Args.MaxSteps, r.Args.SaveStrategy = c.refuse != "", 4, StrategyNo
				plan, err := PlanRun(r.Base, r.Args, r.TrainSet, r.EvalSet, nil, 0, r.Device, 0)
				require.NoError(t, err)
				tr, err := New(r)
				require.NoError(t, err)
				require.Equal(t, plan.Bytes, tr.Plan().Bytes)
				require.NoError(t, tr.Train(t.Context()))
			})
		}
	}
}
