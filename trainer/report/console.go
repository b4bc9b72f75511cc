package report

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"qlora/bindings"
	"qlora/trainer"
)

// console prints the progress of a run: on a terminal a bar with loss, tokens/s, time
// left and memory, elsewhere one line per logged step.
type console struct {
	w     io.Writer
	now   func() time.Time
	bar   *bar // nil if not a terminal
	steps int
	last  *trainer.StepDone // shown by the bar during training
	told  time.Time         // time of the last line about work, without a bar
}

// NewConsole returns the output for people. It draws a bar where w is a terminal.
func NewConsole(w io.Writer) trainer.Output {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return newConsole(w, func() int { return columns(f) }, time.Now)
	}
	return newConsole(w, nil, time.Now)
}

// newConsole returns a console with a bar if columns, which returns the terminal's
// width, is not nil.
func newConsole(w io.Writer, columns func() int, now func() time.Time) *console {
	c := &console{w: w, now: now, told: now()}
	if columns != nil {
		c.bar = &bar{w: w, columns: columns, now: now}
	}
	return c
}

// columns returns the width of a terminal, 80 if unknown.
func columns(f *os.File) int {
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

func (c *console) Start(b *trainer.Begin) error {
	if c.bar != nil {
		c.bar.clear()
	}
	c.steps = b.Length.Steps
	c.line("%s: training %s with %s of memory, %v", b.Device.Name, parameters(b.Trainable), trainer.Bytes(b.Plan.Total()), b.Fitting)
	for _, category := range bindings.Categories {
		if n := b.Plan[category]; n > 0 {
			c.line("  %-14s %10s", category, trainer.Bytes(n))
		}
	}
	for _, category := range bindings.HostCategories {
		if n := b.Plan[category]; n > 0 {
			c.line("  %-14s %10s of the host", category, trainer.Bytes(n))
		}
	}
	c.line("%d records, %d steps per epoch, %d steps", b.Length.Records, b.Length.StepsInEpoch, b.Length.Steps)
	if b.Resumed != "" {
		c.line("resuming from %s", b.Resumed)
	}
	if c.bar != nil {
		c.bar.draw(int64(b.Step), int64(c.steps), part{fmt.Sprintf("%d/%d", b.Step, c.steps), 0}, part{"first step", 1})
	}
	return nil
}

func (c *console) Step(p trainer.StepDone) {
	c.last = &p
	c.drawStep()
}

func (c *console) drawStep() {
	if c.bar == nil || c.last == nil {
		return
	}
	p := c.last
	c.bar.draw(
		int64(p.Step), int64(p.Steps),
		part{fmt.Sprintf("%d/%d", p.Step, p.Steps), 0},
		part{fmt.Sprintf("loss %.4f", p.Loss), 1},
		part{fmt.Sprintf("%.0f tokens/s", p.TokensPerSecond), 3},
		part{timeLeft(p.Left) + " left", 2},
		part{trainer.Bytes(p.MemoryBytes), 4},
	)
}

// quiet is the interval of lines about long work without a bar.
const quiet = 30 * time.Second

func (c *console) Work(w trainer.Work) {
	amount := fmt.Sprintf("%d/%d", w.Done, w.Total)
	if w.Bytes {
		amount = fmt.Sprintf("%s of %s", trainer.Bytes(w.Done), trainer.Bytes(w.Total))
	}
	switch now := c.now(); {
	case c.bar != nil:
		c.bar.draw(w.Done, w.Total, part{w.What, 0}, part{amount, 1})
	case now.Sub(c.told) >= quiet:
		c.told = now
		c.line("%s: %s", w.What, amount)
	}
}

func (c *console) Log(r trainer.Row) error {
	c.told = c.now()
	switch {
	case r.TrainLoss != nil:
		c.line("trained in %s, mean loss %.4f", seconds(*r.TrainRuntime), *r.TrainLoss)
	case r.EvalLoss != nil:
		c.line("step %d/%d  epoch %.2f  eval_loss %.4f%s  (%s)", r.Step, c.steps, r.Epoch, *r.EvalLoss, preferred(r.Compared, "eval_"), seconds(*r.EvalRuntime))
	case r.Loss != nil && c.bar == nil:
		c.line("step %d/%d  epoch %.2f  loss %.4f  grad_norm %.4f  learning_rate %.3g  %.0f tokens/s%s",
			r.Step, c.steps, r.Epoch, *r.Loss, *r.GradNorm, *r.LearningRate, *r.TokensPerSecond, preferred(r.Compared, ""))
	}
	return nil
}

// preferred formats a row's mean reward, its margin of the rewards and its share of pairs with a
// margin above 0, as far as it has them.
func preferred(compared map[string]trainer.Number, prefix string) string {
	text := ""
	if v, ok := compared[prefix+"reward"]; ok {
		text += fmt.Sprintf("  reward %.4f", float64(v))
	}
	if v, ok := compared[prefix+"rewards/margins"]; ok {
		text += fmt.Sprintf("  margin %.4f", float64(v))
	}
	if v, ok := compared[prefix+"rewards/accuracies"]; ok {
		text += fmt.Sprintf("  accuracy %.2f", float64(v))
	}
	return text
}

// Sampled prints every sample on one line.
func (c *console) Sampled(samples []trainer.Sample) error {
	for _, s := range samples {
		reward := ""
		if s.Reward != nil {
			reward = fmt.Sprintf("  reward %.4g", float64(*s.Reward))
		}
		c.line("step %d/%d  sample  %q → %q%s", s.Step, c.steps, ending(s.Prompt, 60), beginning(s.Completion, 160), reward)
	}
	return nil
}

func (c *console) Saved(dir string, _ int) error {
	c.line("saved %s", dir)
	return nil
}

// Stop leaves the bar at the last step.
func (c *console) Stop(*trainer.State, error) error {
	if c.bar != nil && c.bar.shown != "" {
		c.bar.drawn = time.Time{}
		c.drawStep()
		fmt.Fprintln(c.w)
		c.bar.shown = ""
	}
	return nil
}

// line prints a separate line, above the bar if there is one.
func (c *console) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if c.bar != nil {
		c.bar.line(text)
		return
	}
	fmt.Fprintln(c.w, text)
}

// beginning returns text cut to at most n characters.
func beginning(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

// ending returns at most the last n characters of a text: a completion begins at the end
// of its prompt.
func ending(text string, n int) string {
	text = strings.TrimSpace(text)
	if r := []rune(text); len(r) > n {
		return "…" + string(r[len(r)-n+1:])
	}
	return text
}

func seconds(n trainer.Number) time.Duration {
	return time.Duration(float64(n) * float64(time.Second)).Round(100 * time.Millisecond)
}

// timeLeft formats a duration in its two largest units: "2h05m".
func timeLeft(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 24*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

// parameters formats a count of parameters: "1.20 M parameters".
func parameters(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f G parameters", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2f M parameters", float64(n)/1e6)
	}
	return fmt.Sprintf("%d parameters", n)
}
