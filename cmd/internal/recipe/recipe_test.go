package recipe_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/options"
	"qlora/cmd/internal/recipe"
	"qlora/cmd/internal/verbs"
)

// read translates a YAML file, or a script if program is not "", and returns the options
// as YAML and the outcomes by name; "" has the defaults' notes.
func read(t *testing.T, text string, program recipe.Program) (yaml string, outcomes map[string]*options.Outcome) {
	t.Helper()
	set := verbs.TrainOptions()
	entries, err := options.ReadYAML("a.yaml", []byte(text))
	if program != "" {
		entries, program, err = recipe.Arguments(text)
		set.Recipes = recipe.Script(program)
	}
	require.NoError(t, err)
	_, all := set.Read("a.yaml", entries)
	outcomes = map[string]*options.Outcome{}
	for _, o := range all {
		if o.Name == "" && len(o.Sets) > 0 {
			o.Name = "default " + o.Sets[0].Name
		}
		outcomes[o.Name] = o
	}
	return string(set.GivenYAML(func(string) string { return "" })), outcomes
}

const axolotl = "base_model: ./m\ndatasets: [{path: a.jsonl, type: alpaca}]\nlearning_rate: 1e-4\n"

func TestAxolotl(t *testing.T) {
	defaults := []string{
		`model: "./m"`, `dataset: ["{\"path\":\"a.jsonl\",\"type\":\"alpaca\"}"]`, "learning_rate: 0.0001", "method: \"full\"", "num_train_epochs: 1\n",
		"per_device_train_batch_size: 1\n", "per_device_eval_batch_size: 1\n", "gradient_accumulation_steps: 1\n", "max_length: 512\n", `lr_scheduler_type: "cosine"`,
		`optim: "adamw_torch_fused"`, "warmup_steps: 0.03\n", `save_strategy: "epoch"`, "save_total_limit: 4\n", `eval_strategy: "no"`, `output_dir: "./model-out"`,
	}
	for _, c := range []struct {
		name, yaml string
		want       []string // parts of the options
		not        []string
	}{
		{"defaults", "", defaults, []string{"target_modules", "lora_"}},
		{"adapters", "adapter: qlora\nload_in_4bit: true\nlora_r: 8\n", []string{`method: "qlora"`, "lora_r: 8\n", "lora_dropout: 0\n", `target_modules: ""`}, nil},
		{"LoRA", "adapter: lora\nload_in_8bit: false\nlora_target_linear: true\n", []string{`method: "lora"`, `target_modules: "all-linear"`}, nil},
		{"LoRA on 4 bits", "adapter: lora\nload_in_4bit: true\nlora_target_modules: [q_proj, v_proj]\nlora_target_linear: false", []string{`method: "qlora"`, `target_modules: "q_proj,v_proj"`}, nil},
		{"all and some", "adapter: lora\nlora_target_linear: true\nlora_target_modules: [q_proj]\n", []string{`target_modules: "all-linear"`}, nil},
		{"steps", "saves_per_epoch: 4\nnum_epochs: 2\nevals_per_epoch: 5\nval_set_size: 0.1\n", []string{"save_strategy: \"steps\"\nsave_steps: 0.125\n", "eval_strategy: \"steps\"\neval_steps: 0.1\n", "val_size: 0.1\n"}, nil},
		{"nothing to evaluate", "evals_per_epoch: 5\nval_set_size: 0\n", []string{`eval_strategy: "no"`}, []string{"eval_steps", "val_size"}},
		{"once", "saves_per_epoch: 1\n", []string{`save_strategy: "epoch"`}, []string{"save_steps"}},
		{"batch", "batch_size: 32\nmicro_batch_size: 4\n", []string{"per_device_train_batch_size: 4\n", "per_device_eval_batch_size: 4\n", "gradient_accumulation_steps: 8\n"}, nil},
		{"lowest rate", "lr_scheduler: cosine\ncosine_min_lr_ratio: 0.2\n", []string{`lr_scheduler_type: "cosine_with_min_lr"`, `min_lr_rate\":0.2`}, nil},
		{"template", "chat_template: llama3\n", []string{`chat_template: "llama-3"`}, nil},
		{"own template", "chat_template: tokenizer_default\n", nil, []string{"chat_template"}},
		{"template otherwise", "chat_template: tokenizer_default_fallback_chatml\n", []string{`chat_template: "chatml"`}, nil},
		{"template's file", "chat_template: jinja\nchat_template_jinja: ./t.jinja\n", []string{`chat_template: "./t.jinja"`}, nil},
		{"PEFT", "adapter: lora\npeft_layers_to_transform: [0, 1]\npeft_use_rslora: true\npeft: {loftq_config: {loftq_bits: 4}}\n", []string{`layers_to_transform: ["0", "1"]`, "use_rslora: true", `init_lora_weights: "loftq"`}, nil},
		{"quantization", "adapter: qlora\nbnb_config_kwargs: {bnb_4bit_quant_type: fp4}\n", []string{`bnb_4bit_quant_type: "fp4"`}, nil},
		{"tokens", "special_tokens: {pad_token: <p>, additional_special_tokens: [<a>, <b>]}\ntokens: [<c>]\n", []string{`add_special_tokens: ["<a>", "<b>"]`, `add_tokens: ["<c>"]`}, nil},
		{"the Hub", "hub_model_id: me/tuned\nhub_strategy: end\n", []string{`hub_model_id: "me/tuned"`, "push_to_hub: true\n"}, []string{"hub_strategy"}},
		{"offload", "gradient_checkpointing: offload\n", []string{"gradient_checkpointing: true"}, nil},
		{"pairs", "rl: dpo\nrl_beta: 0.2\ndpo_loss_type: [sigmoid, sft]\ndpo_loss_weights: [1, 0.5]\n", []string{`objective: "dpo"`, "beta: 0.2", `loss_type: ["sigmoid", "sft"]`, `loss_weights: ["1", "0.5"]`}, nil},
		{"SimPO", "rl: simpo\nsimpo_gamma: 1\n", []string{`objective: "cpo"`, `loss_type: ["simpo"]`, "simpo_gamma: 1"}, nil},
		{"rewards", "rl: grpo\ntrl: {use_vllm: true, vllm_device: auto, beta: 0.01, num_generations: 4, reward_funcs: [think_format_reward], scale_rewards: false, sync_ref_model: false, max_completion_length: 100}\nsequence_len: 200\nvllm: {host: x}\n", []string{
			"max_length: 300",
			`objective: "grpo"`, "beta: 0.01", "num_generations: 4", `reward_funcs: ["think_format_reward"]`, `scale_rewards: "false"`,
		}, nil},
		{"rewards apart", "rl: gdpo\n", []string{"max_length: 1024", `objective: "grpo"`, `multi_objective_aggregation: "normalize_then_sum"`}, nil},
		{"in order", "curriculum_sampling: true\n", []string{`train_sampling_strategy: "sequential"`}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			yaml, outcomes := read(t, axolotl+c.yaml, "")
			for _, want := range c.want {
				assert.Contains(t, yaml, want)
			}
			for _, not := range c.not {
				assert.NotContains(t, yaml, not)
			}
			for name, o := range outcomes {
				assert.Empty(t, o.Refused, name)
			}
		})
	}
}

