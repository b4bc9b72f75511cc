package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"qlora/lora"
	"qlora/trainer"
)

// TestModelCard checks that the front matter has the keys that PEFT writes for the
// adapter of a causal model (create_or_update_model_card), whatever the name of the
// base.
func TestModelCard(t *testing.T) {
	for _, base := range []string{"HuggingFaceTB/SmolLM2-135M", "true", "1.5", `- a "name": #1`} {
		r := tinyRun(t)
		r.Base.Name = base
		r.Base.Lora.RankPattern = lora.Pattern{{Key: "(q|k)_proj", Value: 2}}
		require.NoError(t, train(t, t.Context(), r))
		b, err := os.ReadFile(filepath.Join(r.Args.OutputDir, "README.md"))
		require.NoError(t, err)
		parts := strings.SplitN(string(b), "---\n", 3)
		require.Len(t, parts, 3)
		require.Empty(t, parts[0])
		var front map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(parts[1]), &front))
		require.Equal(t, map[string]any{
			"base_model": base, "library_name": "peft", "pipeline_tag": "text-generation",
			"tags": []any{"base_model:adapter:" + base, "lora", "transformers"},
		}, front)
		s := history(t, r.Args.OutputDir)
		for _, want := range []string{
			"# QLoRA adapter of " + base + "\n",
			"Trained for 8 steps (2.0 epochs) on 13 records, ",
			"| rank, alpha, dropout | 4, 8, 0.1 |\n",
			"| rank pattern | {\"(q\\|k)_proj\":2} |\n",
			"| base | 4-bit nf4, blocks of 64, double quantization true |\n",
			"| learning rate | 0.01, linear |\n",
			"results on the evaluation set of 5 records:\n\n- Loss: " + fmt.Sprintf("%.4f", float64(*lastEvaluation(s.LogHistory).EvalLoss)) + "\n",
			"](loss.png)",
			"BitsAndBytesConfig(\n    load_in_4bit=True, bnb_4bit_quant_type=\"nf4\", bnb_4bit_use_double_quant=True,",
			"qlora generate --model " + shellWord(base) + " --adapter",
			"### Framework versions\n\n- qlora ",
			"| batch | 2 sequences, 2 micro-batches per step |\n",
			fmt.Sprintf("| %.4f | 0.86 | 3 | %.4f |\n", float64(*s.LogHistory[0].Loss), float64(*s.LogHistory[1].EvalLoss)),
			"AutoPeftModelForCausalLM.from_pretrained",
		} {
			require.Contains(t, parts[2], want)
		}
	}
}

// TestModelCardOfTheBest checks that the card of a run whose result is its best checkpoint
// has that evaluation.
func TestModelCardOfTheBest(t *testing.T) {
	r := tinyRun(t)
	r.Args.LearningRate, r.Args.Schedule, r.Args.SaveSteps, r.Args.EvalSteps = 1, "constant", 1, 1
	r.Args.LoadBest, r.Args.BestMetric = true, "mean_token_accuracy"
	require.NoError(t, train(t, t.Context(), r))
	s := history(t, r.Args.OutputDir)
	require.Less(t, *s.BestGlobalStep, s.GlobalStep)
	best := s.LogHistory[0]
	for _, row := range s.LogHistory {
		if row.EvalLoss != nil && row.Step == *s.BestGlobalStep {
			best = row
		}
	}
	b, err := os.ReadFile(filepath.Join(r.Args.OutputDir, "README.md"))
	require.NoError(t, err)
	require.Contains(t, string(b), fmt.Sprintf("tokens in all.\nThese are the weights after step %d, which had the best evaluation.\n", best.Step))
	require.Contains(t, string(b), fmt.Sprintf("records:\n\n- Loss: %.4f\n- Mean token accuracy: %.4f\n", float64(*best.EvalLoss), float64(*best.EvalAccuracy)))
}

func TestModelCardSaysWhatTheAdapterIsRelativeTo(t *testing.T) {
	r := tinyRun(t)
	r.Base.Lora.Init, r.Args.MaxSteps = lora.InitOLoRA, 1
	require.NoError(t, train(t, t.Context(), r))
	b, err := os.ReadFile(filepath.Join(r.Args.OutputDir, "README.md"))
	require.NoError(t, err)
	require.Contains(t, string(b), "relative to the base's original weights, in 16 or 32 bits")
	require.Contains(t, string(b), "in 4 bits (nf4); `qlora generate`")
	require.NotContains(t, string(b), "quantization_config")
	require.Contains(t, string(b), "| init_lora_weights | olora |")
}

func TestModelCardOfAFullRun(t *testing.T) {
	r := tinyRun(t)
	r.Base.Quantize, r.Base.Lora, r.Args.MaxSteps = nil, nil, 1
	require.NoError(t, train(t, t.Context(), r))
	b, err := os.ReadFile(filepath.Join(r.Args.OutputDir, "README.md"))
	require.NoError(t, err)
	require.Contains(t, string(b), "library_name: transformers\n")
	require.NotContains(t, string(b), "peft")
	require.NotContains(t, string(b), "rank")
}

func TestModelCardShowsTheLastRow(t *testing.T) {
	for n := range 3*maxCardRows + 2 {
		var history []trainer.Record
		for step := 1; step <= n; step++ {
			history = append(history, trainer.Record{Step: step, Loss: number(1)})
		}
		rows := cardRows(append(history, trainer.Record{Step: n, TrainLoss: number(1)}))
		require.Len(t, rows, min(n, maxCardRows))
		for i, row := range rows {
			require.True(t, i == 0 || row.Step > rows[i-1].Step)
		}
		if n > 0 {
			require.Equal(t, n, rows[len(rows)-1].Step)
		}
	}
}

func TestShellWord(t *testing.T) {
	for text, want := range map[string]string{"a/b-C_1.2": "a/b-C_1.2", "": "''", "it's $x": `'it'\''s $x'`, "~/a": "'~/a'"} {
		require.Equal(t, want, shellWord(text))
	}
}

// FuzzCardRows checks that a card can be made from any rows of a state file.
func FuzzCardRows(f *testing.F) {
	f.Add([]byte(`{"log_history": [{"step": 1, "loss": 1e308, "epoch": -0.0}, null]}`))
	f.Add([]byte(`{"log_history": [{"loss": 5e-324}, {"eval_loss": 1}, {"eval_loss": 2}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s trainer.State
		if json.Unmarshal(b, &s) == nil {
			require.LessOrEqual(t, len(cardRows(s.LogHistory)), maxCardRows)
		}
	})
}
