package dataset

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
