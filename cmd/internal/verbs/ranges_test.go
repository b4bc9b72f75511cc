package verbs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/exit"
)

// runHere runs a command line in this process and returns its exit code and what it
// printed.
func runHere(args ...string) (code exit.Code, stdout, stderr string) {
	var out, err strings.Builder
	root := Root()
	root.SetOut(&out)
	root.SetErr(&err)
	root.SetIn(strings.NewReader(""))
	code = Main(root, args)
	return code, out.String(), err.String()
}

// verbsOf returns the verbs of the program, except hidden ones.
func verbsOf(root *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(root.Commands(), func(c *cobra.Command) bool { return !c.IsAvailableCommand() })
}

// TestNumbersOutOfRange gives every numeric option of every verb absurd values, on the
// command line and in a YAML file: each is refused by name, with its range, before the
// model is opened. An option has the same range with every verb, so that the verbs behind
// the first one that has it are given one value. A file has one value of each option, and
// over all options each of the values.
func TestNumbersOutOfRange(t *testing.T) {
	anyNumber := []string{"seed", "data_seed", "fewshot_seed"}
	lists := []string{"dataset_weights", "adapter_weights", "layers_to_transform"}
	allowed := map[string][]string{"adapter_weights": {"-2", "0"}, "max_steps": {"0"}, "alpha": {"-2"}}
	needed := []string{
		"num_train_epochs", "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "logging_steps", "save_steps",
		"lora_r", "lora_alpha", "loftq_bits", "loftq_iter", "bnb_4bit_blocksize", "sample_tokens", "max_new_tokens", "top_p", "dataset_weights",
	}
	values := []string{"-2", "1e18", "-1e18", "9223372036854775807", "99999999999999999999999999", "nan", "inf", "-inf", "1e999", "two"}
	file := filepath.Join(t.TempDir(), "run.yaml")
	records := filepath.Join(t.TempDir(), "records.jsonl")
	require.NoError(t, os.WriteFile(records, []byte("{}\n"), 0o644))
	held := map[string]bool{} // options that a verb has been given all values of
	for _, verb := range verbsOf(Root()) {
		var numbers []string
		hidden := map[string]bool{}
		verb.Flags().VisitAll(func(f *pflag.Flag) {
			if kind := f.Value.Type(); kind == "int" || kind == "number" || slices.Contains(lists, f.Name) {
				numbers = append(numbers, f.Name)
				hidden[f.Name] = !strings.Contains(helpOf(verb), "--"+f.Name+" ")
			}
		})
		for i, name := range numbers {
			if slices.Contains(anyNumber, name) || hidden[name] {
				continue
			}
			values := values
			if slices.Contains(needed, name) {
				values = append(slices.Clone(values), "0")
			}
			if held[name] {
				values = []string{"nan"}
			}
			held[name] = true
			for k, value := range values {
				if slices.Contains(allowed[name], value) {
					continue
				}
				hows := [][]string{{"--" + name, value}}
				if k == i%len(values) {
					require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "%s: %s\n", name, value), 0o644))
					hows = append(hows, []string{"--config", file})
				}
				for _, how := range hows {
					args := append([]string{verb.Name(), "--model", "/no/such/model"}, how...)
					if verb.Flags().Lookup("dataset") != nil {
						args = append(args, "--dataset", records)
					}
					began := time.Now()
					code, stdout, stderr := runHere(args...)
					require.Equal(t, exit.Wrong, code, "%q\n%s", args, stderr)
					require.Empty(t, stdout)
					require.Contains(t, stderr, name, "%q", args)
					require.Regexp(t, "it must be|every value must be", stderr, "%q", args)
					require.Equal(t, 1, strings.Count(stderr, "\n"), "%q\n%s", args, stderr)
					require.Less(t, time.Since(began), time.Minute, "%q reads something before it refuses", args)
				}
			}
		}
	}
}

func helpOf(cmd *cobra.Command) string {
	var out strings.Builder
	cmd.SetOut(&out)
	_ = cmd.Help()
	return out.String()
}
