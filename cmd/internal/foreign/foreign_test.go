package foreign

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/options"
)

// TestTranslations checks the settings that become options, and the values that they
// refuse.
func TestTranslations(t *testing.T) {
	rows := map[string]options.Setting{}
	for _, s := range Settings() {
		require.NotContains(t, rows, s.Name, "two rows")
		rows[s.Name] = s
	}
	for _, c := range []struct {
		name, value string
		given       map[string]string
		want        string // name=value, or the error after "!"
	}{
		{"bf16", "True", nil, "bnb_4bit_compute_dtype=bfloat16"},
		{"bf16", "no", nil, "bnb_4bit_compute_dtype=float32"},
		{"bf16", "auto", nil, ""},
		{"bf16", "maybe", nil, `!"maybe" is neither true nor false`},
		{"use_cpu", "true", nil, "device=cpu"},
		{"use_cpu", "false", nil, ""},
		{"dataset_text_field", "content", nil, "columns=text=content"},
		{"dataset_text_field", "text", nil, ""},
		{"chat_template_path", "a/b.jinja", nil, "chat_template=a/b.jinja"},
		{"lora_target", "all", nil, "target_modules=all-linear"},
		{"lora_target", "q_proj,v_proj", nil, "target_modules=q_proj,v_proj"},
		{"loftq_config", `{"loftq_bits": 4, "loftq_iter": 2}`, nil, "loftq_bits=4 loftq_iter=2"},
		{"loftq_config", `{"bits": 4}`, nil, "!bits in it cannot be set; it has loftq_bits and loftq_iter"},
		{"loftq_config", "{}", nil, ""},
		{"loftq_config", "4", nil, "!the value is not a mapping"},
		{"peft_config", `{"r": 4, "target_modules": ["a", "b"], "rank_pattern": {"a": 2}, "bias": null}`, nil, `r=4 rank_pattern={"a":2} target_modules=a,b`},
		{"model_init_kwargs", `{"attn_implementation": "eager"}`, nil, "attn_implementation=eager"},
		{"model_init_kwargs", `{"num_hidden_layers": 2}`, nil, "!num_hidden_layers in it cannot be set"},
		{"dataset_kwargs", `{"skip_prepare_dataset": true}`, nil, ""},
		{"dataset_kwargs", `{"add_special_tokens": false}`, nil, "!add_special_tokens cannot be false"},
		{"special_tokens", `{"pad_token": "</s>"}`, nil, ""},
		{"special_tokens", `{"eos_token": "</s>"}`, nil, "!eos_token in it cannot be set"},
		{"dtype", "torch.bfloat16", nil, ""},
		{"dtype", "float16", nil, "!float16 has too small a range"},
		{"dtype", "int8", nil, `!"int8" is no type`},
		{"evals_per_epoch", "4", map[string]string{"num_train_epochs": "2"}, "eval_strategy=steps eval_steps=0.125"},
		{"evals_per_epoch", "4", nil, "eval_strategy=steps eval_steps=0.08333333333333333"},
		{"saves_per_epoch", "1", map[string]string{"num_train_epochs": "1"}, "save_strategy=epoch"},
		{"saves_per_epoch", "-1", nil, `!"-1" is no number`},
		{"validation_split_percentage", "5", nil, "val_size=0.05"},
		{"validation_split_percentage", "100", nil, "!"},
		{"mixed_precision", "bf16", nil, "bf16=true"},
		{"mixed_precision", "fp8", nil, "!neither bf16, fp16 nor no"},
		{"use_gradient_checkpointing", "unsloth", nil, "gradient_checkpointing=true"},
		{"disable_shuffling", "true", nil, "train_sampling_strategy=sequential"},
		{"load_in_4bit", "true", map[string]string{"load_in_4bit": "true", "method": "qlora"}, ""},
		{"load_in_4bit", "false", map[string]string{"load_in_4bit": "false"}, "method=lora"},
		{"rl", "dpo", nil, "objective=dpo"},
		{"rl", "ipo", nil, "objective=dpo loss_type=ipo"},
		{"rl", "grpo", nil, "objective=grpo"},
		{"rl", "ppo", nil, `!"ppo" is not an objective of this release`},
		{"stage", "sft", nil, ""},
		{"stage", "kto", nil, "objective=kto"},
		{"stage", "dpo", nil, "objective=dpo"},
		{"stage", "dpo", map[string]string{"pref_loss": "simpo"}, "objective=simpo"},
		{"stage", "rm", nil, "!reward models are not in this release"},
		{"rlhf_type", "CPO", nil, "objective=cpo"},
		{"bits", "3", map[string]string{"bits": "3"}, "!it can be 4"},
	} {
		sets, err := rows[c.name].Sets(c.value, func(name string) string { return c.given[name] })
		if c.want != "" && c.want[0] == '!' {
			require.ErrorContains(t, err, c.want[1:], "%s %s", c.name, c.value)
			continue
		}
		require.NoError(t, err, "%s %s", c.name, c.value)
		got := ""
		for i, s := range sets {
			if i > 0 {
				got += " "
			}
			got += s.Name + "=" + s.Text
		}
		assert.Equal(t, c.want, got, "%s %s", c.name, c.value)
	}
}

// TestBackendOfLaunchedRanks checks ddp_backend with and without a launcher.
func TestBackendOfLaunchedRanks(t *testing.T) {
	for _, c := range []struct{ value, alone, launched, wrong string }{
		{"nccl", "", "distributed=nccl", ""},
		{"mpi", "", "distributed=mpi", ""},
		{"gloo", "", "distributed=mpi", ""},
		{"None", "", "", ""},
		{"xccl", "", "", `"xccl" is no engine of this program: it can be nccl, mpi or gloo`},
	} {
		for _, size := range []string{"", "2"} {
			t.Setenv("PMI_SIZE", size)
			t.Setenv("PMI_RANK", size)
			want := c.alone
			if size != "" {
				t.Setenv("PMI_RANK", "0")
				want = c.launched
			}
			got, err := backend(c.value, nil)
			if c.wrong != "" {
				assert.EqualError(t, err, c.wrong)
				continue
			}
			assert.NoError(t, err)
			assert.Equal(t, pairs(want), got, "ddp_backend %s, PMI_SIZE=%q", c.value, size)
		}
	}
}
