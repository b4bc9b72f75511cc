package multiplechoice

import "unicode/utf8"

// An Outcome is the result of one question.
type Outcome struct {
	Subject        string    `json:"subject,omitempty"`
	Answer         int       `json:"answer"` // index of the right choice
	LogLikelihoods []float64 `json:"loglikelihoods"`

	// The indices of the likeliest choices, the first of equal ones: by the
	// log-likelihood, by log-likelihood per character of the answer, and per byte of
	// UTF-8.
	Likeliest      int `json:"likeliest"`
	LikeliestNorm  int `json:"likeliest_norm"`
	LikeliestBytes int `json:"likeliest_bytes"`
}

func outcome(q *Question, candidates []candidate, scores []float64) Outcome {
	best := func(length func(string) int) int {
		at := 0
		for i := range scores {
			if scores[i]/float64(length(candidates[i].name)) > scores[at]/float64(length(candidates[at].name)) {
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
