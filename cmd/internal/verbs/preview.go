package verbs

import (
	"encoding/json"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"qlora/checkpoint"
	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/hub"
	"qlora/internal/mistaken"
	"qlora/nn/family"
	"qlora/tokenizer"
	"qlora/trainer/dataset"
)

// previewOptions are the options of preview, without those of the data.
type previewOptions struct {
	Limit int  `option:"limit" unit:"records" help:"records to show, with --packing sequences; 0: all. The statistics always cover all"`
	JSON  bool `option:"json" help:"print one line of JSON per sequence, and no statistics"`
}

// Preview returns the verb that shows the tokenized dataset.
func Preview() *cobra.Command {
	o := newTuneOptions()
	own := previewOptions{Limit: 3}
	set := options.New()
	set.Add("Preview", &own)
	o.register(set, true)
	return verb("preview", "show the dataset as the model will see it: the text, which tokens are trained on, the lengths", set, func(c *call) error {
		return o.preview(c, own)
	})
}

func (o *tuneOptions) preview(c *call, own previewOptions) error {
	if err := o.reading().Validate(); err != nil {
		return exit.AsWrong(err)
	}
	o.objective(c)
	if err := o.checkObjective(); err != nil {
		return err
	}
	if len(o.data.Dataset) == 0 {
		return exit.Wrongf("--dataset is missing: name the files to show")
	}
	if err := o.describe(c); err != nil {
		return err
	}
	if err := o.data.check(); err != nil {
		return err
	}
	var tok *tokenizer.Tokenizer
	if err := o.hub.models(c, (*hub.Client).FetchDescription); err != nil {
		return err
	}
	if o.data.Model != "" {
		if err := readable(o.data.Model); err != nil {
			return err
		}
		var err error
		if tok, _, err = o.tokenizer(); err != nil {
			return err
		}
		if config, err := family.ReadConfig(o.data.Model); err == nil { // a tokenizer alone is enough
			o.data.Records.VocabularySize = config.Vocabulary
			if tok != nil {
				o.data.Records.VocabularySize = max(config.Vocabulary, tok.Size())
			}
		}
	}
	set, _, err := o.trainSet(c, tok, nil)
	if err != nil {
		return err
	}
	shown := firstExamples(set, own.Limit)
	if o.run.Compares() {
		return o.previewCompared(c, own, set, shown, tok)
	}
	if own.JSON && o.run.Samples() {
		return printPrompts(c, shown)
	}
	if own.JSON {
		return printJSON(c, shown)
	}
	painter := painterFor(isTerminal(c.out))
	origins := set.Origins
	for i, e := range shown {
		documents := 1 // each with an origin; a file's packed record has one
		if set.Report.Packing != nil {
			documents = len(e.Starts)
		}
		heads := make([]string, max(1, len(e.Starts)))
		for k := range heads {
			origin := origins[min(k, documents-1)]
			heads[k] = fmt.Sprintf("%s, record %d, %s", set.Report.Place(origin), origin.Record, set.Report.Files[origin.File].Format)
		}
		origins = origins[documents:]
		fmt.Fprintf(c.out, "%s\n", painter.example(i+1, e, heads, tok))
	}
	fmt.Fprint(c.out, statisticsOf(set))
	return nil
}

// readable returns an error if the value of --model has neither a tokenizer nor a
// config.json, and so is no model folder.
func readable(model string) error {
	files, err := checkpoint.Files(model)
	if err != nil {
		return exit.AsWrong(err)
	}
	if _, err := fs.Stat(files, "config.json"); err == nil || tokenizer.ExistsIn(files) {
		return nil
	}
	return exit.AsWrong(mistaken.Model(model))
}

// firstExamples returns the examples of the first limit records, or the first limit
// sequences of a packed set.
func firstExamples(set *dataset.Set, limit int) []dataset.Example {
	if limit == 0 {
		return set.Examples
	}
	if set.Report.Packing != nil {
		return set.Examples[:min(limit, len(set.Examples))]
	}
	n := 0
	for i, origin := range set.Origins {
		if i == 0 || origin != set.Origins[i-1] {
			n++
		}
		if n > limit {
			return set.Examples[:i]
		}
	}
	return set.Examples
}

// printPrompts prints prompts whose completions are sampled.
func printPrompts(c *call, examples []dataset.Example) error {
	lines := json.NewEncoder(c.out)
	for _, e := range examples {
		err := lines.Encode(struct {
			IDs []int32 `json:"prompt_ids"`
		}{e.IDs})
		if err != nil {
			return err
		}
	}
	return nil
}

func printJSON(c *call, examples []dataset.Example) error {
	lines := json.NewEncoder(c.out)
	for _, e := range examples {
		err := lines.Encode(struct {
			IDs     []int32   `json:"input_ids"`
			Labels  []int32   `json:"labels"`
			Lengths []int     `json:"seq_lengths,omitempty"` // of the documents of a packed one, under trl's name
			Weights []float32 `json:"weights,omitempty"`     // of the tokens in the loss; none: 1 each
		}{e.IDs, e.Labels, e.Lengths(), e.Weights})
		if err != nil {
			return err
		}
	}
	return nil
}
