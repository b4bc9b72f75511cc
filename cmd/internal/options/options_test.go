package options

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/exit"
)

type colour string

func (c colour) MarshalText() ([]byte, error) { return []byte(c), nil }

func (c *colour) UnmarshalText(text []byte) error {
	if string(text) != "red" && string(text) != "blue" && string(text) != "red,blue" && string(text) != `{"red":[1,true,"x"]}` {
		return errors.New("neither red nor blue")
	}
	*c = colour(text)
	return nil
}

// pairs is an option of names and values.
type pairs []string

func (p pairs) MarshalText() ([]byte, error) {
	if len(p) == 0 {
		return nil, nil
	}
	return json.Marshal([]string(p))
}

func (p *pairs) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(p))
	}
	*p = strings.Split(strings.Trim(string(text), "{}"), ",")
	return nil
}

type sample struct {
	Model   string   `option:"model" alias:"model_name_or_path" help:"the model"`
	Dataset []string `option:"dataset" help:"files"`
	Report  []string `option:"report_to" nothing:"none" help:"outputs"`
	Run     struct {
		Rate   float64 `option:"learning_rate" help:"the rate"`
		Steps  int     `option:"max_steps" unit:"steps" help:"how many"`
		Seed   uint64  `option:"seed" help:"the seed"`
		Data   *int64  `option:"data_seed" help:"the other seed"`
		Group  bool    `option:"group_by_length" help:"group"`
		Resume string  `option:"resume_from_checkpoint" bare:"newest" help:"go on"`
	}
	Compute  string `option:"bnb_4bit_compute_dtype" help:"type"`
	Strategy string `option:"save_strategy" help:"when"`
	Length   int    `option:"max_length" null:"0" help:"longest"`
	Targets  string `option:"target_modules" many:"true" help:"layers"`
	Init     string `option:"init_lora_weights" help:"true or a name"`
	Colour   colour `option:"colour" help:"of the bar"`
	Ranks    pairs  `option:"rank_pattern" help:"by name"`
	Plain    int    // not an option
}

func defaults() sample {
	s := sample{Compute: "bfloat16", Strategy: "steps", Colour: "red", Init: "true"}
	s.Run.Rate, s.Run.Steps, s.Run.Seed = 2e-4, -1, 42
	return s
}

// parse reads a command line, and the file with the text yaml, into got, as a program
// would.
func parse(t *testing.T, got *sample, yaml string, args ...string) error {
	t.Helper()
	_, err := parseSet(t, got, yaml, args...)
	return err
}

func parseSet(t *testing.T, got *sample, yaml string, args ...string) (*Set, error) {
	t.Helper()
	set := New()
	set.Add("Sample", got)
	set.Adopt(settings)
	root := &cobra.Command{Use: "program", SilenceErrors: true, SilenceUsage: true}
	verb := &cobra.Command{Use: "verb", RunE: func(*cobra.Command, []string) error { return set.Resolve() }}
	root.AddCommand(verb)
	set.Bind(verb)
	args = append([]string{"verb"}, args...)
	if yaml != "" {
		path := filepath.Join(t.TempDir(), "run.yaml")
		require.NoError(t, os.WriteFile(path, []byte(yaml), 0o600))
		args = append(args, "--config", path)
	}
	root.SetArgs(JoinValues(root, args))
	root.SetOut(io.Discard)
	return set, root.Execute()
}

