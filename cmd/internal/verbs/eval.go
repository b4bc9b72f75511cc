package verbs

import (
	"slices"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/internal/place"
	"qlora/nn/quantize"
	"qlora/trainer"
	"qlora/trainer/dataset"
	"qlora/trainer/multiplechoice"
)

// evalOptions are the options of eval, without those of the model.
type evalOptions struct {
	Dataset []string `option:"dataset" path:"true" help:"files, folders or quoted patterns: records as for train, or multiple-choice questions; repeatable"`
	Records dataset.Options
	Batch   int    `option:"per_device_eval_batch_size" unit:"sequences" help:"sequences per micro-batch"`
	JSON    bool   `option:"json" help:"print one JSON object"`
	Output  string `option:"output" path:"true" help:"write one line of JSON per multiple-choice question to this file: the log-likelihood of each answer and the most likely one"`
}

// evaluation is the options of eval, without those of the model.
type evaluation struct {
	evalOptions
	choices multiplechoice.Options
	run     trainer.Args // its objective
	ref     referenceOptions
}

// multipleChoice is the format of multiple-choice questions, which only eval reads.
const multipleChoice = "multiple-choice"

// Eval returns the verb that evaluates a model on a dataset.
func Eval() *cobra.Command {
	model := inferOptions{}
	own := evaluation{evalOptions: evalOptions{Records: dataset.DefaultOptions(), Batch: 8}, choices: multiplechoice.DefaultOptions(), run: trainer.DefaultArgs()}
	how, machine := quantize.DefaultOptions(), defaultMachine()
	set := options.New()
	set.Add("Model", &model)
	set.Add("Evaluation", &own.evalOptions)
	set.Add("Multiple choice (--dataset_format "+multipleChoice+", or detected from the fields)", &own.choices)
	set.Add("Preferences", &own.run.PreferenceArgs)
	set.Add("Reference", &own.ref)
	set.Add("4-bit base", &how)
	set.Add("Machine", &machine)
	return verb("eval", "evaluate a model on a dataset: loss, perplexity and token accuracy, rewards of preferences, or multiple-choice accuracy", set, func(c *call) error {
		inputs := append(place.Inputs("a dataset", slices.Concat(own.Dataset, own.choices.Examples)...),
			place.Input{What: "the model", Path: model.Model}, place.Input{What: "the adapter", Path: model.Adapter})
		if err := place.CheckOutput("output", own.Output, own.Output, inputs...); err != nil {
			return exit.AsWrong(err)
		}
		var err error
		if own.Dataset, err = model.Hub.datasets(c, "dataset", own.Dataset); err != nil {
			return err
		}
		if own.choices.Examples, err = model.Hub.datasets(c, "fewshot_dataset", own.choices.Examples); err != nil {
			return err
		}
		if err := own.check(c); err != nil {
			return err
		}
		r, err := model.open(c, machine, how)
		if err != nil {
			return err
		}
		defer r.close()
		if own.Records.Format == multipleChoice {
			return own.ask(c, r)
		}
		if own.run.Compares() {
			return own.compare(c, r)
		}
		return own.measure(c, r)
	})
}

// check validates the options and chooses the format.
func (o *evaluation) check(c *call) error {
	if len(o.Dataset) == 0 {
		return exit.Wrongf("--dataset is missing: name the files to evaluate")
	}
	if err := o.choices.Check(); err != nil {
		return exit.AsWrong(err)
	}
	if err := o.objective(); err != nil {
		return err
	}
	if o.Records.Format == dataset.Auto && !o.run.Compares() {
		questions, err := multiplechoice.Recognize(o.Dataset, o.Records)
		if err != nil {
			return asMissing("dataset", err)
		}
		if questions {
			o.Records.Format = multipleChoice
		}
	}
	if o.Records.Format == multipleChoice {
		for _, name := range []string{"chat_template", "apply_chat_template", "train_on_inputs", "reasoning"} {
			if c.set.Given(name) {
				return exit.Wrongf("--%s has no effect on multiple-choice questions, which are asked as plain text", name)
			}
		}
		return nil
	}
	for _, name := range []string{"output", "score_choices", "fewshot", "fewshot_dataset", "fewshot_sampler", "fewshot_seed", "description"} {
		if c.set.Given(name) {
			return exit.Wrongf("--%s is for multiple-choice questions, and the dataset has none; --dataset_format %s reports what is missing", name, multipleChoice)
		}
	}
	return nil
}
