package multiplechoice

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"qlora/trainer/dataset"
)

// A layout is a record structure of a question.
type layout struct {
	fields  []string // all required
	letters bool     // list the choices and score their letters, as the dataset's own test does
	read    func(*dataset.Record) (Question, error)
	// also, if not nil, is required too: the fields' names are those of other records.
	also func(*dataset.Record) bool
}

// layouts in the order in which they are tried.
var layouts = []layout{
	{fields: []string{"question", "choices", "answerKey"}, read: arc("question", "Question: %s\nAnswer:")},
	{fields: []string{"question_stem", "choices", "answerKey"}, read: arc("question_stem", "%s")},
	{fields: []string{"question", "choices", "answer"}, letters: true, read: mmlu},
	{fields: []string{"question", "A", "B", "answer"}, letters: true, read: columns},
	{fields: []string{"endings", "label"}, read: hellaswag},
	{fields: []string{"goal", "sol1", "sol2", "label"}, read: piqa},
	{fields: []string{"passage", "question", "answer"}, read: boolq("answer"), also: isYesOrNo("answer")},
	{fields: []string{"passage", "question", "label"}, read: boolq("label"), also: isYesOrNo("label")},
	{fields: []string{"question", "correct_answer", "distractor1", "distractor2", "distractor3"}, read: sciq},
	{fields: []string{"context", "question", "answerA", "answerB", "answerC", "label"}, read: siqa},
	{fields: []string{"sentence", "option1", "option2", "answer"}, read: winogrande},
}

func (l *layout) fits(r *dataset.Record) bool {
	return r.Has(l.fields...) && (l.also == nil || l.also(r))
}

// texts returns a field that must be a list of texts.
func texts(r *dataset.Record, name string) ([]string, error) {
	raw, err := r.JSON(name)
	if err != nil {
		return nil, err
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("%q is not a list of texts", name)
	}
	return list, nil
}

// arc reads the layout of ARC, OpenBookQA and CommonsenseQA: the choices are an object
// of their texts and labels.
func arc(question, prompt string) func(*dataset.Record) (Question, error) {
	return func(r *dataset.Record) (Question, error) {
		text, err := r.Text(question)
		if err != nil {
			return Question{}, err
		}
		raw, err := r.JSON("choices")
		if err != nil {
			return Question{}, err
		}
		var choices struct{ Text, Label []string }
		if err := json.Unmarshal(raw, &choices); err != nil || len(choices.Label) != len(choices.Text) {
			return Question{}, errors.New(`"choices" must be an object with equally many "text" and "label"`)
		}
		key, err := r.JSON("answerKey")
		if err != nil {
			return Question{}, err
		}
		q := Question{Text: text, Prompt: fmt.Sprintf(prompt, text), Choices: choices.Text}
		q.Answer, err = answer(key, choices.Text, choices.Label)
		return q, err
	}
}

// mmlu reads the layout of MMLU: a list of choices and the right one's index, letter or
// text.
func mmlu(r *dataset.Record) (Question, error) {
	choices, err := texts(r, "choices")
	if err != nil {
		return Question{}, err
	}
	return listed(r, choices)
}

// columns reads a table's layout: one column per choice.
func columns(r *dataset.Record) (Question, error) {
	var choices []string
	for len(choices) < maxChoices && r.Has(letter(len(choices))) {
		choice, err := r.Text(letter(len(choices)))
		if err != nil {
			return Question{}, err
		}
		choices = append(choices, choice)
	}
	return listed(r, choices)
}

func listed(r *dataset.Record, choices []string) (Question, error) {
	text, err := r.Text("question")
	if err != nil {
		return Question{}, err
	}
	raw, err := r.JSON("answer")
	if err != nil {
		return Question{}, err
	}
	text = strings.TrimSpace(text)
	q := Question{Text: text, Prompt: "Question: " + text + "\nAnswer:", Choices: choices}
	q.Answer, err = answer(raw, choices, nil)
	return q, err
}

// hellaswag reads the layout of HellaSwag: endings of a context, which the record has
// whole or in two halves.
func hellaswag(r *dataset.Record) (Question, error) {
	var text string
	var err error
	if r.Has("ctx_a", "ctx_b") {
		var second string
		if text, err = r.Text("ctx_a"); err != nil {
			return Question{}, err
		}
		if second, err = r.Text("ctx_b"); err != nil {
			return Question{}, err
		}
		text += " " + capitalize(second)
	} else if text, err = r.Text("ctx"); err != nil {
		return Question{}, err
	}
	if r.Has("activity_label") {
		activity, err := r.Text("activity_label")
		if err != nil {
			return Question{}, err
		}
		text = activity + ": " + text
	}
	endings, err := texts(r, "endings")
	if err != nil {
		return Question{}, err
	}
	for i := range endings {
		endings[i] = withoutBrackets(endings[i])
	}
	raw, err := r.JSON("label")
	if err != nil {
		return Question{}, err
	}
	text = withoutBrackets(text)
	q := Question{Text: text, Prompt: text, Choices: endings}
	q.Answer, err = answer(raw, endings, nil)
	return q, err
}

var brackets = regexp.MustCompile(`\[.*?\]`)

// withoutBrackets removes WikiHow's markup from HellaSwag's texts.
func withoutBrackets(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), " [title]", ". ")
	return strings.ReplaceAll(brackets.ReplaceAllString(text, ""), "  ", " ")
}

// capitalize implements Python's str.capitalize: the first letter upper case, the others
// lower.
func capitalize(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	return string(unicode.ToTitle(first)) + strings.ToLower(text[size:])
}

// piqa reads the layout of PIQA: two ways to a goal.
func piqa(r *dataset.Record) (Question, error) {
	var q Question
	for _, name := range []string{"goal", "sol1", "sol2"} {
		text, err := r.Text(name)
		if err != nil {
			return q, err
		}
		q.Choices = append(q.Choices, text)
	}
	q.Text, q.Choices = q.Choices[0], q.Choices[1:]
	q.Prompt = "Question: " + q.Text + "\nAnswer:"
	raw, err := r.JSON("label")
	if err != nil {
		return q, err
	}
	q.Answer, err = answer(raw, q.Choices, nil)
	return q, err
}