func TestCommandLine(t *testing.T) {
	seven := int64(7)
	for _, c := range []struct {
		name string
		yaml string
		args []string
		want func(*sample)
	}{
		{"defaults", "", nil, func(*sample) {}},
		{"dashes", "", []string{"--learning-rate", "1e-3"}, func(s *sample) { s.Run.Rate = 1e-3 }},
		{"negative value", "", []string{"--max_steps", "-5"}, func(s *sample) { s.Run.Steps = -5 }},
		{"bare boolean", "", []string{"--group_by_length", "--seed=1"}, func(s *sample) { s.Run.Group, s.Run.Seed = true, 1 }},
		{"boolean with =", "group_by_length: true", []string{"--group_by_length=false"}, func(*sample) {}},
		{"boolean apart", "", []string{"--group_by_length", "True"}, func(s *sample) { s.Run.Group = true }},
		{"bare resume", "", []string{"--resume_from_checkpoint", "--seed", "1"}, func(s *sample) { s.Run.Resume, s.Run.Seed = "newest", 1 }},
		{"resume from", "", []string{"--resume_from_checkpoint", "out/checkpoint-5"}, func(s *sample) { s.Run.Resume = "out/checkpoint-5" }},
		{"resume with =", "", []string{"--resume-from-checkpoint=x"}, func(s *sample) { s.Run.Resume = "x" }},
		{"list", "", []string{"--dataset", "a, b", "--dataset=c"}, func(s *sample) { s.Dataset = []string{"a", "b", "c"} }},
		{"list over file", "dataset: [x, y]", []string{"--dataset", "a"}, func(s *sample) { s.Dataset = []string{"a"} }},
		{"alias", "", []string{"--model_name_or_path", "m"}, func(s *sample) { s.Model = "m" }},
		{"pointer", "", []string{"--data_seed", "7"}, func(s *sample) { s.Run.Data = &seven }},
		{"marshalled type", "", []string{"--colour", "blue"}, func(s *sample) { s.Colour = "blue" }},
		{"last wins", "", []string{"--seed", "1", "--seed", "2"}, func(s *sample) { s.Run.Seed = 2 }},
		{"bf16", "", []string{"--bf16=false"}, func(s *sample) { s.Compute = "float32" }},
		{"bf16 agrees", "", []string{"--bf16", "--bnb_4bit_compute_dtype", "bfloat16"}, func(*sample) {}},
		{"fp16 off", "fp16: false", nil, func(*sample) {}},
		{
			"file", "model: m\nlearning-rate: 1e-3\ndataset:\n  - 'a,b'\n  - c\nsave_strategy: no\ngroup_by_length: true\ndata_seed: 7\nseed: null\n", nil,
			func(s *sample) {
				s.Model, s.Run.Rate, s.Dataset, s.Strategy = "m", 1e-3, []string{"a,b", "c"}, "no"
				s.Run.Group, s.Run.Data = true, &seven
			},
		},
		{"file with a plain list", "dataset: a,b", nil, func(s *sample) { s.Dataset = []string{"a", "b"} }},
		{"command line over alias in file", "model_name_or_path: f", []string{"--model", "m"}, func(s *sample) { s.Model = "m" }},
		{"object", "", []string{"--rank_pattern", `{"a": 1}`}, func(s *sample) { s.Ranks = pairs{`"a": 1`} }},
		{"file with an object", "rank_pattern:\n  b: 2\n  'a.*\"': 1.5\n", nil, func(s *sample) { s.Ranks = pairs{`"b":2`, `"a.*\"":1.5`} }},
		{"file with an object of one", "rank_pattern:\n  b: 2\n", nil, func(s *sample) { s.Ranks = pairs{`"b":2`} }},
		{"file with an object of texts", "rank_pattern: {b: x, a: null, c: 1e-5, d: '1e-5'}\n", nil, func(s *sample) { s.Ranks = pairs{`"b":"x"`, `"a":null`, `"c":1e-5`, `"d":"1e-5"`} }},
		{"file with an object in braces", "rank_pattern: {b: 2, a: 1}\n", nil, func(s *sample) { s.Ranks = pairs{`"b":2`, `"a":1`} }},
		{"empty file", "# nothing\n", nil, func(*sample) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := defaults()
			c.want(&want)
			got := defaults()
			require.NoError(t, parse(t, &got, c.yaml, c.args...))
			assert.Equal(t, want, got)
		})
	}
}

