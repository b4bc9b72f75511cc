package trainer

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Where there is no terminal, a run tells a line a logged step.
func TestConsoleLines(t *testing.T) {
	r := tinyRun(t)
	var b strings.Builder
	r.Outputs = []Output{NewConsole(&b, false)}
	require.NoError(t, train(t, t.Context(), r))
	require.NotContains(t, b.String(), "\r")
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	loss := `loss \d\.\d{4}  grad_norm \d\.\d{4}  learning_rate `
	want := []string{
		`^cpu: 3328 parameters trained of \d+\.\d\d [KM]iB on the device, recompute none$`,
	}
	for _, line := range lines[1:] {
		if !strings.HasPrefix(line, "  ") {
			break
		}
		want = append(want, `^  [a-z0-9_ ]+ +\d+(\.\d\d [KM]i| )B$`)
	}
	want = append(
		want,
		`^13 records, 4 steps an epoch, 8 steps$`,
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

// On a terminal there is one bar, which stays below what else is told.
func TestConsoleBar(t *testing.T) {
	r := tinyRun(t)
	var b strings.Builder
	r.Outputs = []Output{NewConsole(&b, true)}
	require.NoError(t, train(t, t.Context(), r))
	shown := screen(b.String())
	require.NotContains(t, b.String(), "grad_norm", "no line a step beside the bar")
	for _, line := range shown {
		if strings.HasPrefix(line, "saved") {
			require.Regexp(t, `^saved .*checkpoint-\d+ *$`, line, "rests of the bar: %q", line)
		}
	}
	bar := regexp.MustCompile(`loss \d\.\d{4}  \d+ tokens/s  \S+ left`)
	require.Regexp(t, bar, b.String())
	bars := 0
	for _, line := range shown {
		if strings.Contains(line, "tokens/s") {
			bars++
		}
	}
	require.LessOrEqual(t, bars, 1, strings.Join(shown, "\n"))
}

// screen is what a terminal shows of a text with carriage returns and "erase the
// line".
func screen(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		var cells []rune
		for part := range strings.SplitSeq(line, "\r") {
			if at := strings.LastIndex(part, "\x1b[2K"); at >= 0 {
				cells, part = nil, part[at+len("\x1b[2K"):]
			}
			for i, c := range []rune(part) {
				if i < len(cells) {
					cells[i] = c
				} else {
					cells = append(cells, c)
				}
			}
		}
		lines = append(lines, strings.TrimRight(string(cells), " "))
	}
	return lines
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.00 KiB", 3 << 29: "1.50 GiB", 1 << 50: "1024.00 TiB"} {
		require.Equal(t, want, Bytes(n))
	}
}
