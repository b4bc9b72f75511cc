// Package demo shows the effect of tuning with QLoRA, in two minutes on two processors.
//
// Its embedded base model was trained on demo/town's texts about the people of a town, and has never seen a question. The demo stores the base in 4 bits,
// tunes it on questions about some of the people, and asks about the others before and after. The base already knew the answers; the adapter taught it how
// to answer.
//
// It is also an example of the packages nn, lora and trainer: tune.go trains, exam.go loads an adapter and generates.
package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/demo/town"
	"qlora/trainer"
	"qlora/trainer/report"
)

// Options are the settings of a demonstration. The command line reads the tags.
type Options struct {
	OutputDir  string `option:"output_dir" path:"true" help:"folder for the base, the questions, the adapter and the loss curve"`
	Compare    bool   `option:"compare" help:"tune by full fine-tuning, LoRA and QLoRA instead, and print one table"`
	Validation bool   `option:"validation" help:"ask the validation questions, by which the settings were chosen, instead of the held-out ones"`
}

// DefaultOptions returns the options of the demonstration in the README.
func DefaultOptions() Options { return Options{OutputDir: filepath.Join("out", "demo")} }

// Run gives the demonstration, and prints it to w.
func Run(ctx context.Context, w io.Writer, o Options) error {
	questions := town.New(townSeed).Questions()
	asked := questions.HeldOut
	if o.Validation {
		asked = questions.Validation
	}
	best, err := cpu.Options{}.Choose()
	if err != nil {
		return err
	}
	device, err := cpu.New(cpu.Options{Compute: best.Auto})
	if err != nil {
		return err
	}
	defer device.Close()
	if o.Compare {
		return compare(ctx, w, device, o.OutputDir, questions.Train, asked)
	}
	return demonstrate(ctx, w, device, o.OutputDir, questions.Train, asked)
}

// computeType returns torch's name of the type that the device computes in.
func computeType(dev *cpu.Device) string {
	return checkpoint.DType(dev.Info().Activation.String()).Torch()
}

// shown is the number of questions printed with their answers.
const shown = 10

// demonstrate asks, tunes on the training questions by QLoRA, and asks again.
func demonstrate(ctx context.Context, w io.Writer, dev *cpu.Device, out string, train, asked []town.Record) error {
	if err := clearLast(out); err != nil {
		return err
	}
	base := filepath.Join(out, "base")
	if err := writeBase(base); err != nil {
		return err
	}
	if err := writeQuestions(filepath.Join(out, "asked.jsonl"), asked); err != nil {
		return err
	}
	s := settingsOf(methodQLoRA)
	fmt.Fprintf(w, "device          %s, computing in %s\n", dev.Info().Detail, computeType(dev))
	fmt.Fprintf(w, "base            %s, its linear layers quantized to NF4 with double quantization\n", base)
	fmt.Fprintf(w, "questions       %d, about people whom tuning does not ask about; an answer is right if it is the expected word and no more\n", len(asked))
	before, err := examine(ctx, dev, base, base, true, "", asked)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "before tuning   %s\n\n", before.score())
	fmt.Fprintf(w, "QLoRA, rank %d on all linear layers, %d other questions:\n", s.rank, len(train))
	r, err := tune(ctx, dev, out, methodQLoRA, s, train, report.NewConsole(w))
	if err != nil {
		return err
	}
	after, err := examine(ctx, dev, base, base, true, out, asked)
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := printAnswers(w, before, after); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nbefore tuning   %s\nafter tuning    %s\n", before.score(), after.score())
	fmt.Fprintf(w, "speed           %.0f tokens/s\n", r.tokensPerSecond)
	fmt.Fprintf(w, "memory          %s at the peak: %s\n", trainer.Bytes(r.plan.Bytes.Total()), categories(r.plan.Bytes))
	fmt.Fprintf(w, "adapter         %s, as PEFT loads it\n", filepath.Join(out, "adapter_model.safetensors"))
	fmt.Fprintf(w, "loss            %s\n", filepath.Join(out, "loss.png"))
	return nil
}

// clearLast removes the folder that the last demonstration left, in this version or an
// older one: the trainer takes no other run's folder. A folder of other files stays.
func clearLast(out string) error {
	for _, file := range []string{"trainer_state.json", filepath.Join("base", "config.json")} {
		if _, err := os.Stat(filepath.Join(out, file)); err != nil {
			return nil
		}
	}
	return os.RemoveAll(out)
}

// score returns the exact match as text.
func (e *exam) score() string {
	return fmt.Sprintf("%d of %d questions answered exactly (%.1f %%)", e.right(), len(e.questions), 100*e.accuracy())
}

func categories(plan bindings.MemoryPlan) string {
	var parts []string
	for _, category := range bindings.Categories {
		if n := plan[category]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", category, trainer.Bytes(n)))
		}
	}
	return strings.Join(parts, ", ")
}

func printAnswers(w io.Writer, before, after *exam) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "question\tbefore\tafter\texpected")
	for i, q := range after.questions[:min(shown, len(after.questions))] {
		question := strings.TrimSuffix(strings.TrimPrefix(q.Prompt, "Q: "), "\nA:")
		fmt.Fprintf(table, "%s\t%q\t%q\t%q\n", question, cut(before.answers[i], 32), cut(after.answers[i], 32), q.Completion)
	}
	return table.Flush()
}

// cut shortens text to at most n characters.
func cut(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}
