package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/foreign"
	"qlora/cmd/internal/options"
	"qlora/cmd/internal/verbs"
)

func load(t *testing.T) []class {
	t.Helper()
	classes, err := readClasses("../testdata/fields.json")
	require.NoError(t, err)
	require.Len(t, classes, 6)
	return classes
}

func TestPageIsCurrent(t *testing.T) {
	want, err := os.ReadFile("../../../../docs/options.md")
	require.NoError(t, err)
	written, made := strings.Split(string(want), "\n"), strings.Split(page(load(t)), "\n")
	for i, line := range made {
		require.Less(t, i, len(written), "docs/options.md is old: make options")
		require.Equal(t, written[i], line, "docs/options.md is old: make options")
	}
	require.Len(t, written, len(made))
}

// resolve gives a YAML file to the options of train.
func resolve(t *testing.T, yaml string) (*options.Set, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.yaml")
	require.NoError(t, os.WriteFile(path, []byte(yaml), 0o600))
	set := verbs.TrainOptions()
	cmd := &cobra.Command{Use: "train", SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return set.Resolve() }}
	set.Bind(cmd)
	cmd.SetArgs([]string{"--config", path})
	return set, cmd.Execute()
}

// TestEveryFieldHasAVerdict walks the fields of the real classes, and gives each its
// default: it is accepted, and without a word if it has no effect.
func TestEveryFieldHasAVerdict(t *testing.T) {
	for _, c := range load(t) {
		require.NotEmpty(t, c.Fields, c.Class)
		var all strings.Builder
		for _, f := range c.Fields {
			d, ok := verbs.TrainOptions().Describe(f.Name)
			require.True(t, ok, "%s.%s has no row; add one to cmd/internal/foreign", c.Class, f.Name)
			line := fmt.Sprintf("%s: %s\n", f.Name, yamlOf(f.Default))
			all.WriteString(line)
			set, err := resolve(t, line)
			require.NoError(t, err, "%s: %s", c.Class, line)
			if f.Name != "do_train" { // false in a script means that nothing is trained
				assert.Empty(t, set.Notes, "%s: %s", c.Class, line)
			}
			if d.Option != "" {
				assert.Equal(t, f.Default != nil || f.Name == "max_length", set.Given(d.Option), "%s: %s", c.Class, line)
			}
		}
		_, err := resolve(t, all.String())
		require.NoError(t, err, "all defaults of %s", c.Class)
	}
}

// TestDumps gives what to_dict of the real classes returns, as a file of options.
func TestDumps(t *testing.T) {
	data, err := os.ReadFile("../testdata/dumps.json")
	require.NoError(t, err)
	var dumps []json.RawMessage
	require.NoError(t, json.Unmarshal(data, &dumps))
	require.Len(t, dumps, 4)
	for i, want := range []map[string]string{
		{"learning_rate": "5e-05", "optim": "adamw_torch_fused", "report_to": "none", "device": "cpu", "bnb_4bit_compute_dtype": "float32"},
		{"learning_rate": "2e-05", "max_length": "1024", "assistant_only_loss": "false", "gradient_checkpointing": "true"},
		{"lora_r": "4", "lora_alpha": "8", "target_modules": "q_proj,v_proj", "init_lora_weights": "true"},
		{"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": "false", "method": "qlora"},
	} {
		set, err := resolve(t, string(dumps[i]))
		require.NoError(t, err)
		assert.Less(t, len(set.Notes), 4, "%q", set.Notes)
		for name, value := range want {
			assert.Equal(t, value, set.Text(name), name)
		}
	}
}

func yamlOf(value any) string {
	if s, ok := value.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return text(value)
}

// TestRefusalsAndNotes gives every setting without a meaning here a value that is not
// quiet.
func TestRefusalsAndNotes(t *testing.T) {
	for _, s := range foreign.Settings() {
		d, ok := verbs.TrainOptions().Describe(s.Name)
		if s.Option != "" {
			require.True(t, ok, "%s: there is no option %s", s.Name, s.Option)
			if d.Option != s.Name {
				require.Equal(t, s.Option, d.Option, s.Name)
			}
			continue
		}
		if d.Option == s.Name {
			continue // the option of that name decides
		}
		if s.Sets != nil {
			require.NotEmpty(t, s.Means, s.Name)
			continue
		}
		if slices.Contains(s.Quiet, "*") {
			continue
		}
		value := "77"
		if s.Bool {
			value = "true"
			if slices.Contains(s.Quiet, "true") {
				value = "false"
			}
			if slices.Contains(s.Quiet, value) {
				continue // without effect, whatever it is
			}
		}
		set, err := resolve(t, s.Name+": "+value)
		if s.Note != "" {
			require.NoError(t, err)
			require.Equal(t, []string{"`" + s.Name + "` has no effect here: " + s.Note}, set.Notes)
		} else {
			require.ErrorContains(t, err, "run.yaml:1: "+s.Name+": "+s.Refuse, s.Name)
		}
	}
}

// TestSentences checks the texts of the table: short, and with names that exist.
func TestSentences(t *testing.T) {
	quoted := regexp.MustCompile("`([a-z0-9_]+)`")
	set := verbs.TrainOptions()
	for _, s := range foreign.Settings() {
		for _, sentence := range []string{s.Note, s.Refuse, s.Means} {
			assert.Less(t, len(sentence), 200, s.Name)
			assert.False(t, strings.HasSuffix(sentence, "."), s.Name)
			assert.Equal(t, strings.TrimSpace(sentence), sentence, s.Name)
			for _, name := range quoted.FindAllStringSubmatch(sentence, -1) {
				d, ok := set.Describe(name[1])
				assert.True(t, ok && (d.Option != "" || d.Setting.Sets != nil), "%s names %s, which is no option", s.Name, name[1])
			}
		}
	}
}

// TestDefaultsThatDiffer lists the fields whose default here is another; the page has
// them too.
func TestDefaultsThatDiffer(t *testing.T) {
	var got []string
	for _, c := range load(t)[:4] {
		for _, f := range c.Fields {
			if d, ok := verbs.TrainOptions().Describe(f.Name); ok && d.Option != "" {
				if other := differs(f.Default, d.Default); other != "" {
					got = append(got, c.Class+"."+f.Name+"="+other)
				}
			}
		}
	}
	assert.Equal(t, []string{
		"TrainingArguments.output_dir=trainer_output", "TrainingArguments.learning_rate=0.0002", "TrainingArguments.optim=adamw_torch",
		"TrainingArguments.logging_steps=10", "TrainingArguments.report_to=tensorboard",
		"SFTConfig.output_dir=trainer_output", "SFTConfig.learning_rate=0.0002", "SFTConfig.optim=adamw_torch",
		"SFTConfig.gradient_checkpointing=false", "SFTConfig.report_to=tensorboard", "SFTConfig.loss_type=none",
		"LoraConfig.r=16", "LoraConfig.target_modules=all-linear", "LoraConfig.lora_alpha=32", "LoraConfig.lora_dropout=0.05",
		"BitsAndBytesConfig.bnb_4bit_compute_dtype=auto", "BitsAndBytesConfig.bnb_4bit_quant_type=nf4", "BitsAndBytesConfig.bnb_4bit_use_double_quant=true",
	}, got)
}
