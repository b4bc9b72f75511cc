package multiplechoice

import (
	"slices"

	"qlora/option"
)

// Options configure how questions are asked. The command line reads the tags.
type Options struct {
	Choices     string   `option:"score_choices" values:"auto,text,letters" help:"text: score the text of each choice; letters: list the choices and score A, B, …, as in MMLU; auto: as the benchmark does"`
	Fewshot     int      `option:"fewshot" alias:"num_fewshot" unit:"examples" help:"answered examples before each question, of the same subject if there are subjects"`
	Examples    []string `option:"fewshot_dataset" path:"true" help:"files with the examples; empty: the dataset itself, without the question asked"`
	Sampler     string   `option:"fewshot_sampler" values:"random,first_n" help:"choice of examples: random, or first_n, the same for each question"`
	Seed        uint64   `option:"fewshot_seed" help:"seed of the random examples"`
	Description string   `option:"description" help:"text before everything; {subject} is replaced by the question's subject"`
}

// DefaultOptions returns lm-evaluation-harness's defaults.
func DefaultOptions() Options {
	return Options{Choices: choicesAuto, Sampler: samplerRandom, Seed: 1234}
}

// The values of the options.
const (
	choicesAuto    = "auto"
	choicesText    = "text"
	choicesLetters = "letters"

	samplerRandom = "random"
	samplerFirst  = "first_n"
)

// Ranges returns the intervals of the numeric options.
func (o *Options) Ranges() option.Ranges {
	return option.Ranges{"fewshot": option.From(0, 1000)}
}

// Check returns an error for the first invalid option.
func (o *Options) Check() error {
	if err := option.CheckRanges(o); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{choicesAuto, choicesText, choicesLetters}, o.Choices):
		return option.Errorf("score_choices", o.Choices, "it must be auto, text or letters")
	case !slices.Contains([]string{samplerRandom, samplerFirst}, o.Sampler):
		return option.Errorf("fewshot_sampler", o.Sampler, "it must be random or first_n")
	case o.Fewshot == 0 && len(o.Examples) > 0:
		return option.Errorf("fewshot_dataset", o.Examples, "`fewshot`, the number of examples to take of it, is 0")
	}
	return nil
}
