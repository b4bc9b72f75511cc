package dataset

// A prompt and its completion, under the names that datasets give them. Only
// a question and its answer are joined by something, a newline, which belongs
// to the prompt.
var (
	promptCompletion = pairFormat("prompt", "completion", "")
	inputOutput      = pairFormat("input", "output", "")
	questionAnswer   = pairFormat("question", "answer", "\n")
)

func pairFormat(prompt, completion, join string) format {
	return format{
		name:   "prompt-completion",
		fields: []string{prompt, completion},
		choice: true,
		example: func(w *worker, r record) (Example, error) {
			before, err := r.text(prompt)
			if err != nil {
				return Example{}, err
			}
			after, err := r.text(completion)
			if err != nil {
				return Example{}, err
			}
			return w.pair(before+join, after)
		},
	}
}
