package verbs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"qlora/cmd/internal/exit"
	"qlora/internal/atomicfile"
	"qlora/nn"
	"qlora/trainer/dataset"
	"qlora/trainer/multiplechoice"
)

// ask prints the model's accuracy on multiple-choice questions.
func (o *evaluation) ask(c *call, r *inference) error {
	questions, err := o.questions(c, "dataset", o.Dataset, multiplechoice.Read)
	if err != nil {
		return err
	}
	var examples []multiplechoice.Question
	if len(o.choices.Examples) > 0 {
		if examples, err = o.questions(c, "fewshot_dataset", o.choices.Examples, multiplechoice.ReadExamples); err != nil {
			return err
		}
	}
	most := r.base.Config.MaxPositions
	if c.set.Given("max_length") {
		most = o.Records.MaxLength
	}
	test, err := multiplechoice.NewTest(questions, examples, r.tok, o.choices, most)
	if err != nil {
		return exit.AsWrong(err)
	}
	if err := test.Check(r.base.Config.Vocabulary); err != nil {
		return exit.AsWrong(err)
	}
	if test.Truncated > 0 {
		c.note(fmt.Sprintf("%d answers have a context longer than the model's; its beginning was cut", test.Truncated))
	}
	if err := r.load(nn.Shapes{Score: test.Largest(o.Batch)}); err != nil {
		return err
	}
	progress, done := c.progress("scoring answers", false)
	outcomes, err := test.Run(c, r.Model, r.dev, o.Batch, progress)
	done()
	if err != nil {
		return err
	}
	if o.Output != "" {
		if err := atomicfile.WriteFile(o.Output, lines(outcomes), 0o644); err != nil {
			return err
		}
	}
	report := multiplechoice.NewReport(outcomes)
	if o.JSON {
		return json.NewEncoder(c.out).Encode(report)
	}
	return printReport(c.out, &report)
}

// questions reads the files of an option and prints how each was used.
func (o *evaluation) questions(c *call, option string, paths []string, read func([]string, dataset.Options) ([]multiplechoice.Question, []dataset.Use, error)) ([]multiplechoice.Question, error) {
	questions, uses, err := read(paths, o.Records)
	if err != nil {
		return nil, asMissing(option, err)
	}
	for _, use := range uses {
		if use.Splits != "" {
			c.note(use.Splits)
		}
		c.note(use.String())
	}
	return questions, nil
}

func lines(outcomes []multiplechoice.Outcome) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	for _, o := range outcomes {
		if err := e.Encode(o); err != nil {
			panic(err) // finite numbers and text always encode
		}
	}
	return b.Bytes()
}

func printReport(out io.Writer, r *multiplechoice.Report) error {
	const all, mean = "all questions", "mean of subjects"
	wide := len(mean)
	for _, s := range r.Subjects {
		wide = max(wide, utf8.RuneCountInString(s.Name))
	}
	var b bytes.Buffer
	row := func(name string, s *multiplechoice.Score) {
		fmt.Fprintf(&b, "%-*s  %9d  %.4f ± %.4f  %.4f ± %.4f\n", wide, name, s.Records, s.Acc.Mean, s.Acc.StdErr, s.AccNorm.Mean, s.AccNorm.StdErr)
	}
	fmt.Fprintf(&b, "%-*s  questions  acc              acc_norm\n", wide, "")
	for i := range r.Subjects {
		row(r.Subjects[i].Name, &r.Subjects[i].Score)
	}
	if len(r.Subjects) > 0 {
		row(mean, &r.Mean)
	}
	row(all, &r.All)
	_, err := out.Write(b.Bytes())
	return err
}
