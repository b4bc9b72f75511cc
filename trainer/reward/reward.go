// Package reward judges completions: by built-in functions, or by a command that reads and
// writes JSON lines.
package reward

import "context"

// A Completion is what a function judges.
type Completion struct {
	// Record has the fields of the prompt's record as a JSON object.
	Record []byte
	Text   string  // without special tokens
	IDs    []int32 // its tokens, with the end of the sequence
}

// A Function gives each completion a number: the larger the better, NaN for those that it
// does not judge. It depends on nothing but the completions.
type Function interface {
	// Name returns the name in logs: rewards/NAME/mean.
	Name() string
	// Score returns a number for each completion, or an error that says what is wrong and what to do.
	Score(ctx context.Context, of []Completion) ([]float64, error)
	// Close ends what the function has begun.
	Close() error
}
