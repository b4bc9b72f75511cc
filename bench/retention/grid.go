package main

import (
	"fmt"
	"slices"
)

// A base is a storage format of the untuned model.
type base struct {
	Name   string
	Folder folder
	Args   []string // arguments of qlora eval
}

// A folder is one of the study's model folders.
type folder int

const (
	stored folder = iota // MODEL
	exact                // MODEL_F32: the weights that MODEL rounds to 16 bits
)

// bases lists the storage formats of the base, the most exact first.
var bases = []base{
	{"float32", exact, []string{"--load_in_4bit=false"}},
	{"bf16", stored, []string{"--load_in_4bit=false"}},
	{"nf4", stored, []string{"--bnb_4bit_quant_type=nf4", "--bnb_4bit_use_double_quant=false"}},
	{"nf4-dq", stored, []string{"--bnb_4bit_quant_type=nf4", "--bnb_4bit_use_double_quant=true"}},
	{"fp4", stored, []string{"--bnb_4bit_quant_type=fp4", "--bnb_4bit_use_double_quant=false"}},
	{"fp4-dq", stored, []string{"--bnb_4bit_quant_type=fp4", "--bnb_4bit_use_double_quant=true"}},
}

// The methods, as qlora train calls them.
const (
	full  = "full"
	lora  = "lora"
	qlora = "qlora"
)

// The layers with adapters.
const (
	allLinear = "all-linear"
	queryAndV = "q_proj,v_proj"
)

// A configuration is a way to tune. Full fine-tuning has neither rank nor targets.
type configuration struct {
	Method  string `json:"method"`
	Rank    int    `json:"rank,omitempty"`
	Targets string `json:"targets,omitempty"`
}

// configurations returns everything that is compared.
func configurations() []configuration {
	all := []configuration{{Method: full}}
	for _, targets := range []string{queryAndV, allLinear} {
		for _, rank := range []int{8, 64} {
			for _, method := range []string{lora, qlora} {
				all = append(all, configuration{method, rank, targets})
			}
		}
	}
	return all
}

// name returns a short name, valid as a file name.
func (c configuration) name() string {
	if c.Method == full {
		return full
	}
	return fmt.Sprintf("%s-r%d-%s", c.Method, c.Rank, map[string]string{queryAndV: "qv", allLinear: "all"}[c.Targets])
}

// args returns the configuration's own arguments of qlora train.
func (c configuration) args() []string {
	args := []string{"--method", c.Method}
	if c.Method == full {
		return args
	}
	return append(args, "--lora_r", fmt.Sprint(c.Rank), "--lora_alpha", fmt.Sprint(2*c.Rank), "--lora_dropout", "0", "--target_modules", c.Targets)
}

// rates are the learning rates tried on the validation split, for each method.
var rates = map[string][]float64{
	full: {1e-4, 3e-4},
	lora: {1e-3, 3e-3},
}

// twin returns the configuration whose learning rate c uses. QLoRA uses LoRA's of the
// same rank and layers, so that the two differ only in the base; if that is a
// disadvantage, it is QLoRA's.
func (c configuration) twin() configuration {
	if c.Method == qlora {
		c.Method = lora
	}
	return c
}

// tuningSeed is the seed of the runs that select learning rates.
const tuningSeed = 100

// The records on which a trial's loss is measured.
const (
	onValidation = "validation"
	onHeldOut    = "heldout"
)

// A trial is one run: everything its result depends on except the model, the data and
// the program.
type trial struct {
	configuration
	LearningRate float64 `json:"learning_rate"`
	Seed         int     `json:"seed"`
	Steps        int     `json:"steps"`
	Batch        int     `json:"batch"`
	Measure      string  `json:"measure"`
}

func (t trial) name() string {
	return fmt.Sprintf("%s-%s-lr%g-steps%d-seed%d", t.Measure, t.configuration.name(), t.LearningRate, t.Steps, t.Seed)
}

// args returns the arguments of qlora train except the folders. The seed alone decides
// the order of the records: every method sees the same.
func (t trial) args() []string {
	return slices.Concat(t.configuration.args(), []string{
		"--max_steps", fmt.Sprint(t.Steps), "--per_device_train_batch_size", fmt.Sprint(t.Batch),
		"--learning_rate", fmt.Sprint(t.LearningRate), "--lr_scheduler_type", "linear", "--warmup_ratio", "0.1", "--seed", fmt.Sprint(t.Seed),
	})
}

// candidates returns the trials that select the learning rates.
func candidates(steps, batch int) []trial {
	var all []trial
	for _, c := range configurations() {
		if c != c.twin() {
			continue
		}
		for _, rate := range rates[c.Method] {
			all = append(all, trial{c, rate, tuningSeed, steps, batch, onValidation})
		}
	}
	return all
}

// trials returns the compared runs, every configuration's first seed before any second.
func trials(chosen map[configuration]float64, seeds, steps, batch int) []trial {
	var all []trial
	for seed := 1; seed <= seeds; seed++ {
		for _, c := range configurations() {
			all = append(all, trial{c, chosen[c.twin()], seed, steps, batch, onHeldOut})
		}
	}
	return all
}

// longer is the factor of steps in longTrials.
const longer = 4

// longTrials returns a pair of runs that show whether more training moves QLoRA closer
// to LoRA or away from it.
func longTrials(chosen map[configuration]float64, steps, batch int) []trial {
	var all []trial
	for _, method := range []string{lora, qlora} {
		c := configuration{method, 8, allLinear}
		all = append(all, trial{c, chosen[c.twin()], 1, longer * steps, batch, onHeldOut})
	}
	return all
}
