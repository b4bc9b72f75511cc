package verbs

import (
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
	"qlora/trainer"
	"qlora/trainer/report"
)

// Train is the verb that fine-tunes.
func Train() *cobra.Command {
	o := newTuneOptions()
	set := options.New()
	o.register(set, false)
	return verb("train", "fine-tunes a model: method qlora, lora or full", set, o.train)
}

func (o *tuneOptions) train(c *call) error {
	if len(o.data.Dataset) == 0 {
		return exit.Wrongf("--dataset is missing: name the files to train on")
	}
	if err := o.run.Validate(); err != nil {
		return exit.AsWrong(err)
	}
	outputs := append(report.Files(&o.run), report.NewConsole(c.err))
	page, err := o.page(c)
	if err != nil {
		return err
	}
	if page != nil {
		defer page.Close()
		outputs = append(outputs, page)
	}
	model, err := o.model(false)
	if err != nil {
		return err
	}
	defer model.Close()
	tok, err := openTokenizerIfAny(o.data.Model)
	if err != nil {
		return err
	}
	o.data.Records.VocabularySize = model.Config.Vocabulary
	cache := o.cache()
	train, err := o.trainSet(c, tok, cache)
	if err != nil {
		return err
	}
	eval, err := o.evalSet(c, tok, cache)
	if err != nil {
		return err
	}
	prompts, err := o.prompts(c, tok, model, eval.Examples)
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
	dev, err := o.machine.open()
	if err != nil {
		return err
	}
	defer closeDevice(dev)
	info := dev.Info()
	o.machine.Device = info.Name
	files = append(files, trainer.File{Name: "run.yaml", Data: c.set.YAML(
		fmt.Sprintf("every option as it was resolved; %s, %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH),
		fmt.Sprintf("device %s: %s", info.Name, info.Detail),
	)})
	t, err := trainer.New(trainer.Run{
		Base: model, Args: o.run, TrainSet: train.Examples, EvalSet: eval.Examples, Device: dev,
		Prompts: prompts, Files: files, Outputs: outputs, Note: c.note,
	})
	if err != nil {
		return exit.AsWrong(err)
	}
	if cache != nil {
		// From here on the run is known to be sound, and may write.
		if err := cache.Save(); err != nil {
			c.note(fmt.Sprintf("the token ids could not be kept for another run: %v", err))
		}
	}
	// What reading took goes back to the system: from here on the run holds what
	// its plan says, and the little that a step allocates is collected early.
	debug.FreeOSMemory()
	debug.SetGCPercent(20)
	return t.Train(c)
}

// withTemplate puts the chat template that was asked for into the files beside
// the adapter, in place of the model's own: what was trained by it is asked by it.
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
