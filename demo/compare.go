package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/demo/town"
	"qlora/internal/atomicfile"
	"qlora/trainer/report"
)

// compareHead is the table's header.
const compareHead = "| method | trainable parameters | weights | gradients and optimizer | peak | held-out accuracy | tokens/s |\n|---|--:|--:|--:|--:|--:|--:|\n"

// compare tunes by each method on the same questions for the same number of steps, and prints a table, which it also writes to compare.md in the folder.
func compare(ctx context.Context, w io.Writer, dev *cpu.Device, out string, train, asked []town.Record) error {
	fmt.Fprintln(w, "device ", dev.Info().Detail)
	var table bytes.Buffer
	table.WriteString(compareHead)
	for _, method := range []string{methodFull, methodLoRA, methodQLoRA} {
		row, err := compareMethod(ctx, w, dev, filepath.Join(out, method), method, train, asked)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		table.WriteString(row)
	}
	s := settingsOf(methodQLoRA)
	fmt.Fprintf(&table, "\n%d steps of %d questions each, in the same order; rank %d on all linear layers; learning rate %g, with full fine-tuning %g; %d questions held out.\nSizes are bytes. Computed in %s. On: %s.\n",
		s.steps, s.batch, s.rank, s.rate, settingsOf(methodFull).rate, len(asked), computeType(dev), dev.Info().Detail)
	fmt.Fprintf(w, "\n%s", table.Bytes())
	path := filepath.Join(out, "compare.md")
	if err := atomicfile.WriteFile(path, table.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nwritten to", path)
	return nil
}

// compareMethod tunes by one method and returns its line of the table.
func compareMethod(ctx context.Context, w io.Writer, dev *cpu.Device, out, method string, train, asked []town.Record) (string, error) {
	if err := clearLast(out); err != nil {
		return "", err
	}
	base := filepath.Join(out, "base")
	if err := writeBase(base); err != nil {
		return "", err
	}
	fmt.Fprintf(w, "\n%s:\n", method)
	r, err := tune(ctx, dev, out, method, settingsOf(method), train, report.NewConsole(w))
	if err != nil {
		return "", err
	}
	e, err := examineTuned(ctx, dev, out, method, asked)
	if err != nil {
		return "", err
	}
	b := r.plan.Bytes
	return fmt.Sprintf("| %s |%s | %.1f %% | %.0f |\n", method,
		grouped(r.plan.Trainable, b[bindings.Weights4Bit]+b[bindings.Weights16Bit]+b[bindings.Adapters], b[bindings.Gradients]+b[bindings.Optimizer], b.Total()),
		100*e.accuracy(), r.tokensPerSecond), nil
}

// examineTuned examines the model that tune wrote to out. A fully tuned model uses the base's tokenizer.
func examineTuned(ctx context.Context, dev bindings.Device, out, method string, asked []town.Record) (*exam, error) {
	base := filepath.Join(out, "base")
	if method == methodFull {
		return examine(ctx, dev, base, out, false, "", asked)
	}
	return examine(ctx, dev, base, base, method == methodQLoRA, out, asked)
}

// grouped returns numbers as cells of a table, with a space between thousands.
func grouped(numbers ...int64) string {
	var cells []string
	for _, n := range numbers {
		s := fmt.Sprint(n)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + " " + s[i:]
		}
		cells = append(cells, " "+s)
	}
	return strings.Join(cells, " |")
}
