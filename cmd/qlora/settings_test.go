package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestScriptSettings gives train each of the settings that scripts of transformers, TRL
// and LLaMA-Factory have most often: it is taken, taken with a note, or refused with what
// takes its place.
func TestScriptSettings(t *testing.T) {
	model, records := writeModel(t), writeRecords(t, 8, 6)
	for _, c := range []struct {
		args string
		want string // a part of standard error; "" if there is no word
		code int
	}{
		{"--overwrite_output_dir", "", 0},
		{"--logging_first_step", "", 0},
		{"--logging_strategy epoch", "", 0},
		{"--logging_strategy never", `--logging_strategy is "never", but it can be steps, epoch or no`, 2},
		{`--lr_scheduler_type cosine_with_min_lr --lr_scheduler_kwargs {"min_lr":1e-5}`, "", 0},
		{`--lr_scheduler_type cosine_with_restarts --lr_scheduler_kwargs {"num_cycles":2}`, "", 0},
		{"--lr_scheduler_type polynomial", "", 0},
		{"--max_seq_length 12", "", 0},
		{"--dataset_text_field text", "", 0},
		{"--assistant_only_loss true", "", 0},
		{"--completion_only_loss False", "", 0},
		{"--dataloader_num_workers 3", "--dataloader_num_workers has no effect here: ", 0},
		{"--dataloader_num_workers 0 --no_dataloader_pin_memory", "--dataloader_pin_memory has no effect here: ", 0},
		{"--load_in_4bit", "", 0},
		{"--load_in_4bit --method lora", "the same option", 2},
		{"--load_in_8bit", "--load_in_8bit: a base in 8 bits is not supported; --method qlora", 2},
		{"--do_train --do_eval false", "", 0},
		{"--do_train=false", "--do_train has no effect here: `qlora train` trains", 0},
		{"--eval_delay 2 --eval_strategy no", "", 0},
		{"--run_name first", "", 0},
		{"--report_to none", "", 0},
		{"--adafactor", "--adafactor: Adafactor is not supported; --optim adamw_8bit", 2},
		{"--adafactor false", "", 0},
		{"--lora_rank 4 --lora_target_modules q_proj v_proj", "", 0},
		{"--r 4 --task_type CAUSAL_LM", "", 0},
		{"--task_type SEQ_CLS", "--task_type: only causal language models are trained", 2},
		{`--gradient_checkpointing_kwargs {"use_reentrant":false}`, "--gradient_checkpointing_kwargs has no effect here: --recompute", 0},
		{"--use_cpu", "", 0},
		{"--device cpu", "; computes in float32 (gonum does not multiply bfloat16)", 0},
		{"--bf16 false --device cpu", "; computes in float32\n", 0},
		{"--bnb_4bit_compute_dtype torch.float32 --tf32", "--tf32 has no effect here: ", 0},
		{"--early_stopping_patience 2 --val_size 0.5 --eval_strategy steps --metric_for_best_model loss", "", 0},
		{"--max_train_samples 4 --validation_split_percentage 50", "", 0},
		{"--max_samples 4 --val_set_size 0.25", "", 0},
		{"--report_to wandb", "--report_to", 2},
		{"--label_smoothing_factor 0.1 --save_only_model", "", 0},
		{"--warmup_ratio 0.03 --lr_scheduler_type constant", "--warmup_ratio has no effect with --lr_scheduler_type constant; constant_with_warmup", 0},
		{"--warmup_ratio 0.03 --lr_scheduler_type constant_with_warmup", "", 0},
		{"--loftq_iter 3", "--loftq_iter has no effect without --init_lora_weights loftq", 0},
		{"--target_modules [q_proj,v_proj]", "", 0},
		{"--use_cpu --device cuda", "the same option", 2},
		{"--push_to_hub", "--push_to_hub needs a token that may write", 2},
		{"--push_to_hub false --hub_strategy every_save", "", 0},
		{"--fp16", "use --bf16", 2},
		{"--deepspeed ds_zero3.json", "--deepspeed: ds_zero3.json: no such file", 2},
		{"--deepspeed {\"zero_optimization\":{\"stage\":2}}", "--fsdp has no effect on one rank", 0},
		{"--fsdp full_shard auto_wrap", "--fsdp has no effect on one rank", 0},
		{"--fsdp hybrid_shard --fsdp_config {\"backward_prefetch\":\"backward_pre\",\"activation_checkpointing\":true}", "--fsdp has no effect on one rank", 0},
		{"--fsdp full_shard,offload", "stays on its device: leave out offload", 2},
		{"--fsdp shard_grad_op", "--fsdp has no effect on one rank", 0},
		{"--fsdp_config {\"reshard_after_forward\":false}", "reshard_after_forward is false in it, but", 2},
		{"--fsdp_config {\"reshard\":false}", "reshard is not a key of it", 2},
		{"--packing_strategy wrapped", "--packing_strategy: packing is best fit decreasing", 2},
		{"--padding_free", "", 0},
		{"--bits 4 --double_quant --quant_type nf4", "", 0},
		{"--bits 8", "--bits: a base in 8 bits is not supported", 2},
		{"--finetuning_type lora --lora_target all", "", 0},
		{"--sample_packing --sequence_len 16", "", 0},
	} {
		t.Run(c.args, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			args := []string{"train", "--model", model, "--dataset", records, "--output_dir", out, "--max_steps", "1", "--report_to", "none"}
			if strings.Contains(c.args, "--report_to") {
				args = args[:len(args)-2]
			}
			code, _, stderr := run(t, append(args, strings.Fields(c.args)...)...)
			require.Equal(t, c.code, code, stderr)
			if c.want == "" {
				assert.NotContains(t, stderr, "no effect")
			}
			assert.Contains(t, stderr, c.want)
			if code != 0 {
				assert.NoDirExists(t, out)
				assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
				assert.Less(t, len(stderr), 300)
			}
		})
	}
}

