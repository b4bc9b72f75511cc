package reward

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/option"
)

func one(t *testing.T, text string, s Settings) Function {
	t.Helper()
	all, err := Parse([]string{text}, s)
	require.NoError(t, err)
	require.Len(t, all, 1)
	t.Cleanup(func() { require.NoError(t, all[0].Close()) })
	return all[0]
}

func TestBuiltins(t *testing.T) {
	schema := filepath.Join(t.TempDir(), "schema.json")
	require.NoError(t, os.WriteFile(schema, []byte(`{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 3}}}`), 0o644))
	none := math.NaN()
	for _, c := range []struct {
		reward, record, text string
		tokens               int
		want                 float64
	}{
		{"exact", `{"answer": "7"}`, " 7\n", 2, 1},
		{"exact", `{"answer": 7}`, "7", 2, 1},
		{"exact", `{"answer": "7"}`, "7.", 2, 0},
		{"exact", `{"answer": null}`, "7", 2, none},
		{"exact:solution", `{"solution": "x"}`, "x", 2, 1},
		{"number", `{"answer": "so 1,200"}`, "12 and 1200", 2, 1},
		{"number", `{"answer": "1200"}`, "1200 and -3", 2, 0},
		{"number", `{"answer": -3.5}`, "it is -3.50.", 2, 1},
		{"number", `{"answer": "4"}`, "none", 2, 0},
		{"math", `{"answer": "7"}`, `so \boxed{7}`, 2, 1},
		{"math:solution", `{"solution": "\\frac{1}{3}"}`, `\boxed{\dfrac{2}{6}}`, 2, 1},
		{"math", `{"answer": null}`, `\boxed{7}`, 2, none},
		{"regex:^yes[, ]", `{}`, "yes, indeed", 2, 1},
		{"regex:^yes[, ]", `{}`, "oh yes", 2, 0},
		{"length:10", `{}`, "", 10, 1},
		{"length:10", `{}`, "", 15, 0.5},
		{"length:10", `{}`, "", 30, 0},
		{"overlong:10:4", `{}`, "", 6, 0},
		{"overlong:10:4", `{}`, "", 9, -0.75},
		{"overlong:10:4", `{}`, "", 10, -1},
		{"overlong:10:4", `{}`, "", 11, -1},
		{"overlong:10:0", `{}`, "", 10, 0},
		{"get_soft_overlong_punishment", `{}`, "", 1088, -0.25},
		{"repetition", `{}`, "", 2, 0},
		{"repetition", `{}`, "", 6, -0.75},
		{"repetition:2", `{}`, "", 6, -0.8},
		{"json", `{}`, ` {"a": [1, 2]} `, 2, 1},
		{"json", `{}`, `{"a": 1} and more`, 2, 0},
		{"json_schema:" + schema, `{}`, `{"n": 4}`, 2, 1},
		{"json_schema:" + schema, `{}`, `{"n": 2}`, 2, 0},
		{"json_schema:" + schema, `{}`, `{"n"`, 2, 0},
		{"json_schema:" + schema, `{}`, `{"n": 1e300}`, 2, 1},
		{"json_schema:" + schema, `{}`, `{"n": 1e9999999}`, 2, 0},
		{"json_schema:" + schema, `{}`, `{"n": 4, "m": [1e-9999999]}`, 2, 0},
		{"format", `{}`, "<think>a</think>b", 2, 1},
		{"format", `{}`, "<think>a<think></think>b", 2, 0},
		{"format", `{}`, "b<think>a</think>", 2, 0},
		{"think_format_reward", `{}`, "<think>a</think>b", 2, 1},
		{"format:think+answer", `{}`, "<think>a</think>\n<answer>b</answer>\n", 2, 1},
		{"format:think+answer", `{}`, "<think>a</think> so <answer>b</answer>", 2, 0},
		{"format:think+answer", `{}`, "<answer>b</answer><think>a</think>", 2, 0},
	} {
		got, err := one(t, c.reward, Settings{}).Score(t.Context(), []Completion{{Record: []byte(c.record), Text: c.text, IDs: make([]int32, c.tokens)}})
		require.NoError(t, err, "%s of %q", c.reward, c.text)
		if math.IsNaN(c.want) {
			assert.True(t, math.IsNaN(got[0]), "%s of %q with %s: got %v, want none", c.reward, c.text, c.record, got[0])
			continue
		}
		assert.InDelta(t, c.want, got[0], 1e-12, "%s of %q with %s", c.reward, c.text, c.record)
	}
	_, err := one(t, "exact", Settings{}).Score(t.Context(), []Completion{{Record: []byte(`{"solution": "7"}`), Text: "7"}})
	require.ErrorContains(t, err, `a record has no column "answer"; name another one behind a colon`)
}

