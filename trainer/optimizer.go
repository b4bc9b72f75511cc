package trainer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/internal/nearest"
	"qlora/option"
)

// The optimizers, under the names that transformers' OptimizerNames has for them.
const (
	adamw     = "adamw_torch"
	adamw8Bit = "adamw_8bit"
	lion      = "lion_32bit"
	lion8Bit  = "lion_8bit"
	sgd       = "sgd"
)

// optimizers maps the names that --optim accepts to optimizers: those of
// OptimizerNames, adamw_hf, which version 5 dropped, and paged names and lion without
// a width. A fused kernel, bitsandbytes' own AdamW in 32 bits and paging do not change
// the results.
var optimizers = map[string]string{
	adamw: adamw, "adamw_torch_fused": adamw, "adamw_hf": adamw, "paged_adamw": adamw, "paged_adamw_32bit": adamw,
	adamw8Bit: adamw8Bit, "adamw_bnb_8bit": adamw8Bit, "paged_adamw_8bit": adamw8Bit,
	lion: lion, "lion": lion, "paged_lion": lion, "paged_lion_32bit": lion,
	lion8Bit: lion8Bit, "paged_lion_8bit": lion8Bit,
	sgd: sgd,
}

// min8BitSize is bitsandbytes' min_8bit_size: the moments of smaller tensors stay in
// 32 bits.
const min8BitSize = 4096

// optimizer returns the update rule of --optim and --optim_args, and the state that it
// keeps per parameter. Lion uses Trainer's betas too; bitsandbytes' own default for
// the second is 0.99.
func (a *Args) optimizer() (bindings.OptimizerState, error) {
	name, known := optimizers[a.Optimizer]
	if !known {
		return bindings.OptimizerState{}, unknownOptimizer(a.Optimizer)
	}
	args, err := parseOptimArgs(a.OptimArgs)
	if err != nil {
		return bindings.OptimizerState{}, err
	}
	state := bindings.OptimizerState{EightBit: name == adamw8Bit || name == lion8Bit}
	if state.EightBit {
		state.Smallest = args.whole("min_8bit_size", min8BitSize)
	}
	switch name {
	case lion, lion8Bit:
		state.Rule = bindings.Lion{Beta1: a.AdamBeta1, Beta2: a.AdamBeta2}
	case sgd:
		state.Rule = args.sgd()
	default:
		state.Rule = bindings.AdamW{Beta1: a.AdamBeta1, Beta2: a.AdamBeta2, Eps: a.AdamEpsilon}
	}
	return state, args.done(name)
}

func unknownOptimizer(name string) error {
	names := slices.Sorted(maps.Keys(optimizers))
	if meant := nearest.Name(name, names); meant != "" {
		return option.Errorf("optim", name, "it can be %s; did you mean %s?", either(names), meant)
	}
	return option.Errorf("optim", name, "it can be %s", either(names))
}

// describeOptimizer returns the optimizer's name and the settings that decide its
// state's layout. A run resumes only from a checkpoint with the same description.
func (a *Args) describeOptimizer() string {
	name := optimizers[a.Optimizer]
	state, err := a.optimizer()
	if err != nil {
		return name // Validate reports the error
	}
	if momentum, _ := state.Rule.Moments(); name == sgd && momentum {
		name += " with momentum"
	}
	if state.EightBit && state.Smallest != min8BitSize {
		name += fmt.Sprintf(" with min_8bit_size=%d", state.Smallest)
	}
	return name
}

// noteOptimizer notes settings without effect.
func (t *Trainer) noteOptimizer() {
	a := &t.Args
	if strings.HasPrefix(a.Optimizer, "paged_") {
		t.Note(fmt.Sprintf("`optim` %s is %s: nothing is paged, because the optimizer's memory is planned and allocated before the first step", a.Optimizer, optimizers[a.Optimizer]))
	}
	if a.Optimizer == "adamw_hf" {
		t.Note("`optim` adamw_hf is adamw_torch, as since transformers 5")
	}
	inEightBits := func(p bindings.Param) bool { return !p.M.Absmax.Absent() }
	if state := t.layout.state; state.EightBit && !slices.ContainsFunc(t.layout.params, inEightBits) {
		t.Note(fmt.Sprintf("`optim` %s keeps 32 bits: no trained tensor, embeddings aside, has the %d elements from which 8 bits are used (`optim_args` min_8bit_size=…)", a.Optimizer, state.Smallest))
	}
	if a.LoraPlusEmbed == DefaultArgs().LoraPlusEmbed {
		return
	}
	onEmbedding := func(p bindings.Param) bool { return p.Role == bindings.RoleLoraEmbedding }
	switch {
	case !slices.ContainsFunc(t.layout.params, onEmbedding):
		t.Note("`loraplus_lr_embedding` has no effect: no adapter is on an embedding")
	case a.LoraPlusRatio == 0:
		t.Note("`loraplus_lr_embedding` has no effect without `loraplus_lr_ratio`")
	}
}
