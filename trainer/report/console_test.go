package report

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/trainer"
)

// TestConsoleLines checks that without a terminal a run prints one line per logged step.
func TestConsoleLines(t *testing.T) {
	r := tinyRun(t)
	var b strings.Builder
	r.Outputs = []trainer.Output{NewConsole(&b)}
	require.NoError(t, train(t, t.Context(), r))
	require.NotContains(t, b.String(), "\r")
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	loss := `loss \d\.\d{4}  grad_norm \d\.\d{4}  learning_rate `
	want := []string{
		`^cpu: training 3328 parameters with \d+\.\d\d [KM]iB of memory, recompute none$`,
	}
	for _, line := range lines[1:] {
		if !strings.HasPrefix(line, "  ") {
			break
		}
		want = append(want, `^  [a-z0-9_ ]+ +\d+(\.\d\d [KM]i| )B$`)
	}
	want = append(
		want,
		`^13 records, 4 steps per epoch, 8 steps$`,
		`^step 2/8  epoch 0\.57  `+loss+`0\.00875  \d+ tokens/s$`,
		`^step 3/8  epoch 0\.86  eval_loss \d\.\d{4}  \(.*s\)$`,
		`^saved .*checkpoint-3$`,
		`^step 4/8  epoch 1\.00  `+loss+`0\.00625  \d+ tokens/s$`,
		`^step 6/8  epoch 1\.57  `+loss+`0\.00375  \d+ tokens/s$`,
		`^step 6/8  epoch 1\.57  eval_loss`,
		`^saved .*checkpoint-6$`,
		`^step 8/8  epoch 2\.00  `+loss+`0\.00125  \d+ tokens/s$`,
		`^step 8/8  epoch 2\.00  eval_loss`,
		`^saved .*checkpoint-8$`,
		`^trained in .*s, mean loss \d\.\d{4}$`,
	)
	require.Len(t, lines, len(want), b.String())
	for i, pattern := range want {
		require.Regexp(t, pattern, lines[i])
	}
}

// TestConsoleBar checks that on a terminal one bar stays below all other lines, and that
// a narrow one drops the least important parts first.
func TestConsoleBar(t *testing.T) {
	const told = `cpu: training 3328 parameters with 13.50 MiB of memory, recompute none
  weights_4bit    12.50 MiB
  activations      1.00 MiB
800 records, 100 steps per epoch, 300 steps
step 40/300  epoch 0.40  eval_loss 1.2500  (2.5s)
saved out/checkpoint-40
step 40/300  sample  "Q: 6 times 7?\nA:" → " 42"
-
`
	for _, c := range []struct {
		columns int
		frames  []string
	}{
		{80, []string{
			"reading the base  ━━━━━━━━━·····························  3.00 MiB of 12.50 MiB",
			"0/300  ····························································  first step",
			"39/300  ━━·················  loss 1.5000  12345 tokens/s  1h02m left  13.50 MiB",
			"evaluating  ━━━━━━━━━━━━━━·············································  25/100",
			"300/300  ━━━━━━━━━━━━━━━━━━━━━━━  loss 1.1250  987 tokens/s  0s left  13.50 MiB",
		}},
		{40, []string{
			"reading the base  3.00 MiB of 12.50 MiB",
			"0/300  ····················  first step",
			"39/300  loss 1.5000  1h02m left",
			"evaluating  ━━━━···············  25/100",
			"300/300  ━━━━━━━━  loss 1.1250  0s left",
		}},
		{12, []string{"reading the", "0/300", "39/300", "evaluating", "300/300"}},
	} {
		var b strings.Builder
		now := time.Unix(1_700_000_000, 0)
		out := newConsole(&b, func() int { return c.columns }, func() time.Time { now = now.Add(frame); return now })
		var frames []string
		seen := func() {
			shown := screen(b.String())
			frames = append(frames, shown[len(shown)-1])
			require.LessOrEqual(t, utf8.RuneCountInString(shown[len(shown)-1]), c.columns-1)
		}
		out.Work(trainer.Work{What: "reading the base", Done: 3 << 20, Total: 25 << 19, Bytes: true})
		seen()
		require.NoError(t, out.Start(&trainer.Begin{
			Device: bindings.Info{Name: "cpu"}, Plan: bindings.MemoryPlan{bindings.Weights4Bit: 25 << 19, bindings.Activations: 1 << 20}, Recompute: "none",
			Length: trainer.Length{Records: 800, StepsInEpoch: 100, Steps: 300}, Trainable: 3328,
		}))
		seen()
		step := trainer.StepDone{Step: 39, Steps: 300, Loss: 1.5, TokensPerSecond: 12345, Left: 62 * time.Minute, MemoryBytes: 27 << 19}
		out.Step(step)
		seen()
		out.Work(trainer.Work{What: "evaluating", Done: 25, Total: 100})
		seen()
		require.NoError(t, out.Log(trainer.Row{Record: trainer.Record{Step: 40, Epoch: 0.4, Loss: number(1.5), GradNorm: number(1), LearningRate: number(1)}}))
		require.NoError(t, out.Log(trainer.Row{Record: trainer.Record{Step: 40, Epoch: 0.4, EvalLoss: number(1.25), EvalRuntime: number(2.5)}}))
		require.NoError(t, out.Saved("out/checkpoint-40", 40))
		require.NoError(t, out.Sampled([]trainer.Sample{{Step: 40, Prompt: "Q: 6 times 7?\nA:", Completion: " 42"}}))
		narrow := c.columns
		c.columns = 30 // the window is resized: the next drawing is cut
		out.line("-")
		seen()
		frames, c.columns = frames[:4], narrow
		step.Step, step.Loss, step.TokensPerSecond, step.Left = 300, 1.125, 987, 0
		out.Step(step)
		seen()
		require.NoError(t, out.Stop(nil, nil))
		require.Equal(t, c.frames, frames)
		require.Equal(t, told+frames[4]+"\n", strings.Join(screen(b.String()), "\n"))
	}
}

// screen returns what a terminal shows for a text with carriage returns and "erase to
// the end of the line".
func screen(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		var cells []rune
		for part := range strings.SplitSeq(line, "\r") {
			at := 0
			for i, written := range strings.Split(part, "\x1b[K") {
				if i > 0 {
					cells = cells[:at]
				}
				for _, c := range written {
					cells = append(cells[:at], append([]rune{c}, cells[min(at+1, len(cells)):]...)...)
					at++
				}
			}
		}
		lines = append(lines, strings.TrimRight(string(cells), " "))
	}
	return lines
}

// TestConsoleTellsOfLongWork checks that long work prints a line from time to time
// without a terminal.
func TestConsoleTellsOfLongWork(t *testing.T) {
	var b strings.Builder
	now := time.Unix(1_700_000_000, 0)
	out := newConsole(&b, nil, func() time.Time { return now })
	for i := range int64(100) {
		out.Work(trainer.Work{What: "evaluating", Done: i, Total: 100})
		now = now.Add(time.Second)
	}
	require.Equal(t, "evaluating: 30/100\nevaluating: 60/100\nevaluating: 90/100\n", b.String())
}

func TestTimeLeft(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 59 * time.Second: "59s", 754 * time.Second: "12m34s", 2*time.Hour + 5*time.Minute: "2h05m", 100 * time.Hour: "4d04h"} {
		require.Equal(t, want, timeLeft(d))
	}
}
