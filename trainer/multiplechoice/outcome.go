package multiplechoice

import "unicode/utf8"

// An Outcome is what became of one question.
type Outcome struct {
	Subject        string    `json:"subject,omitempty"`
	Answer         int       `json:"answer"` // index of the right choice
	LogLikelihoods []float64 `json:"loglikelihoods"`

	// The choices that the model holds for likeliest, the first of equals: by the
	// log-likelihood alone, by that over the answer's length in characters, and in
	// bytes of UTF-8.
	Likeliest      int `json:"likeliest"`
	LikeliestNorm  int `json:"likeliest_norm"`
	LikeliestBytes int `json:"likeliest_bytes"`
}

func outcome(q *Question, answers []string, scores []float64) Outcome {
	best := func(length func(string) int) int {
		at := 0
		for i := range scores {
			if scores[i]/float64(length(answers[i])) > scores[at]/float64(length(answers[at])) {
				at = i
			}
		}
		return at
	}
	return Outcome{
		Subject: q.Subject, Answer: q.Answer, LogLikelihoods: append([]float64{}, scores...),
		Likeliest:      best(func(string) int { return 1 }),
		LikeliestNorm:  best(utf8.RuneCountInString),
		LikeliestBytes: best(func(s string) int { return len(s) }),
	}
}