func TestAxolotlRefusesWhatChangesTheResult(t *testing.T) {
	for _, c := range []struct{ yaml, key, want string }{
		{"rl: ebft", "rl", "the objectives are dpo, ipo, kto, orpo, simpo, grpo and gdpo"},
		{"rl: grpo\ntrl: {reward_funcs: [rewards.close, think_format_reward]}", "trl", "rewards.close: it is a function in Python; write a reward command of it"},
		{"rl: grpo\ntrl: {nothing_like_it: 1}", "trl", "there is no option nothing_like_it"},
		{"adapter: lora\nload_in_8bit: true", "load_in_8bit", "8 bits"},
		{"adapter: llama-adapter", "adapter", "lora or qlora"},
		{"load_in_4bit: true", "load_in_4bit", "set adapter: qlora"},
		{"lr_scheduler: rex", "lr_scheduler", "no such schedule"},
		{"chat_template: exaone", "chat_template", "leave it out"},
		{"chat_template: jinja\nchat_template_jinja: '{{ x }}'", "chat_template_jinja", "into a file"},
		{"plugins: [axolotl.integrations.liger.LigerPlugin, a.b.Other]", "plugins", "a.b.Other changes the training"},
		{"special_tokens: {eos_token: </s>}", "special_tokens", "not here to compare"},
		{"excess_length_strategy: raise", "excess_length_strategy", "max_length"},
		{"unfrozen_parameters: [a]", "unfrozen_parameters", "modules_to_save"},
		{"test_datasets: [{path: b.jsonl, type: nothing_like_it}]", "test_datasets", `type is "nothing_like_it"`},
		{"test_datasets: [{path: b.jsonl, chat_template: chatml}, {path: c.jsonl, chat_template: llama3}]", "test_datasets", "different chat templates"},
		{"nothing_like_it: 1", "nothing_like_it", "there is no option nothing_like_it"},
	} {
		_, outcomes := read(t, axolotl+c.yaml+"\n", "")
		require.NotNil(t, outcomes[c.key], c.yaml)
		require.NotEmpty(t, outcomes[c.key].Refused, c.yaml)
		assert.Contains(t, strings.Join(outcomes[c.key].Refused, "; "), c.want)
		assert.Less(t, len(outcomes[c.key].Refused[0]), 300)
	}
}

