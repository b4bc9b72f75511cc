package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/hubserver"
)

// hubToken is the token of the tests' Hub.
const hubToken = "hf_TokenOfTheTests"

// onHub returns a command line of qlora with a Hub and an empty cache.
func onHub(s *hubserver.Server, home string, args ...string) *exec.Cmd {
	cmd := program(args...)
	cmd.Env = append(cmd.Env, "HF_ENDPOINT="+s.Hub.URL, "HF_HOME="+home, "HF_TOKEN="+hubToken, "HF_HUB_CACHE=", "HUGGINGFACE_HUB_CACHE=", "HF_HUB_OFFLINE=", "TRANSFORMERS_OFFLINE=")
	return cmd
}

// runOnHub runs it and returns its exit code and output, which must not have the token.
func runOnHub(t *testing.T, s *hubserver.Server, home string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err strings.Builder
	cmd := onHub(s, home, args...)
	cmd.Stdout, cmd.Stderr = &out, &err
	_ = cmd.Run() // the exit code is returned
	require.NotContains(t, out.String()+err.String(), hubToken)
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

// addFolder puts a folder on the Hub.
func addFolder(t *testing.T, s *hubserver.Server, id, dir string) {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Type().IsRegular() {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			require.NoError(t, err)
			files[e.Name()] = string(text)
		}
	}
	s.Add("model", id, files)
}

func TestTrainFromHub(t *testing.T) {
	s := hubserver.New()
	defer s.Close()
	home := t.TempDir()
	addFolder(t, s, "org/base", writeModel(t))
	records, err := os.ReadFile(writeRecords(t, 8, 12))
	require.NoError(t, err)
	s.Add("dataset", "org/texts", map[string]string{
		"README.md":             "---\nconfigs:\n- config_name: small\n  data_files:\n  - split: train\n    path: small/train*\n  - split: test\n    path: small/test*\n- config_name: large\n  data_files: large/*\n---\n",
		"small/train-0.jsonl":   string(records),
		"small/test-0.jsonl":    string(records),
		"large/train-0.parquet": "far too large",
	})
	out := filepath.Join(t.TempDir(), "out")
	code, _, stderr := runOnHub(t, s, home, "train", "--model", "org/base", "--dataset", "org/texts:small", "--output_dir", out, "--max_steps", "2",
		"--per_device_train_batch_size", "2", "--report_to", "none")
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stderr, "the validation and test splits of ")
	config, err := os.ReadFile(filepath.Join(out, "adapter_config.json"))
	require.NoError(t, err)
	require.Contains(t, string(config), `"base_model_name_or_path": "org/base"`)
	options, err := os.ReadFile(filepath.Join(out, "run.yaml"))
	require.NoError(t, err)
	require.Contains(t, string(options), `model: "org/base"`)
	require.NotContains(t, string(options), hubToken)
	for _, request := range s.Requests() {
		require.NotContains(t, request, "/large/")
	}
	require.Empty(t, s.Leaks(), "requests to another host with the token")

	// The adapter, from the Hub; offline, all from the cache.
	addFolder(t, s, "me/adapter", out)
	args := []string{"eval", "--model", "org/base", "--adapter", "me/adapter", "--dataset", "org/texts:small/test", "--json"}
	code, online, stderr := runOnHub(t, s, home, args...)
	require.Equal(t, 0, code, stderr)
	s.Close()
	code, offline, stderr := runOnHub(t, s, home, append(args, "--local_files_only")...)
	require.Equal(t, 0, code, stderr)
	require.Equal(t, online, offline)
}

