package lora

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/nn"
	"qlora/nn/family"
)

// recorded is a folder with models, and adapters that PEFT made on them.
const recorded = "../trainer/testdata/parity"

var threeTokens = nn.NewBatch([][]int32{{5, 17, 40}}, [][]int32{{5, 17, 40}})

// attachedTo loads a recorded model on the CPU and attaches adapters without values.
func attachedTo(t *testing.T, model string, cfg Config) (*Adapters, *nn.Model, bindings.Device) {
	t.Helper()
	dir := filepath.Join(recorded, "models", model)
	config, err := family.ReadConfig(dir)
	require.NoError(t, err)
	base, err := checkpoint.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { base.Close() })
	dev, err := cpu.New(cpu.Options{Kernels: "gonum"})
	require.NoError(t, err)
	tuned, err := Assemble(config, base, nn.Options{}, &cfg, dev.Info())
	require.NoError(t, err)
	tuned.Plan(dev, nn.Shapes{Evaluate: []*nn.Batch{threeTokens}})
	require.NoError(t, tuned.Load(dev, Values{Base: base, Later: true}))
	t.Cleanup(tuned.Close)
	return tuned.Adapters, tuned.Model, dev
}

func lossOf(t *testing.T, m *nn.Model, dev bindings.Device) float64 {
	t.Helper()
	require.NoError(t, m.Evaluate(dev, threeTokens))
	stats, err := m.Stats(dev)
	require.NoError(t, err)
	return stats.Loss
}

// TestFoldersOfPEFTOnModels loads magnitudes and whole modules that PEFT wrote, saves
// them and compares the bytes.
func TestFoldersOfPEFTOnModels(t *testing.T) {
	for name, model := range map[string]string{
		"llama-dora": "narrow", "qwen2-dora": "qwen2", "llama-modules": "narrow",
		"llama-tied-modules": "narrow-tied", "llama-tied-head": "narrow-tied", "llama-tied-together": "narrow-tied",
		"qwen2-bias": "qwen2", "qwen2-lora-bias": "qwen2",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(recorded, name, "final")
			cfg, err := ReadConfig(dir)
			require.NoError(t, err)
			a, _, dev := attachedTo(t, model, cfg)
			require.NoError(t, a.Load(dev, dir))
			require.Equal(t, cfg, requireSavesTheSame(t, a, dev, dir))
		})
	}
}

// TestNewMagnitudesChangeNothing checks that magnitudes start as the row norms of W +
// Scale·B·A, also where B is not zero.
func TestNewMagnitudesChangeNothing(t *testing.T) {
	for _, init := range []Initialization{InitDefault, InitRandom} {
		cfg := Config{R: 2, Alpha: 4, Init: init, Targets: Targets{Names: []string{"q_proj", "down_proj"}}}
		plain, m, dev := attachedTo(t, "narrow", cfg)
		require.NoError(t, plain.Init(dev, 1))
		want := lossOf(t, m, dev)

		cfg.DoRA = true
		a, m, dev := attachedTo(t, "narrow", cfg)
		require.NoError(t, a.Init(dev, 1))
		require.InEpsilon(t, want, lossOf(t, m, dev), 1e-6, "%s", init)
		require.Len(t, a.magnitudes, 4)
		p := a.magnitudes[1].of // down_proj, [8, 16]
		w, update, low := values(t, dev, p.Weight.Dense), values(t, dev, p.Adapter.B), values(t, dev, p.Adapter.A)
		for o, got := range values(t, dev, p.Adapter.Magnitude) {
			var sum float64
			for i := range p.Weight.In {
				v := float64(w[o*p.Weight.In+i])
				for k := range cfg.R {
					v += 2 * float64(update[o*cfg.R+k]) * float64(low[k*p.Weight.In+i])
				}
				sum += v * v
			}
			require.InEpsilon(t, math.Sqrt(sum), got, 1e-6, "%s: output %d", init, o)
		}
	}
}

// TestModulesGetNoAdapter checks that modules trained whole are left out of the
// targets.
func TestModulesGetNoAdapter(t *testing.T) {
	cfg := Config{
		R: 2, Alpha: 4, Init: InitDefault, Targets: Targets{Pattern: AllLinear},
		ModulesToSave: []string{"o_proj", "layers.1.mlp"},
	}
	a, m, _ := attachedTo(t, "narrow", cfg)
	require.Len(t, a.modules, 5)
	with := 0
	for _, p := range m.Projections() {
		if p.Adapter != nil {
			with++
			require.False(t, m.Options.Modules.Pick(p.Name), p.Name)
		}
	}
	require.Equal(t, 14-5, with)
}

// TestAttachNeedsTheModules checks that a model laid out without the modules, which
// would lose their training, is refused.
func TestAttachNeedsTheModules(t *testing.T) {
	_, m, _ := attachedTo(t, "narrow", Config{R: 2, Alpha: 4, Targets: Targets{Names: []string{"q_proj"}}})
	cfg := Config{R: 2, Alpha: 4, Targets: Targets{Names: []string{"q_proj"}}, ModulesToSave: []string{"lm_head"}}
	_, err := attach(m, bindings.NewMemory().Arena(bindings.Adapters), cfg)
	require.ErrorContains(t, err, `laid out with modules_to_save [] and bias "", the adapter has ["lm_head"] and ""`)
}

// TestBiases checks PEFT's two choices of biases and its two names for them.
func TestBiases(t *testing.T) {
	for bias, want := range map[nn.Biases][]string{
		"": nil,
		nn.BiasesAdapted: {
			"model.layers.0.self_attn.q_proj.base_layer.bias", "model.layers.1.self_attn.q_proj.base_layer.bias",
		},
		nn.BiasesAll: {
			"model.layers.0.self_attn.q_proj.base_layer.bias", "model.layers.0.self_attn.k_proj.bias", "model.layers.0.self_attn.v_proj.bias",
			"model.layers.1.self_attn.q_proj.base_layer.bias", "model.layers.1.self_attn.k_proj.bias", "model.layers.1.self_attn.v_proj.bias",
		},
	} {
		a, _, _ := attachedTo(t, "qwen2", Config{R: 2, Alpha: 4, Targets: Targets{Names: []string{"q_proj", "o_proj"}}, Bias: bias})
		var got []string
		for _, m := range a.modules {
			got = append(got, m.name)
			require.Equal(t, bindings.F32, m.value.DType, "the base is in bfloat16")
		}
		require.Equal(t, want, got, "bias %q", bias)
	}
}
