package multiplechoice

import (
	"strings"
)

// The separators between a question and its answer, and after an example: the harness's
// target_delimiter and fewshot_delimiter.
const (
	answerDelimiter  = " "
	exampleDelimiter = "\n\n"
)

// lists reports whether the prompt of q lists the choices, whose letters are scored.
func (o *Options) lists(q *Question) bool {
	return o.Choices == choicesLetters || o.Choices == choicesAuto && q.letters
}

// asked returns the prompt of q and the answers to score.
func (o *Options) asked(q *Question) (prompt string, answers []string) {
	if !o.lists(q) {
		return q.Prompt, q.Choices
	}
	var b strings.Builder
	b.WriteString(q.Text)
	for i, choice := range q.Choices {
		answers = append(answers, letter(i))
		b.WriteString("\n" + letter(i) + ". " + choice)
	}
	b.WriteString("\nAnswer:")
	return b.String(), answers
}

// before returns the description and the examples.
func (o *Options) before(q *Question, examples []*Question) string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(o.Description, "{subject}", strings.ReplaceAll(q.Subject, "_", " ")))
	for _, e := range examples {
		c := o.candidates(e)[e.Answer]
		b.WriteString(c.context + c.answer + exampleDelimiter)
	}
	return b.String()
}

// A candidate is a choice as it is scored: the log-likelihood of answer after context.
// Its name's length is what the log-likelihood is divided by.
type candidate struct{ context, answer, name string }

// candidates returns those of q without what comes before.
func (o *Options) candidates(q *Question) []candidate {
	prompt, answers := o.asked(q)
	var all []candidate
	for _, answer := range answers {
		c := candidate{prompt, answerDelimiter + answer, answer}
		if q.Rest != "" && !o.lists(q) {
			c = candidate{prompt + answer, answerDelimiter + q.Rest, prompt + answer}
		}
		all = append(all, c)
	}
	return all
}
