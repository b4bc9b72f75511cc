package lora

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"qlora/option"
)

// Validate refuses the first setting that no adapter can have, with an
// [option.Error] under its name in adapter_config.json. It is the one check of a
// configuration, whether that was read, made of [Options] or written in Go. A zero
// value means PEFT's default where that is nothing or a rule: no dropout, no bias,
// [InitDefault], one iteration of LoftQ, the architecture's targets. R and Alpha have
// no such value: 0 is refused.
//
// What depends on the model, as which modules a pattern matches, is checked when the
// adapters are put on it.
func (c *Config) Validate() error {
	switch {
	case c.TaskType != "" && c.TaskType != causalLM:
		return option.Errorf("task_type", c.TaskType, "only %s adapters are supported", causalLM)
	case !knownBias(c.Bias):
		return option.Errorf("bias", string(c.Bias), "it can be none, all or lora_only")
	case c.R < 1 || c.R > maxRank:
		return option.Errorf("r", c.R, "it must be from 1 to %d", maxRank)
	case c.Alpha == 0 || math.IsNaN(c.Alpha) || math.IsInf(c.Alpha, 0):
		return option.Errorf("lora_alpha", c.Alpha, "it must be a number other than 0: it scales the adapter's output")
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return option.Errorf("lora_dropout", c.Dropout, "it must be at least 0 and below 1")
	case !c.Init.readable():
		return option.Errorf("init_lora_weights", string(c.Init), "it can be %s", computableNames)
	case slices.Contains(c.ModulesToSave, ""):
		return option.Errorf("modules_to_save", c.ModulesToSave, "one of them is an empty name, which every module ends with")
	case strings.EqualFold(c.Exclude.Pattern, AllLinear):
		return option.Errorf("exclude_modules", c.Exclude.Pattern, "that leaves no layer")
	case slices.ContainsFunc(c.Layers, func(n int) bool { return n < 0 }):
		return option.Errorf("layers_to_transform", []int(c.Layers), "the first layer is 0")
	case len(c.LayersPattern) > 0 && len(c.Layers) == 0:
		return option.Errorf("layers_pattern", c.LayersPattern, "it explains the numbers of `layers_to_transform`, and there are none")
	case c.LoftQIterations < 0 || c.LoftQIterations > maxIterations:
		return option.Errorf("loftq_iter", c.LoftQIterations, "it must be from 1 to %d", maxIterations)
	}
	if err := c.RankPattern.checkRanks(); err != nil {
		return err
	}
	return c.checkInit()
}

// ValidateNew is Validate for an adapter that is made, not read: [Adapters.Init] has
// to be able to compute how it begins.
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
