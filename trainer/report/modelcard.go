package report

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"qlora/internal/atomicfile"
	"qlora/internal/version"
	"qlora/trainer"
)

// CardFile is the model card.
const CardFile = "README.md"

// modelCard writes README.md at the end of a run: the front matter that the Hugging Face
// Hub reads for a PEFT adapter, the data, the training and its results. It names no
// license: the adapter's maker chooses it.
type modelCard struct {
	trainer.NoOutput
	begin  *trainer.Begin // nil before the run begins
	tokens int64          // trained on so far
}

func (c *modelCard) Start(b *trainer.Begin) error {
	c.begin, c.tokens = b, b.Tokens
	return nil
}

func (c *modelCard) Step(p trainer.StepDone) { c.tokens = p.Tokens }

func (c *modelCard) Stop(s *trainer.State, err error) error {
	if c.begin == nil || err != nil {
		return nil
	}
	return atomicfile.WriteFile(filepath.Join(c.begin.OutputDir, CardFile), c.text(s), 0o644)
}

// text returns the card of a run that ended in state s.
func (c *modelCard) text(s *trainer.State) []byte {
	model := c.begin.Base
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	base := model.PublicName()
	adapter := model.Lora != nil
	line("---")
	line("base_model: %q", base)
	if adapter {
		line("library_name: peft")
	} else {
		line("library_name: transformers")
	}
	line("pipeline_tag: text-generation")
	line("tags:")
	if adapter {
		line("- %q", "base_model:adapter:"+base)
		line("- lora")
	}
	line("- transformers")
	line("---\n")
	line("# %s of %s\n", map[string]string{"qlora": "QLoRA adapter", "lora": "LoRA adapter", "full": "Full fine-tuning"}[model.Method()], base)
	line("Trained for %d steps (%s epochs) on %d records, %d tokens in all.", s.GlobalStep, trainer.Number(math.Round(float64(s.Epoch)*100)/100), c.begin.Length.Records, c.tokens)
	eval := lastEvaluation(s.LogHistory)
	if best := c.bestEvaluation(s); best != nil {
		eval = best
		line("These are the weights after step %d, which had the best evaluation.", best.Step)
	}
	if eval != nil {
		line("\nIt achieves the following results on the evaluation set of %d records:\n\n- Loss: %s", c.begin.EvalRecords, cell(eval.EvalLoss))
		if eval.EvalAccuracy != nil {
			line("- Mean token accuracy: %s", cell(eval.EvalAccuracy))
		}
		for _, r := range []struct{ name, key string }{{"Rewards of the chosen", "eval_rewards/chosen"}, {"Rewards of the rejected", "eval_rewards/rejected"}, {"Margin of the rewards", "eval_rewards/margins"}, {"Accuracy of the rewards", "eval_rewards/accuracies"}, {"Reward", "eval_reward"}} {
			if v, ok := eval.Compared[r.key]; ok {
				line("- %s: %.4f", r.name, float64(v))
			}
		}
	}
	for _, picture := range [][2]string{{lossFile, "The loss of training and evaluation by optimizer step"}, {rewardsFile, "The rewards of completions by optimizer step"}} {
		if _, err := os.Stat(filepath.Join(c.begin.OutputDir, picture[0])); err == nil {
			line("\n![%s](%s)", picture[1], picture[0])
		}
	}
	line("\n## How to use it\n")
	if adapter {
		line("```python\n%s```\n\nor\n\n```\nqlora generate --model %s --adapter path/to/this/folder --prompt '…'\n```", peftSnippet(c.begin), shellWord(base))
		if text := startText(model); text != "" {
			line("\n%s", text)
		}
	} else {
		line("```python\n%s```", transformersSnippet)
	}
	line("\n## Training procedure\n")
	if text := sources[c.begin.Args.Objective]; text != "" {
		line("The objective is %s.\n", text)
	}
	line("### Training hyperparameters\n")
	b.WriteString(settingsTable(Summary(c.begin)))
	line("\n### Training results\n")
	line("| Training Loss | Epoch | Step | Validation Loss |\n|---|---|---|---|")
	for _, row := range cardRows(s.LogHistory) {
		line("| %s | %.2f | %d | %s |", cell(row.Loss), row.Epoch, row.Step, cell(row.EvalLoss))
	}
	line("\n### Framework versions\n\n- qlora %s\n- %s", version.String(), runtime.Version())
	return b.Bytes()
}