// TestForeignMethods checks which method the names of other tools choose together.
func TestForeignMethods(t *testing.T) {
	model, records := writeModel(t), writeRecords(t, 8, 6)
	for _, c := range []struct{ yaml, want string }{
		{"", "qlora"},
		{"load_in_4bit: true", "qlora"},
		{"load_in_4bit: false", "lora"},
		{"load_in_4bit: false\nmethod: full", "full"},
		{"use_peft: true", "lora"},
		{"use_peft: true\nload_in_4bit: true", "qlora"},
		{"use_peft: false", "full"},
		{"finetuning_type: lora\nquantization_bit: 4", "qlora"},
		{"finetuning_type: lora\nquantization_bit: null", "lora"},
		{"finetuning_type: full", "full"},
		{"bits: 16", "lora"},
		{"quantization_config:\n  load_in_4bit: true\n  bnb_4bit_quant_type: fp4\n  bnb_4bit_compute_dtype: torch.bfloat16\n", "qlora"},
		{"finetuning_type: freeze", ""},
		{"use_peft: false\nload_in_4bit: true", ""},
	} {
		out := filepath.Join(t.TempDir(), "out")
		config := filepath.Join(t.TempDir(), "run.yaml")
		write(t, config, c.yaml)
		code, _, stderr := run(t, "train", "--config", config, "--model", model, "--dataset", records, "--output_dir", out, "--max_steps", "1", "--report_to", "none")
		if c.want == "" {
			require.Equal(t, 2, code, "%s: %s", c.yaml, stderr)
			continue
		}
		require.Zero(t, code, "%s: %s", c.yaml, stderr)
		written, err := os.ReadFile(filepath.Join(out, "run.yaml"))
		require.NoError(t, err)
		assert.Contains(t, string(written), "\nmethod: \""+c.want+"\"\n", c.yaml)
		// The written file gives the same run.
		code, _, stderr = run(t, "train", "--config", filepath.Join(out, "run.yaml"), "--output_dir", out+"2")
		require.Zero(t, code, stderr)
	}
}