func TestSpecialTokensAreCompared(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("m", 0o755))
	require.NoError(t, os.WriteFile("m/tokenizer_config.json", []byte(`{"eos_token": "</s>", "bos_token": {"content": "<s>"}}`), 0o644))
	_, outcomes := read(t, axolotl+"special_tokens: {bos_token: <s>, eos_token: </s>, pad_token: x}\n", "")
	assert.Contains(t, outcomes["special_tokens"].Notes[0], "the same")
	_, outcomes = read(t, axolotl+"special_tokens: {bos_token: <s>, eos_token: <|end|>}\n", "")
	assert.Contains(t, outcomes["special_tokens"].Refused[0], `eos_token is "</s>" in the model`)
}

func TestDatasetsTemplateIsLifted(t *testing.T) {
	yaml, _ := read(t, "base_model: ./m\nadapter: lora\ndatasets:\n- {path: a.jsonl, type: chat_template, chat_template: qwen_25}\n- {path: b.jsonl, type: chat_template, chat_template: qwen_25}\n", "")
	assert.Contains(t, yaml, `chat_template: "qwen-2.5"`)
	assert.Contains(t, yaml, `dataset: ["{\"path\":\"a.jsonl\",\"type\":\"chat_template\"}", "{\"path\":\"b.jsonl\",\"type\":\"chat_template\"}"]`)
}

func TestAxolotlsDatasets(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("a.jsonl", nil, 0o644))
	for _, c := range []struct{ entry, want string }{
		{"{path: a.jsonl, split: train}", `dataset: ["a.jsonl"]`},
		{"{path: folder, split: test}", `dataset: ["{\"path\":\"folder\",\"split\":\"test\"}"]`},
		{"{path: a.jsonl, split: 'train[:20]'}", `dataset: ["{\"path\":\"a.jsonl\",\"max_samples\":20}"]`},
		{"{path: a.jsonl, type: sharegpt, conversation: chatml}", `chat_template: "chatml"`},
		{"{path: a.jsonl, shards: , trust_remote_code: false, drop_system_message: false}", `dataset: ["a.jsonl"]`},
		{"a.jsonl", `dataset: ["a.jsonl"]`},
		{"{path: a.jsonl, split: 'train[:20%]'}\n- b.jsonl", `dataset_weights: ["0.2", "1"]`},
	} {
		yaml, outcomes := read(t, "base_model: ./m\nadapter: lora\ndatasets:\n- "+c.entry+"\n", "")
		assert.Contains(t, yaml, c.want)
		assert.Empty(t, outcomes["datasets"].Refused, c.entry)
	}
	yaml, _ := read(t, "base_model: ./m\nadapter: lora\nrl: dpo\ndatasets:\n- {path: a.jsonl, type: chatml.intel}\n- {path: b.jsonl, type: chatml}\n", "")
	for _, want := range []string{`objective: "dpo"`, `\"type\":\"chat_template.intel\"`, `\"type\":\"chat_template.argilla\"`, `chat_template: "chatml"`} {
		assert.Contains(t, yaml, want)
	}
	_, outcomes := read(t, "base_model: ./m\nadapter: lora\ndatasets:\n- {path: a.jsonl, split: 'train[5%:]'}\n", "")
	assert.Contains(t, outcomes["datasets"].Refused[0], "max_samples takes the first records")
}

