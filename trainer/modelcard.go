package trainer

import (
	"bytes"
	"fmt"
)

// modelCard is README.md: the front matter that the Hugging Face Hub reads of a
// PEFT adapter, and what was trained on what, with which result.
func (r *loop) modelCard() []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	base, a := r.Model.Name, &r.Args
	adapter := r.Model.Lora != nil
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
	line("# %s of %s\n", map[string]string{"qlora": "QLoRA adapter", "lora": "LoRA adapter", "full": "Full fine-tuning"}[r.Model.Method()], base)
	line("Trained for %d steps (%s epochs) on %d records, %d tokens in all.", r.at.Step, r.state.Epoch, r.length.Records, r.at.Tokens)
	line("")
	line("| setting | value |\n|---|---|")
	if c := r.Model.Lora; c != nil {
		line("| rank, alpha, dropout | %d, %v, %v |", c.R, c.Alpha, c.Dropout)
	}
	if q := r.Model.Quantize; q != nil {
		line("| base | 4-bit %v, blocks of %d, double quantization %t |", q.Kind, q.BlockSize, q.Double)
	}
	line("| learning rate | %v, %s |", a.LearningRate, a.Schedule)
	line("| batch | %d sequences, %d micro-batches a step |", a.BatchSize, a.Accumulation)
	line("| seed | %d |", a.Seed)
	line("")
	line("| step | epoch | loss | eval_loss |\n|---|---|---|---|")
	for _, row := range cardRows(r.state.LogHistory) {
		line("| %d | %.2f | %s | %s |", row.Step, row.Epoch, cell(row.Loss), cell(row.EvalLoss))
	}
	if adapter {
		line("\n```python\nfrom peft import AutoPeftModelForCausalLM\n\nmodel = AutoPeftModelForCausalLM.from_pretrained(\"path/to/this/folder\")\n```")
	}
	return b.Bytes()
}

// maxCardRows is how many rows of the log a model card shows.
const maxCardRows = 20

// cardRows are rows of training and evaluation, evenly spread, the last one among
// them.
func cardRows(history []Record) []Record {
	var rows []Record
	for _, r := range history {
		if r.Loss != nil || r.EvalLoss != nil {
			rows = append(rows, r)
		}
	}
	if len(rows) <= maxCardRows {
		return rows
	}
	var shown []Record
	for i := range maxCardRows {
		shown = append(shown, rows[(i+1)*len(rows)/maxCardRows-1])
	}
	return shown
}

func cell(n *Number) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%.4f", float64(*n))
}