// startText returns which base the adapter is relative to, if that is not the base of
// training, else "".
func startText(model *trainer.Base) string {
	c, q := model.Lora, model.Quantize
	if !c.Init.ChangesBase() {
		return ""
	}
	text := fmt.Sprintf("The adapter was initialized from the base's weights (`init_lora_weights` %s, rank %d). "+
		"It is stored as a plain LoRA adapter of twice the rank that is relative to the base's original weights, in 16 or 32 bits: use it on those.", c.Init, c.R)
	if q != nil {
		text += fmt.Sprintf(" In training, the residual base was in 4 bits (%v); `qlora generate` and `qlora eval` quantize it the same way and reproduce the tuned model's numbers. "+
			"On the original weights in 4 bits, the adapter does not compensate the quantization error.", q.Kind)
	}
	return text
}

// peftSnippet returns Python that loads the adapter as it was trained: on a base in 4
// bits, computed in the run's type, or not.
func peftSnippet(b *trainer.Begin) string {
	model := b.Base
	q := model.Quantize
	if q == nil || model.Lora.Init.ChangesBase() {
		return `from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

model = AutoPeftModelForCausalLM.from_pretrained("path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
`
	}
	double := "False"
	if q.Double {
		double = "True"
	}
	return fmt.Sprintf(`import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer, BitsAndBytesConfig

in_4_bits = BitsAndBytesConfig(
    load_in_4bit=True, bnb_4bit_quant_type=%q, bnb_4bit_use_double_quant=%s, bnb_4bit_compute_dtype=torch.%s
)
model = AutoPeftModelForCausalLM.from_pretrained("path/to/this/folder", quantization_config=in_4_bits)
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
`, fmt.Sprint(q.Kind), double, b.Compute)
}

const transformersSnippet = `from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
`

// shellWord returns text quoted as one word of a command line.
func shellWord(text string) string {
	plain := func(c rune) bool {
		return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.ContainsRune("_-./", c)
	}
	if text != "" && strings.IndexFunc(text, func(c rune) bool { return !plain(c) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// bestEvaluation returns the row of the evaluation whose checkpoint is the run's result;
// nil: the result is that of the last step.
func (c *modelCard) bestEvaluation(s *trainer.State) *trainer.Record {
	if !c.begin.Args.LoadBest || s.BestModelCheckpoint == nil || s.BestGlobalStep == nil {
		return nil
	}
	for i, row := range s.LogHistory {
		if row.EvalLoss != nil && row.Step == *s.BestGlobalStep {
			return &s.LogHistory[i]
		}
	}
	return nil
}

// lastEvaluation returns the newest row of an evaluation, or nil.
func lastEvaluation(history []trainer.Record) *trainer.Record {
	for i := len(history) - 1; i >= 0; i-- {
		if history[i].EvalLoss != nil {
			return &history[i]
		}
	}
	return nil
}

// maxCardRows bounds the rows of the log in a model card.
const maxCardRows = 20

// cardRows returns evaluations, each with the loss logged last before it, as in Hugging
// Face's card; for a run without evaluations, the rows of training. Of more than
// maxCardRows it returns an evenly spaced selection that includes the last one.
func cardRows(history []trainer.Record) []trainer.Record {
	evaluated := lastEvaluation(history) != nil
	var rows []trainer.Record
	var loss *trainer.Number
	for _, r := range history {
		switch {
		case r.EvalLoss != nil:
			r.Loss = loss
			rows = append(rows, r)
		case r.Loss != nil:
			loss = r.Loss
			if !evaluated {
				rows = append(rows, r)
			}
		}
	}
	if len(rows) <= maxCardRows {
		return rows
	}
	var shown []trainer.Record
	for i := range maxCardRows {
		shown = append(shown, rows[(i+1)*len(rows)/maxCardRows-1])
	}
	return shown
}

func cell(n *trainer.Number) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%.4f", float64(*n))
}
