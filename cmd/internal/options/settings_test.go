package options

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// settings are names that are no options.
var settings = []Setting{
	{Name: "rate", Option: "learning_rate"},
	{Name: "elsewhere", Option: "not_here"},
	{Name: "bf16", Bool: true, Quiet: []string{"auto"}, Help: "compute in bfloat16", Sets: func(value string, _ func(string) string) ([]Given, error) {
		switch on, err := Boolean(value); {
		case value == "auto":
			return nil, nil
		case err == nil && on:
			return []Given{{"bnb_4bit_compute_dtype", "bfloat16"}}, nil
		}
		return []Given{{"bnb_4bit_compute_dtype", "float32"}}, nil
	}},
	{Name: "fp16", Bool: true, Quiet: []string{"false"}, Refuse: "use `bf16`"},
	{Name: "workers", Note: "one is enough", Quiet: []string{"0"}},
	{Name: "pin_memory", Note: "one is enough", Quiet: []string{"true"}, Bool: true},
	{Name: "deepspeed", Refuse: "leave it out"},
	{Name: "config_of", Sets: func(value string, given func(string) string) ([]Given, error) {
		if value == "seed" {
			return []Given{{"seed", "7"}, {"workers", given("seed")}}, nil
		}
		return []Given{{"deepspeed", value}, {"nothing_like_it", value}}, nil
	}},
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name  string
		yaml  string
		args  []string
		want  func(*sample)
		notes []string
	}{
		{"another name", "rate: 1e-3", nil, func(s *sample) { s.Run.Rate = 1e-3 }, nil},
		{"another name, by dash", "", []string{"--rate=1e-3"}, func(s *sample) { s.Run.Rate = 1e-3 }, nil},
		{"quiet value", "workers: 0.0\npin_memory: yes\nfp16: off", []string{"--deepspeed", "none"}, func(*sample) {}, nil},
		{"null and empty", "workers: null\ndeepspeed: {}\nbf16:\n", nil, func(*sample) {}, nil},
		{
			"notes that are one line", "workers: 4",
			[]string{"--pin-memory", "False", "--seed", "1"},
			func(s *sample) { s.Run.Seed = 1 },
			[]string{"`pin_memory`, `workers` have no effect here: one is enough"},
		},
		{"note of a list", "workers: [1, 2]", nil, func(*sample) {}, []string{"`workers` has no effect here: one is enough"}},
		{"command line over file", "bf16: true", []string{"--bf16=false"}, func(s *sample) { s.Compute = "float32" }, nil},
		{"option over file", "bf16: false", []string{"--bnb_4bit_compute_dtype", "bfloat16"}, func(*sample) {}, nil},
		{"a setting's settings", "config_of: seed", nil, func(s *sample) { s.Run.Seed = 7 }, nil},
		{
			"a setting's settings with others", "config_of: seed\nseed: 7", nil,
			func(s *sample) { s.Run.Seed = 7 },
			[]string{"`workers` has no effect here: one is enough"},
		},
		{"no", "", []string{"--no_group_by_length", "--no-pin-memory"}, func(*sample) {}, []string{"`pin_memory` has no effect here: one is enough"}},
		{"several values", "", []string{"--dataset", "a", "b", "-", "--seed", "1", "--target_modules", "q", "v"}, func(s *sample) {
			s.Dataset, s.Run.Seed, s.Targets = []string{"a", "b", "-"}, 1, "q,v"
		}, nil},
		{"several values of a setting", "", []string{"--workers", "1", "2", "--seed", "1"}, func(s *sample) { s.Run.Seed = 1 }, []string{"`workers` has no effect here: one is enough"}},
		{"null that means a value", "max_length: null", nil, func(s *sample) { s.Length = 0 }, nil},
		{"byte order mark", "\ufeffmodel: m\nseed: 3", nil, func(s *sample) { s.Model, s.Run.Seed = "m", 3 }, nil},
		{"windows", "model: m\r\nseed: 3\r\n", nil, func(s *sample) { s.Model, s.Run.Seed = "m", 3 }, nil},
		{"numbers", "learning_rate: 2e-4\nmax_steps: 1_000\nseed: 0x10", nil, func(s *sample) { s.Run.Steps, s.Run.Seed = 1000, 16 }, nil},
		{"whole numbers", "learning_rate: '1e-3'\nmax_steps: 1e3\nseed: 010", nil, func(s *sample) { s.Run.Rate, s.Run.Steps, s.Run.Seed = 1e-3, 1000, 10 }, nil},
		{"a float that is whole", "max_steps: 100.0\nlearning_rate: 1_0.5", nil, func(s *sample) { s.Run.Steps, s.Run.Rate = 100, 10.5 }, nil},
		{"True", "group_by_length: True", nil, func(s *sample) { s.Run.Group = true }, nil},
		{"a text that may be False", "init_lora_weights: False", nil, func(s *sample) { s.Init = "false" }, nil},
		{"a text that is True", "target_modules: True", []string{"--init_lora_weights", "Gaussian"}, func(s *sample) { s.Targets, s.Init = "True", "Gaussian" }, nil},
		{"empty lists", "dataset: []\nreport_to: []", nil, func(s *sample) { s.Report = []string{"none"} }, nil},
		{"a list for a type of its own", "colour: [red, blue]", nil, func(s *sample) { s.Colour = "red,blue" }, nil},
		{"a mapping for a type of its own", "colour: {red: [1, True, x]}", nil, func(s *sample) { s.Colour = `{"red":[1,true,"x"]}` }, nil},
		{"an empty list for a type of its own", "colour: []", nil, func(*sample) {}, nil},
		{"an alias", "seed: &n 5\ndata_seed: *n\nworkers: &w 0\n", nil, func(s *sample) { s.Run.Seed, s.Run.Data = 5, new(int64(5)) }, nil},
		{"yes", "group_by_length: yes", nil, func(s *sample) { s.Run.Group = true }, nil},
		{"on", "group_by_length: on", nil, func(s *sample) { s.Run.Group = true }, nil},
		{"y", "", []string{"--group_by_length", "y"}, func(s *sample) { s.Run.Group = true }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := defaults()
			c.want(&want)
			got := defaults()
			set, err := parseSet(t, &got, c.yaml, c.args...)
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.Equal(t, c.notes, set.Notes)
		})
	}
}