func TestParse(t *testing.T) {
	all, err := Parse([]string{"right=exact", "exact", "command:python3 tools/my judge.py --fast", "command:./check", "get_soft_overlong_punishment"}, Settings{})
	require.NoError(t, err)
	var names []string
	for _, f := range all {
		names = append(names, f.Name())
	}
	assert.Equal(t, []string{"right", "exact", "judge", "check", "soft_overlong_punishment_reward"}, names)
	for _, c := range []struct{ text, want string }{
		{"exakt", "did you mean exact?"},
		{"score", "it can be command, exact, format"},
		{"regex", "it needs a pattern"},
		{"regex:(", "not a regular expression"},
		{"length:short", "it needs a number of tokens"},
		{"overlong:10", "as in overlong:1280:256"},
		{"overlong:10:-1", "as in overlong:1280:256"},
		{"repetition:0", "as in repetition:3"},
		{"accuracy_reward", "it decides with Python's math_verify"},
		{"my_lib.rewards.close", "write a reward command of it"},
		{"think_format_rewards", "did you mean think_format_reward?"},
		{"json:x", "it has no argument"},
		{"json_schema:missing.json", "no such file"},
		{"json_schema:/dev/zero", "/dev/zero is not a file"},
		{"format:a,b", "is not the name of a tag"},
		{"command:", "it needs a command"},
	} {
		_, err := Parse([]string{c.text}, Settings{})
		require.ErrorContains(t, err, c.want, "reward_funcs %s", c.text)
		require.ErrorAs(t, err, new(*option.Error), "reward_funcs %s", c.text)
	}
	_, err = Parse([]string{"exact", "exact:other"}, Settings{})
	require.ErrorContains(t, err, "another reward is named exact, too")
}

// batch returns n completions, whose texts are their numbers.
func batch(n int) []Completion {
	var all []Completion
	for i := range n {
		all = append(all, Completion{Record: []byte(`{"prompt": "p", "k": 3}`), Text: fmt.Sprint(i), IDs: make([]int32, 2)})
	}
	return all
}

func TestCommand(t *testing.T) {
	// The completion's number is the only text in quotes that has digits alone.
	echo := `sed -u 's/.*"completion":"\([0-9]*\)".*/\1/'`
	f := one(t, "command:"+echo, Settings{Timeout: time.Minute})
	for range 3 { // one process judges all batches
		got, err := f.Score(t.Context(), batch(5))
		require.NoError(t, err)
		assert.Equal(t, []float64{0, 1, 2, 3, 4}, got)
	}
	var notes []string
	s := Settings{Timeout: time.Minute, Note: func(text string) { notes = append(notes, text) }}
	got, err := one(t, "command:"+`while read line; do echo null; done`, s).Score(t.Context(), batch(2))
	require.NoError(t, err)
	assert.True(t, math.IsNaN(got[0]) && math.IsNaN(got[1]), "null is no number: got %v", got)

	// A command that ends after a batch is started for the next one.
	f = one(t, "command:head -n 2 | "+echo, s)
	for range 2 {
		got, err = f.Score(t.Context(), batch(2))
		require.NoError(t, err)
		assert.Equal(t, []float64{0, 1}, got)
	}
	notes = nil // whether its end is seen before the next batch is a matter of time

	// One that dies in the middle is asked again.
	once := filepath.Join(t.TempDir(), "once")
	got, err = one(t, fmt.Sprintf("command:if [ -e %s ]; then %s; else touch %s; echo broken >&2; head -n 1 | %s; fi", once, echo, once, echo), s).Score(t.Context(), batch(3))
	require.NoError(t, err)
	assert.Equal(t, []float64{0, 1, 2}, got)
	require.Len(t, notes, 1)
	assert.Contains(t, notes[0], "ended after 1 of 3 lines: broken; it is started again")
}

func TestBadCommands(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"dies", "echo 'no model' >&2; exit 3", "its command (echo 'no model' >&2; exit 3) ended after 0 of 3 lines: no model"},
		{"too few lines", "head -n 1 >/dev/null; echo 1; echo 2", "ended after 2 of 3 lines"},
		{"hangs", "sleep 1000", "answered 0 of 3 completions in 300ms (`reward_timeout`)"},
		{"buffers", "cat >/dev/null", "answered 0 of 3 completions in 300ms"},
		{"nonsense", "while read line; do echo good; done", `answered completion 1 of 3 with "good"; it must be a number or null`},
		{"an object", `while read line; do echo '{"a": 1}'; done`, "it must be a number or null"},
		{"infinite", "while read line; do echo 1e999; done", "it must be a number or null"},
		{"too many lines", "while read line; do echo 1; echo 2; done; sleep 1000", "wrote more lines than completions"},
		{"endless line", "cat /dev/zero", "64 KiB"},
		{"no command", "/no/such/judge", "ended after 0 of 3 lines"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Settings{Timeout: 300 * time.Millisecond}
			if c.name != "hangs" && c.name != "buffers" {
				s.Timeout = time.Minute
			}
			f := one(t, "command:"+c.line, s)
			_, err := f.Score(t.Context(), batch(3))
			if c.name == "too many lines" && err == nil { // the lines may come later
				for range 100 {
					if _, err = f.Score(t.Context(), batch(3)); err != nil {
						break
					}
				}
			}
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "the reward ")
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := one(t, "command:sleep 1000", Settings{}).Score(ctx, batch(1))
	require.ErrorIs(t, err, context.Canceled)
}
