package lora

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"qlora/option"
)

// Validate returns everything that no adapter can have, each an [option.Error] under its
// name in adapter_config.json. It is the one check of a configuration, whether that was
// read, made of [Options] or written in Go. A zero value means PEFT's default where that
// is nothing or a rule: no dropout, no bias, [InitDefault], one iteration of LoftQ, the
// architecture's targets. R and Alpha have no such value: 0 is refused.
//
// What depends on the model, as which modules a pattern matches, is checked when the
// adapters are put on it.
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
		{c.Alpha == 0 || math.IsNaN(c.Alpha) || math.IsInf(c.Alpha, 0), "lora_alpha", c.Alpha, "it must be a number other than 0: it scales the adapter's output"},
		{!(c.Dropout >= 0 && c.Dropout < 1), "lora_dropout", c.Dropout, "it must be at least 0 and below 1"},
		{!c.Init.readable(), "init_lora_weights", string(c.Init), "it can be " + computableNames},
		{slices.Contains(c.ModulesToSave, ""), "modules_to_save", c.ModulesToSave, "one of them is an empty name, which every module ends with"},
		{strings.EqualFold(c.Exclude.Pattern, AllLinear), "exclude_modules", c.Exclude.Pattern, "that leaves no layer"},
		{slices.ContainsFunc(c.Layers, func(n int) bool { return n < 0 }), "layers_to_transform", []int(c.Layers), "the first layer is 0"},
		{len(c.LayersPattern) > 0 && len(c.Layers) == 0, "layers_pattern", c.LayersPattern, "it explains the numbers of `layers_to_transform`, and there are none"},
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

// ValidateNew is Validate for an adapter that is made, not read: [Adapters.Init] has
// to be able to compute its initialization.
func (c *Config) ValidateNew() error {
	if c.Init != "" && !c.Init.computable() {
		return option.Errorf("init_lora_weights", string(c.Init), "a new adapter can begin with %s", computableNames)
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

// inFile returns the error of a configuration that was read from path: a key of the
// file is no option of the run.
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
