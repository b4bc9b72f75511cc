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

// optimizers are the names that --optim takes, and which optimizer each is: those of
// OptimizerNames, adamw_hf, which version 5 dropped, and paged names and lion
// without a width. A fused kernel, bitsandbytes' own AdamW in 32 bits and paging
// change nothing of what is computed.
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

// optimizer is the rule that --optim and --optim_args ask for, and what it keeps of
// the parameters. The betas are Trainer's for Lion, too; bitsandbytes' own second
// one would be 0.99.
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

// describeOptimizer is the optimizer with what decides how its state is laid out: a
// run goes on only from a checkpoint of the same.
func (a *Args) describeOptimizer() string {
	name := optimizers[a.Optimizer]
	state, err := a.optimizer()
	if err != nil {
		return name // Validate says what is wrong
	}
	if momentum, _ := state.Rule.Moments(); name == sgd && momentum {
		name += " with momentum"
	}
	if state.EightBit && state.Smallest != min8BitSize {
		name += fmt.Sprintf(" with min_8bit_size=%d", state.Smallest)
	}
	return name
}

// noteOptimizer says what of the settings means nothing here.
func (t *Trainer) noteOptimizer() {
	a := &t.Args
	if strings.HasPrefix(a.Optimizer, "paged_") {
		t.Note(fmt.Sprintf("`optim` %s is %s: nothing is paged, as all of the optimizer's memory is planned and taken before the first step", a.Optimizer, optimizers[a.Optimizer]))
	}
	if a.Optimizer == "adamw_hf" {
		t.Note("`optim` adamw_hf is adamw_torch, as it is since transformers 5")
	}
	inEightBits := func(p bindings.Param) bool { return !p.M.Absmax.Absent() }
	if state := t.layout.state; state.EightBit && !slices.ContainsFunc(t.layout.params, inEightBits) {
		t.Note(fmt.Sprintf("`optim` %s keeps 32 bits: no trained tensor, embeddings aside, has the %d elements that 8 bits begin with (`optim_args` min_8bit_size=…)", a.Optimizer, state.Smallest))
	}
	if a.LoraPlusEmbed != DefaultArgs().LoraPlusEmbed {
		t.Note("`loraplus_lr_embedding` changes nothing: no adapter is on an embedding")
	}
}
