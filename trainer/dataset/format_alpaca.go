package dataset

import (
	"encoding/json"
	"fmt"
	"maps"
)

// alpacaPrompt returns Stanford Alpaca's prompt, word for word
// (github.com/tatsu-lab/stanford_alpaca, train.py). The output follows it directly.
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

// An alpaca record has an instruction, an output and usually an input. In a chat the
// input is on the line after the instruction. Dolly's records are the same under other
// names.
var (
	alpaca = alpacaFormat("input", "output", false)
	dolly  = alpacaFormat("context", "response", true)
)

func alpacaFormat(input, output string, choice bool) format {
	return format{
		name:   "alpaca",
		fields: []string{"instruction", output},
		choice: choice,
		example: func(w *worker, r record) (Example, error) {
			instruction, err := r.text("instruction")
			if err != nil {
				return Example{}, err
			}
			answer, err := r.text(output)
			if err != nil {
				return Example{}, err
			}
			further := ""
			if r.has(input) {
				if further, err = r.text(input); err != nil {
					return Example{}, err
				}
			}
			if !w.opt.ApplyChat {
				return w.pair(alpacaPrompt(instruction, further), answer)
			}
			if further != "" {
				instruction += "\n" + further
			}
			return w.asked(r, instruction, answer)
		},
	}
}

// instances are records that hold inputs and outputs as a list, as in Self-Instruct
// (Wang et al. 2023, https://github.com/yizhongw/self-instruct): each becomes one
// example.
var instances = format{
	name:    "alpaca",
	fields:  []string{"instruction", "instances"},
	choice:  true,
	split:   splitInstances,
	example: alpaca.example,
}

// splitInstances returns one record per instance: its fields and the shared ones.
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
