// Package multiplechoice measures how often a model ranks the right one of several
// answers highest, as EleutherAI's lm-evaluation-harness does: with the same prompts,
// examples, log-likelihoods and standard errors
// (https://github.com/EleutherAI/lm-evaluation-harness, 0.4.13).
package multiplechoice

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qlora/trainer/dataset"
)

// A Question is one record.
type Question struct {
	Subject string // "" if there is none
	Text    string // the question alone
	Prompt  string // the text before a choice, if choices are not listed: "Question: …\nAnswer:"
	Rest    string // what is scored after each choice, if not the choice: the end of Winogrande's sentences
	Choices []string
	Answer  int // index of the right one

	letters bool // by default list the choices and score their letters
}

// maxChoices bounds the choices of a question: letters name them.
const maxChoices = 26

// Read returns the questions of files and folders, and how each file was used. Of a
// folder with splits it reads test, or validation if the answers of test are not
// published. It heeds the options that dataset.Read does.
func Read(paths []string, opt dataset.Options) ([]Question, []dataset.Use, error) {
	all, uses, err := read(paths, dataset.ForTest, opt)
	if errors.Is(err, errNoAnswer) {
		if validation, uses, err := read(paths, dataset.ForValidation, opt); err == nil {
			return validation, uses, nil
		}
	}
	return all, uses, err
}

// ReadExamples returns the questions of files and folders that serve as examples: of a
// folder with splits those of dev or else train.
func ReadExamples(paths []string, opt dataset.Options) ([]Question, []dataset.Use, error) {
	return read(paths, dataset.ForExamples, opt)
}

func read(paths []string, purpose dataset.Purpose, opt dataset.Options) ([]Question, []dataset.Use, error) {
	var all []Question
	var unanswered error // a split without answers is not one of bad records
	uses, err := dataset.Read(paths, purpose, opt, func(r *dataset.Record) error {
		q, err := parse(r)
		if errors.Is(err, errNoAnswer) {
			unanswered = fmt.Errorf("%s: %w", r.Where(), err)
			return dataset.ErrStop
		}
		if err == nil {
			all = append(all, q)
		}
		return err
	})
	if unanswered != nil {
		return nil, nil, unanswered
	}
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s: no records", strings.Join(paths, ", "))
	}
	return all, uses, err
}

// Recognize reports whether the first record of the files has the fields of a question
// with choices.
func Recognize(paths []string, opt dataset.Options) (bool, error) {
	found := false
	_, err := dataset.Read(paths, dataset.ForTest, opt, func(r *dataset.Record) error {
		found = slices.ContainsFunc(layouts, func(l layout) bool { return l.fits(r) })
		return dataset.ErrStop
	})
	return found, err
}

func parse(r *dataset.Record) (Question, error) {
	i := slices.IndexFunc(layouts, func(l layout) bool { return l.fits(r) })
	if i < 0 {
		return Question{}, fmt.Errorf("the record has %s, but a question with choices needs question+choices+answerKey or the fields of another benchmark; evaluate other records in a run of their own", r.Fields())
	}
	q, err := layouts[i].read(r)
	q.letters = layouts[i].letters
	switch {
	case err != nil:
		return q, err
	case len(q.Choices) < 2 || len(q.Choices) > maxChoices:
		return q, fmt.Errorf("the question has %d choices; it must have from 2 to %d", len(q.Choices), maxChoices)
	case slices.Contains(q.Choices, ""):
		return q, fmt.Errorf("choice %d is empty", slices.Index(q.Choices, "")+1)
	}
	if r.Has("subject") {
		q.Subject, err = r.Text("subject")
	}
	return q, err
}

// letter returns the name of choice i: A, B, …
func letter(i int) string { return string(rune('A' + i)) }

var errNoAnswer = errors.New("the question has no answer; take a split that has answers, such as validation")

// noAnswer reports whether a question's answer is what test splits have instead of one.
func noAnswer(raw json.RawMessage) bool {
	return slices.Contains([]string{`""`, "-1", `"-1"`, "null"}, string(raw))
}

// answer returns the index of the right choice: raw is an index from 0, one of labels if
// there are any, the text of a choice, or its letter.
func answer(raw json.RawMessage, choices, labels []string) (int, error) {
	var text string
	if noAnswer(raw) {
		return 0, errNoAnswer
	}
	if err := json.Unmarshal(raw, &text); err != nil {
		i, err := strconv.Atoi(string(raw))
		if err != nil || i < 0 || i >= len(choices) {
			return 0, fmt.Errorf("the answer is %.40s, which is not the index of one of the %d choices", raw, len(choices))
		}
		return i, nil
	}
	for _, names := range [][]string{labels, choices} {
		if i := slices.Index(names, text); i >= 0 {
			return i, nil
		}
	}
	text = strings.TrimSpace(text)
	if i := slices.Index(labels, text); i >= 0 {
		return i, nil
	}
	for i := range choices {
		if labels == nil && (strings.EqualFold(text, letter(i)) || text == strconv.Itoa(i)) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("the answer is %.40q, which is not the text, letter or index of one of the %d choices", text, len(choices))
}
