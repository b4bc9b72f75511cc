package verbs

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/internal/chattemplate"
	"qlora/internal/version"
	"qlora/option"
	"qlora/trainer"
	"qlora/trainer/dataset"
	"qlora/trainer/report"
)

// Train returns the verb that fine-tunes a model.
func Train() *cobra.Command {
	o := newTuneOptions()
	return verb("train", "fine-tune a model with QLoRA, LoRA or full fine-tuning", o.set(), o.train)
}

// TrainOptions returns the options of Train.
func TrainOptions() *options.Set { return newTuneOptions().set() }

func (o *tuneOptions) set() *options.Set {
	set := options.New()
	o.register(set, false)
	return set
}

func (o *tuneOptions) train(c *call) error {
	ranks, err := o.join(c)
	if err == nil {
		err = o.trainAs(c, ranks)
	}
	if ranks == nil {
		return err
	}
	return ranks.end(err)
}

// trainAs trains as one of the ranks. Rank 0 writes and shows the run.
func (o *tuneOptions) trainAs(c *call, ranks *launched) error {
	o.objective(c)
	if err := o.describe(c); err != nil {
		return err
	}
	if err := o.evaluation(c); err != nil {
		return err
	}
	if err := o.check(c); err != nil {
		return err
	}
	if len(o.data.Dataset) == 0 {
		return exit.Wrongf("--dataset is missing: name the files to train on")
	}
	if !ranks.first() { // rank 0 does
		o.publish = publishOptions{}
	}
	uploader, repo, err := o.target(c)
	if err != nil {
		return err
	}
	cache := o.cache()
	var outputs []trainer.Output
	if ranks.first() {
		outputs = append(report.Files(&o.run), report.NewConsole(c.err), &cacheOutput{cache: cache, note: c.note})
	}
	if ranks.first() {
		page, err := o.page(c)
		if err != nil {
			return err
		}
		if page != nil {
			defer page.Close()
			outputs = append(outputs, page)
		}
	}
	model, err := o.model(c, false)
	if err != nil {
		return err
	}
	defer model.Close()
	if err := o.run.CheckOutputs(model, slices.Concat(o.data.Dataset, o.data.Eval)); err != nil {
		return exit.AsWrong(err)
	}
	tok, err := o.vocabulary(c, model)
	if err != nil {
		return err
	}
	o.data.Records.VocabularySize = model.Config.Vocabulary
	train, eval, err := ranks.sets(c, cache, func(cache *dataset.Cache) (train, eval *dataset.Set, err error) { return o.sets(c, tok, cache) })
	if err != nil {
		return err
	}
	ends, err := o.ends(c, tok, model, train)
	if err != nil {
		return err
	}
	prompts, err := o.prompts(c, tok, ends, eval.Examples)
	if err != nil {
		return err
	}
	rollouts, err := o.rollouts(c, tok, ends)
	if err != nil {
		return err
	}
	files, err := model.SideFiles()
	if err != nil {
		return exit.AsWrong(err)
	}
	if files, err = o.withTemplate(files); err != nil {
		return err
	}
	if files, err = o.withTokenizer(files, tok); err != nil {
		return err
	}
	if files, err = model.WithEnds(files, ends, train.Examples); err != nil {
		return exit.AsWrong(err)
	}
	devices, err := ranks.devices(c, o, computeOf(o.quantize, o.run.ContinuedCompute()))
	if err != nil {
		return err
	}
	defer closeDevices(devices)
	info := devices[0].Info()
	c.noteCompute(o.quantize, info)
	if len(devices) == 1 {
		o.machine.Device = info.Name
	}
	if o.run.WorldSize == 0 && o.run.Resume == "" { // a run that is resumed has the checkpoint's
		o.run.WorldSize = max(len(devices), ranks.size())
	}
	o.quantize.SetCompute(info.Activation)
	files = append(files, trainer.File{Name: "run.yaml", Data: c.set.YAML(
		fmt.Sprintf("all options of this run, resolved; qlora %s, %s, %s/%s", version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH),
		fmt.Sprintf("device %s: %s", info.Name, info.Detail),
	)})
	t, err := trainer.New(trainer.Run{
		Base: model, Args: o.run, TrainSet: train.Examples, EvalSet: eval.Examples, Device: devices[0], Others: devices[1:], Group: ranks.group, Machine: bootID(),
		Inputs: dataset.PathsOf(slices.Concat(o.data.Dataset, o.data.Eval)), Prompts: prompts, Rollouts: rollouts, Files: files, Outputs: outputs, Note: c.note,
	})
	if err != nil {
		return exit.AsWrong(err)
	}
	// Return the memory of reading to the system: from here on the run uses what its
	// plan says. Collect the little that a step allocates early.
	debug.FreeOSMemory()
	debug.SetGCPercent(20)
	err = t.Train(c)
	if errors.As(err, new(*option.Error)) { // another run took the folder since New
		return exit.AsWrong(err)
	}
	if err != nil {
		return err
	}
	for _, warning := range slices.Concat(train.Report.Warnings(), eval.Report.Warnings()) {
		c.note(warning) // said before training, too
	}
	return o.push(c, uploader, repo)
}

// withTemplate replaces the model's chat template in the adapter's files by the one of
// --chat_template, so that generation uses the template of training.
func (o *tuneOptions) withTemplate(files []trainer.File) ([]trainer.File, error) {
	if o.data.Records.ChatTemplate == "" {
		return files, nil
	}
	folder, err := chattemplate.OpenFolder(o.data.Model)
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	chat, err := chattemplate.NewChat(folder, o.data.Records.ChatTemplate)
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	files = slices.DeleteFunc(files, func(f trainer.File) bool { return f.Name == chattemplate.TemplateFile })
	return append(files, trainer.File{Name: chattemplate.TemplateFile, Data: []byte(chat.Source())}), nil
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