// TestAllAtOnce checks that one error has all names that cannot be used, of the file and
// the command line, and nothing else.
func TestAllAtOnce(t *testing.T) {
	got := defaults()
	err := parse(t, &got, "model: m\nqqqq: 1\nfp16: true\nseed: x\nsample_packing: {a: 1}\nelsewhere: 3\n",
		"--deepspeed", "ds.json", "--zzzz", "1", "-2", "--lerning-rate=1", "--workers", "0", "--yyyy")
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		"there is no option zzzz; --help lists them",
		"there is no option lerning_rate; did you mean learning_rate?",
		"there is no option yyyy; --help lists them",
		"run.yaml:2: there is no option qqqq; --help lists them",
		`run.yaml:4: seed: "x" is not a whole number of 0 or more`,
		"run.yaml:5: there is no option sample_packing; --help lists them",
		"run.yaml:6: there is no option elsewhere; --help lists them",
		"--deepspeed: leave it out",
		"run.yaml:3: fp16: use `bf16`",
	} {
		require.Greater(t, len(lines), i)
		assert.True(t, strings.HasSuffix(lines[i], want), "%q, want %q", lines[i], want)
	}
	assert.Len(t, lines, 9)
	got = defaults()
	err = parse(t, &got, "config_of: x")
	require.ErrorContains(t, err, "run.yaml:1: config_of: there is no option nothing_like_it; --help lists them")
	require.ErrorContains(t, err, "run.yaml:1: deepspeed: leave it out")
}
