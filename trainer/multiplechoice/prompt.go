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

// asked returns the prompt of q and the answers to score.
func (o *Options) asked(q *Question) (prompt string, answers []string) {
	if o.Choices == choicesText || o.Choices == choicesAuto && !q.letters {
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

// context returns the description, the examples and the question.
func (o *Options) context(q *Question, examples []*Question) string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(o.Description, "{subject}", strings.ReplaceAll(q.Subject, "_", " ")))
	for _, e := range examples {
		prompt, answers := o.asked(e)
		b.WriteString(prompt + answerDelimiter + answers[e.Answer] + exampleDelimiter)
	}
	prompt, _ := o.asked(q)
	b.WriteString(prompt)
	return b.String()
}