func TestFactory(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("data", 0o755))
	require.NoError(t, os.WriteFile(filepath.Join("data", "dataset_info.json"),
		[]byte(`{"one": {"file_name": "one.json"}, "two": {"file_name": "two.json", "columns": {"prompt": "body"}},
			"better": {"file_name": "one.json", "ranking": true, "columns": {"prompt": "instruction", "chosen": "good", "rejected": "bad"}}}`), 0o644))
	const head = "model_name_or_path: ./m\nfinetuning_type: lora\ncutoff_len: 64\n"
	for _, c := range []struct {
		name, yaml string
		want       []string
	}{
		{"defaults", "stage: sft\ntemplate: qwen\n", []string{
			`method: "lora"`, "lora_r: 8\n", "lora_alpha: 16\n", "lora_dropout: 0\n", `target_modules: "all-linear"`, "learning_rate: 5e-05\n", "max_length: 64\n",
			"logging_steps: 500\n", `chat_template: "qwen-2.5"`, "apply_chat_template: true", `eval_strategy: "no"`,
		}},
		{"rank", "lora_rank: 32\nquantization_bit: 4\ndouble_quantization: false\n", []string{`method: "qlora"`, "lora_r: 32\n", "lora_alpha: 64\n", "bnb_4bit_use_double_quant: false"}},
		{"datasets", "dataset: one,two\nmax_samples: 7\n", []string{`\"path\":\"data/one.json\",\"max_samples\":7}`, `\"path\":\"data/two.json\",\"max_samples\":7}`, `instruction=body`}},
		{"texts", "stage: pt\ndataset: two\n", []string{`dataset_format: "text"`, "packing: true", `\"columns\":[\"text=body\"]`}},
		{"packing", "packing: false\nneat_packing: true\n", []string{"packing: true"}},
		{"pairs", "stage: dpo\npref_loss: hinge\npref_beta: 0.2\n", []string{`objective: "dpo"`, `loss_type: ["hinge"]`, "beta: 0.2"}},
		{"pairs and their fit", "stage: dpo\npref_ftx: 0.5\n", []string{`loss_type: ["sigmoid", "sft"]`, `loss_weights: ["1", "0.5"]`}},
		{"odds", "stage: dpo\npref_loss: orpo\n", []string{`objective: "orpo"`}},
		{"ranked", "stage: dpo\ndataset: better\n", []string{`\"ranking\":true`, `\"chosen=good\",`, `\"rejected=bad\"`}},
		{"judged", "stage: kto\nkto_chosen_weight: 2\n", []string{`objective: "kto"`, "desirable_weight: 2"}},
		{"in order", "disable_shuffling: true\n", []string{`train_sampling_strategy: "sequential"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			yaml, outcomes := read(t, head+c.yaml, "")
			for _, want := range c.want {
				assert.Contains(t, yaml, want)
			}
			for name, o := range outcomes {
				assert.Empty(t, o.Refused, name)
			}
		})
	}
	for _, c := range []struct{ yaml, key, want string }{
		{"stage: ppo", "stage", "the stages are sft, pt, dpo and kto"},
		{"quantization_bit: 8", "quantization_bit", "4 bits"},
		{"quantization_method: hqq\nquantization_bit: 4", "quantization_method", "bitsandbytes"},
		{"template: nothing_like_it", "template", "no built-in one renders as this"},
		{"dataset: three,one\nmax_samples: 3", "dataset", `there is no dataset "three"`},
		{"mix_strategy: interleave_over", "mix_strategy", "dataset_weights"},
		{"use_kt: true", "use_kt", "cannot be trained"},
	} {
		_, outcomes := read(t, head+c.yaml+"\n", "")
		require.NotEmpty(t, outcomes[c.key].Refused, c.yaml)
		assert.Contains(t, outcomes[c.key].Refused[0], c.want)
	}
}

// TestOwnFilesAreNotTranslated checks that a file of this program gets no other defaults.
func TestOwnFilesAreNotTranslated(t *testing.T) {
	for _, yaml := range []string{
		"model: m\ndataset: [a]\n", "model_name_or_path: m\ncutoff_len: 5\n", "model_name_or_path: m\ndataset_dir: data\ndataset: a\n", "base_model: m\n",
		string(verbs.TrainOptions().YAML()),
	} {
		entries, err := options.ReadYAML("a.yaml", []byte(yaml))
		require.NoError(t, err)
		_, known := recipe.Read(entries)
		assert.False(t, known, yaml)
	}
}
