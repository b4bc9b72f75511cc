package dataset

import (
	"encoding/json"
	"fmt"
	"maps"
)

// alpacaPrompt is Stanford Alpaca's prompt, word for word
// (github.com/tatsu-lab/stanford_alpaca, train.py). Nothing stands between it
// and the output.
func alpacaPrompt(instruction, input string) string {
	if input == "" {
		return "Below is an instruction that describes a task. " +
			"Write a response that appropriately completes the request.\n\n" +
			"### Instruction:\n" + instruction + "\n\n### Response:"
	}
	return "Below is an instruction that describes a task, paired with an input that provides further context. " +
		"Write a response that appropriately completes the request.\n\n" +
		"### Instruction:\n" + instruction + "\n\n### Input:\n" + input + "\n\n### Response:"
}

// An alpaca record has an instruction, an output and, mostly, an input. In a
// chat the input stands in the line below the instruction.
var alpaca = format{
	name:   "alpaca",
	fields: []string{"instruction", "output"},
	example: func(w *worker, r record) (Example, error) {
		instruction, err := r.text("instruction")
		if err != nil {
			return Example{}, err
		}
		output, err := r.text("output")
		if err != nil {
			return Example{}, err
		}
		input := ""
		if r.has("input") {
			if input, err = r.text("input"); err != nil {
				return Example{}, err
			}
		}
		if !w.opt.ApplyChat {
			return w.pair(alpacaPrompt(instruction, input), output)
		}
		if input != "" {
			instruction += "\n" + input
		}
		return w.asked(r, instruction, output)
	},
}

// instances are an alpaca record's inputs and outputs as a list, as Self-Instruct
// has them (Wang et al. 2023, https://github.com/yizhongw/self-instruct): each makes
// an example of its own.
var instances = format{
	name:    "alpaca",
	fields:  []string{"instruction", "instances"},
	choice:  true,
	split:   splitInstances,
	example: alpaca.example,
}

// splitInstances gives a record for each of the instances: its fields beside those
// that they share.
func splitInstances(r record) ([]record, error) {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(r.fields["instances"], &list); err != nil {
		return nil, fmt.Errorf("\"instances\" is %s, not a list of objects with an input and an output", shown(r.fields["instances"]))
	}
	var all []record
	for _, own := range list {
		one := record{line: r.line, fields: maps.Clone(r.fields)}
		maps.Copy(one.fields, own)
		all = append(all, one)
	}
	return all, nil
}