func TestWrong(t *testing.T) {
	for _, c := range []struct {
		name string
		yaml string
		args []string
		want string // a part of the error
	}{
		{"typing error", "", []string{"--lerning_rate", "1"}, "there is no option lerning_rate; did you mean learning_rate?"},
		{"nothing like it", "", []string{"--qqqqqqqq", "1"}, "--help lists them"},
		{"short", "", []string{"-x"}, "there is no option -x"},
		{"no number", "", []string{"--learning_rate", "fast"}, `--learning_rate: "fast" is not a number`},
		{"NaN", "", []string{"--learning_rate", "NaN"}, "is not a number"},
		{"overflow", "", []string{"--learning_rate", "1e999"}, "too large"},
		{"fraction", "", []string{"--max_steps", "1.5"}, "is not a whole number"},
		{"negative", "", []string{"--seed", "-1"}, "whole number of 0 or more"},
		{"huge whole number", "", []string{"--max_steps", "1e300"}, "--max_steps: \"1e300\" is too large"},
		{"no value", "", []string{"--learning_rate"}, "--learning_rate needs a value"},
		{"an option as value", "", []string{"--model", "--seed", "7"}, "--model needs a value, but --seed follows it"},
		{"an option as value at the end", "", []string{"--dataset", "--group-by-length"}, "--dataset needs a value, but --group_by_length follows it"},
		{"large letters", "", []string{"--Max-Steps", "7"}, "there is no option Max_Steps; did you mean max_steps?"},
		{"empty list", "", []string{"--target_modules", "[]"}, "target_modules: the list is empty; leave the option out"},
		{"bad boolean", "", []string{"--group_by_length=maybe"}, "neither true nor false"},
		{"argument", "", []string{"train.jsonl"}, `"train.jsonl" does not belong to an option`},
		{"empty element", "", []string{"--dataset", "a,,b"}, "empty element"},
		{"type's own error", "", []string{"--colour", "green"}, "--colour: neither red nor blue"},
		{"two names", "", []string{"--model", "a", "--model_name_or_path", "b"}, "model and model_name_or_path are the same option"},
		{"bf16 disagrees", "", []string{"--bf16", "--bnb_4bit_compute_dtype", "float32"}, "are the same option"},
		{"fp16", "", []string{"--fp16"}, "--fp16: use `bf16`"},
		{"no boolean", "", []string{"--fp16=1.5"}, `--fp16: "1.5" is neither true nor false`},
		{"file: refused", "model: m\ndeepspeed: {a: [1, x]}", nil, "run.yaml:2: deepspeed: leave it out"},
		{"missing file", "", []string{"--config", "/nowhere/run.yaml"}, "/nowhere/run.yaml"},
		{"file: unknown", "model: m\nlerning_rate: 1", nil, "run.yaml:2: there is no option lerning_rate; did you mean learning_rate?"},
		{"file: value", "model: m\nseed: x", nil, `run.yaml:2: seed: "x" is not`},
		{"file: twice", "seed: 1\nseed: 2", nil, "seed"},
		{"file: twice by dash", "max-steps: 1\nmax_steps: 2", nil, "run.yaml:2: max_steps is set twice, first in line 1"},
		{"file: nested", "model:\n  name: x", nil, "run.yaml:1: model: not a plain value or a list"},
		{"file: object of lists", "rank_pattern:\n  b: [x]", nil, `run.yaml:1: rank_pattern: the value of "b" is neither a number nor a text`},
		{"file: list for an object", "rank_pattern: [b]", nil, "got a list"},
		{"file: list for a number", "seed: [1]", nil, "got a list"},
		{"file: nested list", "dataset: [[a]]", nil, "not a plain value"},
		{"file: empty list", "target_modules: []", nil, "the list is empty"},
		{"file: no mapping", "- a\n- b", nil, "not a list of options"},
		{"file: no YAML", "model: [a", nil, "not YAML"},
		{"file: nested anchor", "dataset: [&a m]", nil, "dataset: an element of the list is not a plain value"},
		{"file: unknown alias", "model: *a", nil, "model: not a plain value"},
		{"file: not UTF-8", "model: \xff", nil, "UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := defaults()
			err := parse(t, &got, c.yaml, c.args...)
			require.ErrorContains(t, err, c.want)
			assert.Equal(t, exit.Wrong, exit.CodeOf(t.Context(), err))
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestGiven(t *testing.T) {
	var got sample
	set, err := parseSet(t, &got, "seed: 3", "--model_name_or_path", "m")
	require.NoError(t, err)
	assert.True(t, set.Given("seed"))
	assert.True(t, set.Given("model"))
	assert.False(t, set.Given("learning_rate"))
}

// TestYAMLReadsBack checks that a file of YAML's text sets the same options.
func TestYAMLReadsBack(t *testing.T) {
	seed := int64(-3)
	want := defaults()
	want.Model = "no: \"yes\" # 'x' \\ \u00e9 \u2028 <&>\n1e5"
	want.Strategy = "no"
	want.Ranks = pairs{"a: \"b\"", "{"}
	want.Dataset = []string{"a,b", "true", "", "~", " c "}
	want.Run.Data = &seed
	want.Run.Rate = 1e-07
	want.Run.Group = true
	set := New()
	set.Add("Sample", &want)
	var hidden struct {
		H int `option:"hidden"`
	}
	set.AddHidden(&hidden)

	text := set.YAML("made by a test")
	assert.True(t, bytes.HasPrefix(text, []byte("# made by a test\nmodel: ")), "%s", text)
	assert.NotContains(t, string(text), "hidden")
	var got sample
	other := New()
	other.Add("Sample", &got)
	require.NoError(t, other.readYAML("run.yaml", text), "%s", text)
	require.NoError(t, other.wrong(), "%s", text)
	assert.Equal(t, want, got, "%s", text)
}

func TestHelp(t *testing.T) {
	got := defaults()
	set := New()
	set.Add("Sample", &got)
	set.Adopt(settings)
	cmd := &cobra.Command{Use: "verb", Short: "does something"}
	set.Bind(cmd)
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--help"})
	require.NoError(t, cmd.Execute())
	for _, want := range []string{
		"does something",
		"\nSample:\n",
		"--max_steps int                         how many [steps; default -1]\n",
		"--learning_rate number                  the rate [default 0.0002]\n",
		"the model [default none; also --model_name_or_path]\n",
		"--config text",
		"--bf16 bool",
	} {
		assert.Contains(t, out.String(), want)
	}
}

func TestHiddenOptionsAreUnderstood(t *testing.T) {
	var own struct {
		A int `option:"a"`
	}
	var hidden struct {
		B int `option:"b"`
	}
	set := New()
	set.Add("Own", &own)
	set.AddHidden(&hidden)
	cmd := &cobra.Command{Use: "verb", RunE: func(*cobra.Command, []string) error { return nil }}
	set.Bind(cmd)
	cmd.SetArgs([]string{"--a=1", "--b=2"})
	require.NoError(t, cmd.Execute())
	assert.NotContains(t, set.help(cmd), "--b")
}

func FuzzYAML(f *testing.F) {
	for _, seed := range []string{
		"model: m\nlearning_rate: 2e-4\n", "dataset: [a, 'b']\n", "dataset:\n  - a\n", "model: |\n  x\n", "- a", "a: &x [*x]",
		"model: !!binary aGk=", "? a\n: b", "<<: *a", "model: \"\\x00\"", "---\nmodel: a\n---\nmodel: b", "%YAML 1.2\n---\n", "{model: a, seed: 1}", "seed: .inf", "model: 'a",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := defaults()
		set := New()
		set.Add("Sample", &got)
		set.Adopt(settings)
		if set.readYAML("run.yaml", data) != nil {
			return
		}
		set.settle()
		if set.wrong() != nil {
			return
		}
		// Options that were read can be written and read back, except for texts
		// that only escaping makes too long.
		text := set.YAML()
		if len(text) > maxFile {
			return
		}
		again := defaults()
		other := New()
		other.Add("Sample", &again)
		require.NoError(t, other.readYAML("run.yaml", text), "%q", data)
		require.Equal(t, got, again, "%q", data)
	})
}

func TestDeepYAMLIsRefused(t *testing.T) {
	for _, open := range []string{"[", "{", "- ", "a: {"} {
		set := New()
		require.Error(t, set.readYAML("run.yaml", bytes.Repeat([]byte(open), maxFile/len(open))), open)
	}
}