func TestFetch(t *testing.T) {
	s := hubserver.New()
	defer s.Close()
	home := t.TempDir()
	commit := s.Add("model", "org/base", map[string]string{"config.json": "{}", "model.safetensors": "x", "pytorch_model.bin": "x"})
	s.Add("dataset", "org/texts", map[string]string{"train.jsonl": "{}\n", "README.md": "#"})
	s.Add("model", "org/closed", map[string]string{"config.json": "{}"}, hubserver.Gated)
	s.RequireToken("hf_another")
	for _, c := range []struct {
		args string
		code int
		want string // the end of the folder, or part of the message
	}{
		{"fetch org/base", 0, "/models--org--base/snapshots/" + commit},
		{"fetch --model org/base@" + commit, 0, "/models--org--base/snapshots/" + commit},
		{"fetch org/base --revision main", 0, "/models--org--base/snapshots/" + commit},
		{"fetch --dataset org/texts", 0, "datasets--org--texts/snapshots/"},
		{"fetch org/texts --repo_type dataset", 0, "datasets--org--texts/snapshots/"},
		{"fetch", 2, "what to fetch is missing"},
		{"fetch org", 2, `"org" is no name on the Hub; write ORG/NAME`},
		{"fetch org/base org/other", 2, "fetch takes one name"},
		{"fetch org/none", 2, "org/none: the Hub has no repository of that name, or your token may not see it"},
		{"fetch org/closed", 2, "org/closed: your token's account has no access: accept its terms"},
		{"fetch org/base@v1", 2, "org/base@v1: it has no branch, tag or commit of that name"},
		{"fetch org/base --local_files_only --cache_dir /nowhere", 2, "org/base: not in the cache /nowhere"},
		{"train --dataset x.jsonl --model org/none", 2, "--model: no such folder is here, and on the Hub: org/none: the Hub has no repository"},
		{"train --dataset org/none --model x", 2, "--dataset: no such folder is here, and on the Hub: org/none: the Hub has no repository"},
		{"train --dataset x.jsonl --model models/none", 2, "`qlora fetch models/none` downloads it"},
	} {
		code, stdout, stderr := runOnHub(t, s, home, strings.Fields(c.args)...)
		require.Equal(t, c.code, code, "%s: %s", c.args, stderr)
		require.Contains(t, stdout+stderr, c.want, c.args)
	}
}

// TestFetchDataset fetches what the rules for a dataset's folder choose of its files.
func TestFetchDataset(t *testing.T) {
	s := hubserver.New()
	defer s.Close()
	const readme = "---\nconfigs:\n- config_name: a\n  default: true\n  data_files:\n  - split: train\n    path: a/*.parquet\n- config_name: b\n  data_dir: b\n---\n"
	for _, c := range []struct {
		name, files string
		part        string
		readme      string
		want        string // the files, or part of the message
	}{
		{
			"names of splits", "data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet data/test-00000-of-00001.parquet x.py logo.png", "", "",
			"data/test-00000-of-00001.parquet data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet",
		},
		{"plain files", "a.jsonl b.csv notes.docx dataset_infos.json", "", "", "a.jsonl b.csv dataset_infos.json"},
		{"below folders", "en/x/1.jsonl.gz en/x/2.jsonl.gz", "", "", "en/x/1.jsonl.gz en/x/2.jsonl.gz"},
		{"the default configuration", "a/1.parquet a/2.parquet b/train.jsonl b/test.jsonl", "", readme, "README.md a/1.parquet a/2.parquet"},
		{"another configuration", "a/1.parquet b/train.jsonl b/test.jsonl", ":b", readme, "README.md b/test.jsonl b/train.jsonl"},
		{"a split of it", "a/1.parquet b/train.jsonl b/test.jsonl", ":b/test", readme, "README.md b/test.jsonl b/train.jsonl"},
		{"no such configuration", "a/1.parquet b/train.jsonl b/test.jsonl", ":c", readme, `it has no configuration or split "c"`},
		{"a script", "load.py data.zip", "", "", "it has a script, which is not run: the Hub often has its records as org/d8@refs/convert/parquet"},
		{"names that lead out", "train.jsonl ../../x.jsonl", "", "", "train.jsonl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := "org/d" + strconv.Itoa(len(s.Requests())) // another in each case
			if c.name == "a script" {
				id = "org/d8"
			}
			files := map[string]string{}
			for name := range strings.FieldsSeq(c.files) {
				files[name] = "{}"
			}
			if c.readme != "" {
				files["README.md"] = c.readme
			}
			s.Add("dataset", id, files)
			code, stdout, stderr := runOnHub(t, s, t.TempDir(), "fetch", "--dataset", id+c.part)
			if code != 0 {
				require.Equal(t, 2, code, stderr)
				require.Contains(t, stderr, c.want)
				return
			}
			var got []string
			dir := strings.TrimSuffix(strings.TrimSpace(stdout), strings.ReplaceAll(c.part, "/", ":"))
			require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
				if err == nil && !e.IsDir() {
					name, _ := filepath.Rel(dir, path)
					got = append(got, name)
				}
				return err
			}))
			require.Equal(t, c.want, strings.Join(got, " "))
		})
	}
}

