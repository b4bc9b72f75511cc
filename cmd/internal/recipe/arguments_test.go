package recipe_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/recipe"
)

func TestArguments(t *testing.T) {
	t.Setenv("RECIPE_HOME", "/h")
	for _, c := range []struct {
		name, script string
		program      recipe.Program
		want         []string // name=value
	}{
		{"a line", "python train.py --a 1 --b=2", recipe.Transformers, []string{"a=1", "b=2"}},
		{"only pairs", "--a 1\n--b 2", recipe.Transformers, nil},
		{"pairs on lines", "--a 1 \\\n--b 2", recipe.Transformers, []string{"a=1", "b=2"}},
		{"launchers", "CUDA_VISIBLE_DEVICES=0 accelerate launch --num_processes 2 x/sft.py --a 1", recipe.TRL, []string{"a=1"}},
		{"torchrun", "torchrun --nproc_per_node 4 run.py --a 1", recipe.Transformers, []string{"a=1"}},
		{"module", "python -m torch.distributed.run --x 1 -m llamafactory.train --a 1", recipe.Program("LLaMA-Factory"), []string{"a=1"}},
		{"trl", "trl sft --a 1", recipe.TRL, []string{"a=1"}},
		{"trl dpo", "trl dpo --a 1", recipe.TRL, []string{"a=1", "objective=dpo"}},
		{"trl grpo", "trl grpo --reward_funcs a b", recipe.TRL, []string{"reward_funcs=a,b", "objective=grpo"}},
		{"quotes", `trl sft --a 'x y' --b "it's \"q\"" --c x\ y --d ''`, recipe.TRL, []string{"a=x y", `b=it's "q"`, "c=x y", "d="}},
		{"variables", "M=m/x\nexport N=\"n n\"\ntrl sft --a $M --b ${N} --c ${RECIPE_HOME}/x --d ${RECIPE_NONE:-other} --e '$M'", recipe.TRL, []string{"a=m/x", "b=n n", "c=/h/x", "d=other", "e=$M"}},
		{"comments", "#!/bin/sh\n# --x 1\ntrl sft --a 1 # --b 2\n", recipe.TRL, []string{"a=1"}},
		{"continued", "trl sft \\\r\n --a 1 \\\n  --b 2\n", recipe.TRL, []string{"a=1", "b=2"}},
		{"redirected", "trl sft --a 1 2>&1 >log | tee x", recipe.TRL, []string{"a=1"}},
		{"flags", "trl sft --a --no_b --c true --dash-name", recipe.TRL, []string{"a=true", "b=false", "c=true", "dash_name=true"}},
		{"several values", "trl sft --a q v --b -1", recipe.TRL, []string{"a=q,v", "b=-1"}},
		{"JSON", `trl sft --a '{"x": [1, 2]}'`, recipe.TRL, []string{`a={"x": [1, 2]}`}},
		{"the last counts", "trl sft --a 1 --a 2", recipe.TRL, []string{"a=2"}},
		{"other commands", "mkdir -p x && cd x; trl sft --a 1 && echo done", recipe.TRL, []string{"a=1"}},
		{"unset elsewhere", "cd $RECIPE_NONE\ntrl sft --a 1", recipe.TRL, []string{"a=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, program, err := recipe.Arguments(c.script)
			if c.want == nil {
				require.ErrorContains(t, err, "a second command")
				return
			}
			require.NoError(t, err)
			var got []string
			for _, e := range entries {
				got = append(got, e.Name+"="+e.Text)
			}
			assert.Equal(t, c.want, got)
			assert.Equal(t, c.program, program)
		})
	}
}

func TestArgumentsThatCannotBeRead(t *testing.T) {
	for script, want := range map[string]string{
		"trl sft --a ${RECIPE_NONE}/x":           "--a: line 1 has the variable RECIPE_NONE, which is not set",
		"trl sft --a $(date)":                    "--a: line 1 has a command inside",
		"trl sft --a 'x":                         "line 1: the quote ' has no end",
		"trl sft \\\n --a \"x":                   "line 2: the quote \" has no end",
		"trl rloo --a 1":                         "line 1: trl rloo is not done by this release; it can be sft, dpo, kto or grpo",
		"llamafactory-cli train a.yaml":          "reads the options from a.yaml; import that file",
		"echo hello":                             "there is no command with --options",
		"trl sft --a 1\ntrl sft --b 1":           "line 2: a second command",
		"trl sft --=x":                           `"--=x" belongs to no option`,
		"axolotl train c.yaml":                   "import that file",
		"python -m axolotl.cli.train config.yml": "import that file",
		"":                                       "there is no command",
	} {
		_, _, err := recipe.Arguments(script)
		assert.ErrorContains(t, err, want, script)
	}
}

func TestScriptDefaults(t *testing.T) {
	yaml, _ := read(t, "trl sft --model_name_or_path ./m --dataset_name a.jsonl --use_peft --load_in_4bit", recipe.TRL)
	for _, want := range []string{
		`method: "qlora"`, "learning_rate: 2e-05", "max_length: 1024", "gradient_checkpointing: true", "lora_r: 16", "lora_alpha: 32", "lora_dropout: 0.05",
		`target_modules: ""`, "bnb_4bit_use_double_quant: false", `eval_strategy: "no"`,
	} {
		assert.Contains(t, yaml, want)
	}
	yaml, _ = read(t, "trl sft --model_name_or_path ./m --dataset_name a.jsonl", recipe.TRL)
	assert.Contains(t, yaml, `method: "full"`)
	yaml, outcomes := read(t, "trl grpo --model_name_or_path ./m --dataset_name a.jsonl --reward_funcs think_format_reward get_soft_overlong_punishment --use_vllm --loss_type dr_grpo --scale_rewards False", recipe.TRL)
	for _, want := range []string{
		`objective: "grpo"`, `reward_funcs: ["think_format_reward", "get_soft_overlong_punishment"]`, "learning_rate: 1e-06", `loss_type: ["dr_grpo"]`, `scale_rewards: "False"`, `method: "full"`,
	} {
		assert.Contains(t, yaml, want)
	}
	assert.NotContains(t, yaml, "max_length")
	assert.Contains(t, outcomes["use_vllm"].Notes[0], "sampled by the run itself")
	_, outcomes = read(t, "trl grpo --model_name_or_path ./m --dataset_name a.jsonl --reward_funcs think_format_reward accuracy_reward", recipe.TRL)
	assert.Contains(t, outcomes["reward_funcs"].Refused[0], "accuracy_reward: it decides with Python's math_verify")
	yaml, _ = read(t, "python run_clm.py --model_name_or_path ./m --train_file a.txt --block_size 64", recipe.Transformers)
	for _, want := range []string{`method: "full"`, `dataset_format: "text"`, "packing: true", "max_length: 64", "learning_rate: 5e-05", "val_size: 0.05"} {
		assert.Contains(t, yaml, want)
	}
}

func FuzzArguments(f *testing.F) {
	for _, seed := range []string{"trl sft --a 1", "A=1\npython x.py --b \"$A\" 'c' \\\n --d ${E:-f} # g", "--a $(x) `y` 2>&1", "x.py --a \x00", "python -m", "llamafactory-cli", "${", "$", "\\", "a='"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, script string) {
		entries, _, err := recipe.Arguments(script)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, e := range entries {
			require.NotEmpty(t, e.Name)
			require.False(t, seen[e.Name])
			seen[e.Name] = true
			require.NotContains(t, e.Text, "\x00")
		}
	})
}
