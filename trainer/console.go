package trainer

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"qlora/bindings"
)

// console tells people how a run goes: a progress bar with loss, tokens/s and
// time left where a terminal shows it, one line a logged step elsewhere.
type console struct {
	w        io.Writer
	terminal bool
	bar      *progressbar.ProgressBar
	steps    int
}

// NewConsole is the output for people. terminal says whether w is one.
func NewConsole(w io.Writer, terminal bool) Output { return &console{w: w, terminal: terminal} }

func (c *console) Start(b *Begin) error {
	c.steps = b.Length.Steps
	c.line("%s: %s trained of %s on the device, recompute %s", b.Device.Name, parameters(b.Trainable), Bytes(b.Plan.Total()), b.Recompute)
	for _, category := range bindings.Categories {
		if n := b.Plan[category]; n > 0 {
			c.line("  %-14s %10s", category, Bytes(n))
		}
	}
	c.line("%d records, %d steps an epoch, %d steps", b.Length.Records, b.Length.StepsInEpoch, b.Length.Steps)
	if b.Resumed != "" {
		c.line("going on from %s", b.Resumed)
	}
	if c.terminal {
		c.bar = progressbar.NewOptions(c.steps,
			progressbar.OptionSetWriter(c.w),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetPredictTime(false), // Describe shows the time left by our own pace
			progressbar.OptionShowCount(),
			progressbar.OptionFullWidth(),
		)
		return c.bar.Set(b.Step)
	}
	return nil
}

func (c *console) Step(p Progress) {
	if c.bar == nil {
		return
	}
	c.bar.Describe(fmt.Sprintf("loss %.4f  %.0f tokens/s  %s left", p.Loss, p.TokensPerSecond, p.Left.Round(time.Second)))
	_ = c.bar.Set(p.Step) // a bar that cannot be drawn is no reason to stop a run
}

func (c *console) Log(r Row) error {
	switch {
	case r.TrainLoss != nil:
		c.line("trained in %s, mean loss %.4f", seconds(*r.TrainRuntime), *r.TrainLoss)
	case r.EvalLoss != nil:
		c.line("step %d/%d  epoch %.2f  eval_loss %.4f  (%s)", r.Step, c.steps, r.Epoch, *r.EvalLoss, seconds(*r.EvalRuntime))
	case r.Loss != nil && c.bar == nil:
		c.line("step %d/%d  epoch %.2f  loss %.4f  grad_norm %.4f  learning_rate %.3g  %.0f tokens/s",
			r.Step, c.steps, r.Epoch, *r.Loss, *r.GradNorm, *r.LearningRate, *r.TokensPerSecond)
	}
	return nil
}

func (c *console) Saved(dir string, _ int) error {
	c.line("saved %s", dir)
	return nil
}

func (c *console) Stop(*State, error) error {
	if c.bar != nil {
		_ = c.bar.Exit()
		fmt.Fprintln(c.w)
	}
	return nil
}

// line writes a line of its own, above the bar where there is one.
func (c *console) line(format string, args ...any) {
	if c.bar != nil {
		_ = c.bar.Clear()
	}
	fmt.Fprintf(c.w, format+"\n", args...)
}

func seconds(n Number) time.Duration {
	return time.Duration(float64(n) * float64(time.Second)).Round(100 * time.Millisecond)
}

// Bytes is a size for people: "1.25 GiB".
func Bytes(n int64) string {
	const units = "KMGT"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n)/1024, 0
	for x >= 1024 && unit < len(units)-1 {
		x, unit = x/1024, unit+1
	}
	return fmt.Sprintf("%.2f %ciB", x, units[unit])
}

// parameters is a count of parameters for people: "1.2 M parameters".
func parameters(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f G parameters", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2f M parameters", float64(n)/1e6)
	}
	return fmt.Sprintf("%d parameters", n)
}
