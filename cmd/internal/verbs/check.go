package verbs

import (
	"errors"
	"slices"
	"strings"

	"qlora/cmd/internal/exit"
	"qlora/lora"
)

// check returns everything that is wrong with the options, before a file is opened, and
// notes those that have no effect.
func (o *tuneOptions) check(c *call) error {
	wrong := []error{o.run.Validate(), o.reading().Validate(), o.machine.Validate()}
	_, quantized := o.quantize.Device()
	wrong = append(wrong, quantized)
	if (o.run.Compares() || o.run.Samples()) && o.data.Packing {
		wrong = append(wrong, errPackedComparison(o.run.Objective))
	}
	if o.run.Samples() {
		_, err := o.rewards(nil)
		wrong = append(wrong, err, o.run.CheckRoom(o.data.Records.MaxLength))
	}
	adapters := c.given("lora_r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
		"rank_pattern", "alpha_pattern", "bias", "use_rslora", "use_dora", "lora_bias", "modules_to_save", "ensure_weight_tying", "init_lora_weights", "loftq_bits", "loftq_iter")
	switch {
	case !slices.Contains([]string{methodQLoRA, methodLoRA, methodFull}, o.method.Method):
		wrong = append(wrong, exit.Wrongf("--method is %q, but it can be qlora, lora or full", o.method.Method))
	case o.method.Method == methodFull && o.adapters.Adapter != "":
		wrong = append(wrong, exit.Wrongf("--method is full, which trains the model's own weights and no adapter: leave out --adapter, or merge it first with `qlora merge`"))
	case o.method.Method == methodFull:
		c.noEffect("with --method full", adapters)
	case o.adapters.Adapter != "":
		c.noEffect("with --adapter, whose own settings apply", adapters)
	default:
		_, err := o.adapters.Config()
		wrong = append(wrong, err)
	}
	if o.method.Method != methodQLoRA {
		c.noEffect("with --method "+o.method.Method, c.given("bnb_4bit_quant_type", "bnb_4bit_use_double_quant", "bnb_4bit_blocksize", "keep_quantization"))
	}
	if o.run.Schedule == "constant" && (o.run.WarmupSteps > 0 || o.run.WarmupRatio > 0) {
		c.noEffect("with --lr_scheduler_type constant; constant_with_warmup warms up", c.given("warmup_steps", "warmup_ratio"))
	}
	if o.adapters.LoftQIterations > 1 && o.adapters.Init != string(lora.InitLoftQ) {
		c.noEffect("without --init_lora_weights loftq", c.given("loftq_iter"))
	}
	return exit.AsWrong(errors.Join(wrong...))
}

// given returns those of the names that the command line or the YAML file set.
func (c *call) given(names ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !c.set.Given(name) })
}

// noEffect notes options that were given for nothing.
func (c *call) noEffect(why string, names []string) {
	if len(names) == 0 {
		return
	}
	verb := "has"
	if len(names) > 1 {
		verb = "have"
	}
	c.note("--" + strings.Join(names, ", --") + " " + verb + " no effect " + why)
}
