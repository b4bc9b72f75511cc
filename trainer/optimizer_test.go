package trainer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
)

func TestOptimizerNames(t *testing.T) {
	adam := bindings.AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	moves := bindings.Lion{Beta1: 0.9, Beta2: 0.999}
	for _, c := range []struct {
		name, args string
		want       bindings.OptimizerState
		described  string
	}{
		{"adamw_torch", "", bindings.OptimizerState{Rule: adam}, adamw},
		{"adamw_torch_fused", "", bindings.OptimizerState{Rule: adam}, adamw},
		{"paged_adamw_32bit", "", bindings.OptimizerState{Rule: adam}, adamw},
		{"adamw_bnb_8bit", "", bindings.OptimizerState{Rule: adam, EightBit: true, Smallest: 4096}, adamw8Bit},
		{"paged_adamw_8bit", " min_8bit_size = 16 ", bindings.OptimizerState{Rule: adam, EightBit: true, Smallest: 16}, "adamw_8bit with min_8bit_size=16"},
		{"lion", "", bindings.OptimizerState{Rule: moves}, lion},
		{"paged_lion_8bit", "", bindings.OptimizerState{Rule: moves, EightBit: true, Smallest: 4096}, lion8Bit},
		{"sgd", "", bindings.OptimizerState{Rule: bindings.SGD{}}, sgd},
		{"sgd", "momentum=0.9, nesterov=True", bindings.OptimizerState{Rule: bindings.SGD{Momentum: 0.9, Nesterov: true}}, "sgd with momentum"},
		{"sgd", "momentum=.5,dampening=1e-1,nesterov=false", bindings.OptimizerState{Rule: bindings.SGD{Momentum: 0.5, Dampening: 0.1}}, "sgd with momentum"},
	} {
		a := DefaultArgs()
		a.Optimizer, a.OptimArgs = c.name, c.args
		require.NoError(t, a.Validate(), "%s %q", c.name, c.args)
		got, err := a.optimizer()
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%s %q", c.name, c.args)
		require.Equal(t, c.described, a.describeOptimizer())
	}
}

func TestOptimizerRefusals(t *testing.T) {
	for _, c := range []struct{ name, args, want string }{
		{"adamw_8bits", "", "did you mean adamw_8bit?"},
		{"paged_adam_8bit", "", "did you mean paged_adamw_8bit?"},
		{"", "", "`optim` is \"\", but it can be adamw_8bit,"},
		{"sgd", "momentum", "must be comma-separated key=value pairs"},
		{"sgd", "momentum=0.9,", "must be comma-separated key=value pairs"},
		{"sgd", "momentum=0.9,momentum=0.8", "has momentum twice"},
		{"sgd", "momentum=1", `momentum in it is "1", and it must be at least 0 and below 1`},
		{"sgd", "momentum=NaN", "momentum in it is"},
		{"sgd", "nesterov=true", "nesterov in it needs a momentum above 0"},
		{"sgd", "nesterov=maybe,momentum=0.9", "must be true or false"},
		{"sgd", "weight_decay=0.1", "`optim` sgd reads momentum, dampening, nesterov there"},
		{"adamw_torch", "beta1=0.8", "it has beta1, and `optim` adamw_torch reads none there"},
		{"lion_8bit", "min_8bit_size=-1", "must be a whole number of at least 0"},
		{"lion_32bit", "min_8bit_size=1", "`optim` lion_32bit reads none there"},
	} {
		a := DefaultArgs()
		a.Optimizer, a.OptimArgs = c.name, c.args
		require.ErrorContains(t, a.Validate(), c.want, "%s %q", c.name, c.args)
	}
}

func TestNotesOfOptimizerNames(t *testing.T) {
	for _, c := range []struct {
		change func(*Args)
		want   string
	}{
		{func(a *Args) { a.Optimizer = "paged_adamw_32bit" }, "is adamw_torch: nothing is paged"},
		{func(a *Args) { a.Optimizer = "adamw_hf" }, "since transformers 5"},
		{func(a *Args) { a.Optimizer = adamw8Bit }, "no trained tensor, embeddings aside, has the 4096 elements"},
		{func(a *Args) { a.LoraPlusRatio, a.LoraPlusEmbed = 8, 1e-5 }, "no adapter is on an embedding"},
	} {
		r := tinyRun(t)
		c.change(&r.Args)
		var notes []string
		r.Note = func(s string) { notes = append(notes, s) }
		_, err := New(r)
		require.NoError(t, err)
		require.Len(t, notes, 1)
		require.Contains(t, notes[0], c.want)
	}
}

// TestLoraPlus compares with peft's parameter groups.
func TestLoraPlus(t *testing.T) {
	a := DefaultArgs()
	a.LoraPlusRatio = 16
	params := []bindings.Param{
		{Name: "model.layers.0.self_attn.q_proj.lora_A.weight", Role: bindings.RoleLoraA, Decay: true, Rate: 1},
		{Name: "model.layers.0.self_attn.q_proj.lora_B.weight", Role: bindings.RoleLoraB, Decay: true, Rate: 1},
		{Name: "model.layers.0.self_attn.q_proj.lora_magnitude_vector", Role: bindings.RoleMagnitude, Decay: true, Rate: 1},
		{Name: "model.layers.0.self_attn.q_proj.bias", Role: bindings.RoleBias, Rate: 1},
		{Name: "model.norm.weight", Role: bindings.RoleNorm, Rate: 1},
		{Name: "lm_head.weight", Role: bindings.RoleMatrix, Decay: true, Rate: 1},
	}
	a.loraPlus(params)
	for i, want := range []struct {
		rate  float64
		decay bool
	}{{1, true}, {16, true}, {16, true}, {16, false}, {16, true}, {1, true}} {
		require.Equal(t, want.rate, params[i].Rate, params[i].Name)
		require.Equal(t, want.decay, params[i].Decay, params[i].Name)
	}

	r := tinyRun(t)
	r.Args.LoraPlusRatio = 2
	r.Base.Quantize, r.Base.Lora = nil, nil
	_, err := New(r)
	require.ErrorContains(t, err, "it sets the learning rates of adapters")
}

// FuzzOptimArgs checks that --optim_args is refused or yields valid settings of a
// rule.
func FuzzOptimArgs(f *testing.F) {
	for _, text := range []string{"", "momentum=0.9,nesterov=true", "min_8bit_size=4096", "a=b=c", ",", "momentum=1e-999", "dampening=0x1p-2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{adamw, adamw8Bit, sgd} {
			a := DefaultArgs()
			a.Optimizer, a.OptimArgs = name, text
			state, err := a.optimizer()
			if err != nil {
				continue
			}
			require.GreaterOrEqual(t, state.Smallest, 0)
			if r, ok := state.Rule.(bindings.SGD); ok {
				require.True(t, r.Momentum >= 0 && r.Momentum < 1 && r.Dampening >= 0 && r.Dampening < 1, "%+v", r)
			}
		}
	})
}
