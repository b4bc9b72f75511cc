package multiplechoice

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"qlora/trainer/dataset"
)

// fields returns those of a record that must be texts.
func fields(r *dataset.Record, names ...string) ([]string, error) {
	var all []string
	for _, name := range names {
		text, err := r.Text(name)
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, nil
}

// yesOrNo are the values of BoolQ's answers, in the order of the choices; a table's are
// texts.
var yesOrNo = [][]string{
	{"false", "0", `"false"`, `"0"`, `"no"`},
	{"true", "1", `"true"`, `"1"`, `"yes"`},
}

// isYesOrNo reports whether a field is one of them or lacks an answer.
func isYesOrNo(name string) func(*dataset.Record) bool {
	return func(r *dataset.Record) bool {
		raw, err := r.JSON(name)
		return err == nil && (noAnswer(raw) || slices.Contains(slices.Concat(yesOrNo...), strings.ToLower(string(raw))))
	}
}

// boolq reads the layout of BoolQ: a question about a passage, whose answer is yes or
// no, under the name of SuperGLUE or of the dataset itself.
func boolq(name string) func(*dataset.Record) (Question, error) {
	return func(r *dataset.Record) (Question, error) {
		parts, err := fields(r, "passage", "question")
		if err != nil {
			return Question{}, err
		}
		raw, err := r.JSON(name)
		if err != nil {
			return Question{}, err
		}
		q := Question{Text: parts[0] + "\nQuestion: " + parts[1] + "?", Choices: []string{"no", "yes"}}
		q.Prompt = q.Text + "\nAnswer:"
		q.Answer = slices.IndexFunc(yesOrNo, func(values []string) bool { return slices.Contains(values, strings.ToLower(string(raw))) })
		switch {
		case noAnswer(raw):
			return q, errNoAnswer
		case q.Answer < 0:
			return q, fmt.Errorf("the answer is %.40s, not true or false", raw)
		}
		return q, nil
	}
}

// sciq reads the layout of SciQ: the right answer is the last choice, after three
// distractors; a text that supports it may come before the question.
func sciq(r *dataset.Record) (Question, error) {
	parts, err := fields(r, "question", "distractor1", "distractor2", "distractor3", "correct_answer")
	if err != nil {
		return Question{}, err
	}
	support := ""
	if r.Has("support") {
		if support, err = r.Text("support"); err != nil {
			return Question{}, err
		}
	}
	q := Question{Text: strings.TrimLeft(support, " \t\r\n\v\f") + "\nQuestion: " + parts[0], Choices: parts[1:], Answer: 3}
	q.Prompt = q.Text + "\nAnswer:"
	return q, nil
}

// siqa reads the layout of SocialIQA: three answers to a question about a situation.
func siqa(r *dataset.Record) (Question, error) {
	parts, err := fields(r, "context", "question", "answerA", "answerB", "answerC")
	if err != nil {
		return Question{}, err
	}
	q := Question{Text: parts[0] + " " + parts[1], Choices: parts[2:]}
	q.Prompt = "Q: " + q.Text + "\nA:"
	q.Answer, err = numbered(r, "label", q.Choices)
	return q, err
}

// winogrande reads the layout of Winogrande: two options for a blank in a sentence. The
// rest of the sentence is scored after each.
func winogrande(r *dataset.Record) (Question, error) {
	parts, err := fields(r, "sentence", "option1", "option2")
	if err != nil {
		return Question{}, err
	}
	before, after, ok := strings.Cut(parts[0], "_")
	rest := strings.TrimSpace(after)
	switch {
	case !ok:
		return Question{}, errors.New(`"sentence" has no _, which marks the place of the options`)
	case rest == "":
		return Question{}, errors.New(`"sentence" has nothing after the _, so that no option is likelier`)
	}
	q := Question{Text: parts[0], Prompt: before, Choices: parts[1:], Rest: rest}
	q.Answer, err = numbered(r, "answer", q.Choices)
	return q, err
}

// numbered returns the index of the right choice from its number, from 1.
func numbered(r *dataset.Record, name string, choices []string) (int, error) {
	raw, err := r.JSON(name)
	if err != nil {
		return 0, err
	}
	if noAnswer(raw) {
		return 0, errNoAnswer
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	for i := range choices {
		if strings.TrimSpace(text) == fmt.Sprint(i+1) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("the answer is %.40s, not the number of one of the %d choices", raw, len(choices))
}
