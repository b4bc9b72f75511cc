package verbs

import (
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
)

func TestCompletion(t *testing.T) {
	for _, c := range []struct{ typed, want, not string }{
		{"", "train\tfine-tune a model", "__complete"},
		{"qu", "quantize\t", "train"},
		{"completion ", "bash\nzsh\nfish\n:4", "quantize"},
		{"train --lr_s", "--lr_scheduler_type\tlinear", "--learning_rate"},
		{"train --lr_scheduler_type rest", "", "cosine_with_restarts"},
		{"train --lr_scheduler_type cosine_with_r", "cosine_with_restarts\n", "min_lr"},
		{"train --report_to tensorboard,l", "tensorboard,live\n", "none"},
		{"train --target_modules q_proj v_proj --rec", "--recompute\t", "--report_to"},
		{"train --no_bf16 --meth", "--method\t", "error"},
		{"train --packing true --meth", "--method\t", "error"},
		{"train --model_n", ":4", "model_name_or_path"},
		{"train --model ", ":0", "qlora"},
		{"train --config ", "yaml\nyml\njson\n:8", "error"},
		{"plan --method ", "qlora\nlora\nfull\n", "error"},
	} {
		words := strings.Fields(c.typed)
		if c.typed == "" || strings.HasSuffix(c.typed, " ") {
			words = append(words, "")
		}
		code, stdout, stderr := runHere(append([]string{"__complete"}, words...)...)
		require.Equal(t, exit.Done, code, "%q: %s", c.typed, stderr)
		require.Contains(t, stdout, c.want, "%q", c.typed)
		require.NotContains(t, stdout, c.not, "%q", c.typed)
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		code, stdout, stderr := runHere(args...)
		require.Equal(t, exit.Wrong, code)
		require.Empty(t, stdout)
		require.Equal(t, "qlora: completion needs the name of a shell: write completion bash, zsh or fish\n", stderr)
	}
}

// TestCompletionScripts has each shell that the machine has check its script.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range shells {
		code, stdout, stderr := runHere("completion", shell)
		require.Equal(t, exit.Done, code, stderr)
		require.Contains(t, stdout, " __complete ", "%s: the script does not ask the program", shell)
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not installed: its script is not checked", shell)
			continue
		}
		file := filepath.Join(t.TempDir(), "qlora")
		require.NoError(t, os.WriteFile(file, []byte(stdout), 0o644))
		answer, err := exec.Command(path, "-n", file).CombinedOutput()
		require.NoError(t, err, "%s -n: %s", shell, answer)
	}
}

// TestBashCompletes loads the script into bash, with the words that bash would give it.
func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	code, script, stderr := runHere("completion", "bash")
	require.Equal(t, exit.Done, code, stderr)
	code, answer, _ := runHere("__complete", "train", "--bnb_4bit_quant_type", "")
	require.Equal(t, exit.Done, code)
	cmd := exec.Command(bash, "-c", script+`
_get_comp_words_by_ref() { cur= prev=--bnb_4bit_quant_type words=(qlora train --bnb_4bit_quant_type "") cword=3; }
qlora() { printf '%s' "$ANSWER"; }
COMP_WORDS=(qlora train --bnb_4bit_quant_type "") COMP_CWORD=3 COMP_LINE='qlora train --bnb_4bit_quant_type ' COMP_TYPE=9
compopt() { :; }
__start_qlora
printf '%s\n' "${COMPREPLY[@]}"`)
	cmd.Env = append(os.Environ(), "ANSWER="+answer)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	got, err := cmd.Output()
	require.NoError(t, err, problems.String())
	require.Equal(t, "nf4\nfp4\n", string(got), problems.String())
}

// TestValuesAreAccepted gives each value that a shell offers for an option of train, and
// one that is none. The option refuses the one and not the others.
func TestValuesAreAccepted(t *testing.T) {
	needs := map[string]string{
		"preference": "dpo", "unpaired": "kto", "prompt": "grpo", "reward": "grpo", // values that only an objective has,
		"share_prompts": "dpo", "scale_rewards": "grpo", "multi_objective_aggregation": "grpo", "importance_sampling_level": "grpo", // and options
	}
	checked := 0
	for _, section := range TrainOptions().Sections() {
		for _, o := range section.Options {
			if len(o.Values) == 0 || o.Name == "device" { // a device is opened after the data is read
				continue
			}
			message := func(value string) string {
				args := []string{"train", "--" + o.Name, value, "--model", "../../../demo/base", "--dataset", "missing.jsonl", "--output_dir", filepath.Join(t.TempDir(), "out")}
				if objective := cmp.Or(needs[value], needs[o.Name]); objective != "" {
					args = append(args, "--objective", objective)
				}
				_, _, stderr := runHere(args...)
				return stderr
			}
			refusal := message("xyzzy")
			require.Contains(t, refusal, "xyzzy", "--%s takes any value", o.Name)
			for _, value := range o.Values {
				require.NotEqual(t, strings.ReplaceAll(refusal, "xyzzy", value), message(value), "--%s refuses the value that a shell offers", o.Name)
				require.Contains(t, o.Help+" "+o.Default, strings.TrimSuffix(value, "_4"), "the help of --%s", o.Name)
			}
			checked++
		}
	}
	require.Greater(t, checked, 12)
	require.NotNil(t, options.Of(Doctor()))
}