// TestPlanFromHub plans without the weights.
func TestPlanFromHub(t *testing.T) {
	s := hubserver.New()
	defer s.Close()
	addFolder(t, s, "org/base", writeModel(t))
	home := t.TempDir()
	code, stdout, stderr := runOnHub(t, s, home, "plan", "--model", "org/base", "--device", "cpu", "--json")
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "peak_bytes")
	for _, request := range s.Requests() {
		require.NotContains(t, request, ".safetensors")
	}
	code, _, stderr = runOnHub(t, s, home, "quantize", "--model", "org/base", "--output_dir", filepath.Join(t.TempDir(), "4bit"))
	require.Equal(t, 0, code, stderr)
}

// TestFetchOnFullDisk fetches to a disk without room, and then goes on.
func TestFetchOnFullDisk(t *testing.T) {
	s := hubserver.New()
	defer s.Close()
	s.Add("model", "org/base", map[string]string{"config.json": "{}", "model.safetensors": strings.Repeat("x", 1<<20)})
	home := t.TempDir()
	cmd := limited(1<<18, "fetch", "org/base")
	cmd.Env = append(cmd.Env, onHub(s, home).Env...)
	output, _ := cmd.CombinedOutput() // the exit code is checked
	require.Equal(t, 1, cmd.ProcessState.ExitCode(), "%s", output)
	require.Contains(t, string(output), "qlora: org/base: the disk of "+filepath.Join(home, "hub")+" is full; free some space and run the command again: it goes on where it stopped\n")
	code, _, stderr := runOnHub(t, s, home, "fetch", "org/base")
	require.Equal(t, 0, code, stderr)
}

func TestPush(t *testing.T) {
	s := hubserver.New()
	defer s.Close()
	s.RequireToken(hubToken)
	home, dir := t.TempDir(), writeModel(t)
	code, stdout, stderr := runOnHub(t, s, home, "push", dir, "me/model", "--private")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, s.Hub.URL+"/me/model\n", stdout)
	require.Contains(t, stderr, "the folder has no README.md: a short one is pushed")
	files, _ := s.Files("model", "me/model", "main")
	require.Contains(t, files["README.md"], "library_name: transformers\npipeline_tag: text-generation\n---\n\n# model\n")
	require.Contains(t, files, "model.safetensors")
	require.True(t, s.IsPrivate("model", "me/model"))

	head := s.Add("model", "me/model", map[string]string{"README.md": "# Another's"})
	code, _, stderr = runOnHub(t, s, home, "push", dir, "me/model")
	require.Equal(t, 2, code, stderr)
	require.Contains(t, stderr, "me/model: the branch main is at commit "+head[:12]+", which this folder was not pushed as: push to another branch by --revision NAME")
	code, stdout, stderr = runOnHub(t, s, home, "push", dir, "me/model", "--revision", "mine", "--commit_message", "On a branch")
	require.Equal(t, 0, code, stderr)
	require.Equal(t, s.Hub.URL+"/me/model/tree/mine\n", stdout)
	code, _, stderr = runOnHub(t, s, home, "push", dir)
	require.Equal(t, 2, code, stderr)
	require.Contains(t, stderr, "write qlora push FOLDER ORG/NAME")
}

func TestTrainAndPush(t *testing.T) {
	s := hubserver.New()
	defer s.Close()
	s.RequireToken(hubToken)
	out := filepath.Join(t.TempDir(), "tuned")
	args := []string{
		"train", "--model", writeModel(t), "--dataset", writeRecords(t, 4, 12), "--output_dir", out, "--max_steps", "1", "--report_to", "none",
		"--push_to_hub", "--hub_private_repo", "--hub_strategy", "end", "--hub_token", "<HUB_TOKEN>",
	}
	code, _, stderr := runOnHub(t, s, t.TempDir(), append(args, "--local_files_only")...)
	require.Equal(t, 2, code, stderr)
	require.Contains(t, stderr, "--push_to_hub needs the Hub")
	require.NoDirExists(t, out)
	code, stdout, stderr := runOnHub(t, s, t.TempDir(), args...)
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, s.Hub.URL+"/me/tuned\n")
	files, _ := s.Files("model", "me/tuned", "main")
	for _, name := range []string{"README.md", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} {
		require.Contains(t, files, name)
	}
	for _, name := range []string{"run.yaml", "trainer_state.json", "metrics.jsonl"} {
		require.NotContains(t, files, name)
	}
	require.True(t, s.IsPrivate("model", "me/tuned"))
}
