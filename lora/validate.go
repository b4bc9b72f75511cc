package lora

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"qlora/option"
)

// Validate returns all invalid settings, each an [option.Error] under its name in
// adapter_config.json. It checks every configuration, whether read from a file, made
// from [Options] or written in Go. Zero values mean PEFT's defaults: no dropout, no
// bias, [InitDefault], one iteration of LoftQ, the architecture's targets. R has no
// default: 0 is refused. An Alpha of 0 is an adapter without effect, as in PEFT.
//
// Settings that depend on the model, such as which modules a pattern matches, are
// checked when the adapters are put on it.
func (c *Config) Validate() error {
	var wrong []error
	for _, o := range []struct {
		refused bool
		name    string
		value   any
		want    string
	}{
		{c.TaskType != "" && c.TaskType != causalLM, "task_type", c.TaskType, "only " + causalLM + " adapters are supported"},
		{!knownBias(c.Bias), "bias", string(c.Bias), "it can be none, all or lora_only"},
		{c.R < 1 || c.R > maxRank, "r", c.R, fmt.Sprintf("it must be from 1 to %d", maxRank)},
		{math.IsNaN(c.Alpha) || math.IsInf(c.Alpha, 0), "lora_alpha", c.Alpha, "it must be a finite number"},
		{!(c.Dropout >= 0 && c.Dropout < 1), "lora_dropout", c.Dropout, "it must be at least 0 and below 1"},
		{!c.Init.readable(), "init_lora_weights", string(c.Init), "it can be " + computableNames},
		{slices.Contains(c.ModulesToSave, ""), "modules_to_save", c.ModulesToSave, "one of them is an empty name, which every module ends with"},
		{strings.EqualFold(c.Exclude.Pattern, AllLinear), "exclude_modules", c.Exclude.Pattern, "that leaves no layer"},
		{slices.ContainsFunc(c.Layers, func(n int) bool { return n < 0 }), "layers_to_transform", []int(c.Layers), "the first layer is 0"},
		{len(c.LayersPattern) > 0 && len(c.Layers) == 0, "layers_pattern", c.LayersPattern, "it needs `layers_to_transform`, which is empty"},
		{c.LoftQIterations < 0 || c.LoftQIterations > maxIterations, "loftq_iter", c.LoftQIterations, fmt.Sprintf("it must be from 1 to %d", maxIterations)},
	} {
		if o.refused {
			wrong = append(wrong, &option.Error{Option: o.name, Value: o.value, Want: o.want})
		}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	return errors.Join(c.RankPattern.checkRanks(), c.checkInit())
}

// ValidateNew validates the configuration of a new adapter. It returns an error if
// [Adapters.Init] cannot compute the initialization, else the errors of Validate.
func (c *Config) ValidateNew() error {
	if c.Init != "" && !c.Init.computable() {
		return option.Errorf("init_lora_weights", string(c.Init), "a new adapter can have %s", computableNames)
	}
	if c.Alpha == 0 {
		return option.Errorf("lora_alpha", c.Alpha, "it must be a number other than 0: it scales the adapter's output")
	}
	return c.Validate()
}

// withDefaults resolves the zero values that mean a default.
func (c Config) withDefaults() Config {
	if c.Init == "" {
		c.Init = InitDefault
	}
	if c.Init == InitLoftQ && c.LoftQIterations == 0 {
		c.LoftQIterations = 1
	}
	return c
}

// inFile returns err as an error of the file at path, because a key of the file is not
// an option of the run.
func inFile(path string, err error) error {
	if err == nil {
		return nil
	}
	if refused := (*option.Error)(nil); errors.As(err, &refused) {
		plain := func(name string) string { return name }
		err = errors.New(option.Spell(err.Error(), plain))
	}
	return fmt.Errorf("%s: %w", path, err)
}
