package trainer

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/lora"
	"qlora/trainer/internal/tiny"
)

const (
	chatAlphabet = " .?:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	chatTemplate = `{% for m in messages %}{{ m.role + ': ' + m.content }}<end>{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}`
)

// TestAnotherModuleTunesAChatModel builds the package's Example as the main package of
// another module. It tunes a model on chats and asks it, with the public packages
// alone, in fewer than 40 lines, and without a package that shows a run.
func TestAnotherModuleTunesAChatModel(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program")
	}
	example, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	require.Less(t, strings.Count(string(example), "\n"), 40)
	program := strings.NewReplacer("package trainer_test", "package main", "func Example()", "func main()").Replace(string(example))
	page, err := os.ReadFile("../docs/library.md")
	require.NoError(t, err)
	require.Contains(t, string(page), "```go\n"+program+"```\n")
	dir := t.TempDir()
	writeModule(t, dir, program)
	linked := goTool(t, dir, "list", "-deps", ".")
	for _, shown := range []string{"gonum.org/v1/plot", "tensorboard", "trainer/report", "internal/figure", "golang.org/x/term", "cobra"} {
		require.NotContains(t, linked, shown)
	}
	goTool(t, dir, "build", "-o", "tune", ".")

	writeChatModel(t, filepath.Join(dir, "model"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "chats.jsonl"), []byte(chats(t, 320)), 0o600))
	tune := exec.CommandContext(t.Context(), filepath.Join(dir, "tune"))
	tune.Dir = dir
	out, err := tune.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, "steps: 120\nanswer: You do.\n", string(out))

	adapter, err := lora.ReadConfig(filepath.Join(dir, "adapter"))
	require.NoError(t, err)
	assert.Equal(t, "model", adapter.BaseModel)
	assert.Equal(t, 16, adapter.R)
	for _, name := range []string{"adapter_model.safetensors", "tokenizer.json", "chat_template.jinja", "trainer_state.json"} {
		assert.FileExists(t, filepath.Join(dir, "adapter", name))
	}
}

// writeModule writes a module of one program that has the same versions of other modules, and a workspace
// of it and this module. There this one's packages have the version that they have in tests, so that the
// C kernels, whose compilation takes minutes, come from the build cache.
func writeModule(t *testing.T, dir, program string) {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	text, found := strings.CutPrefix(string(module), "module qlora\n")
	require.True(t, found)
	text = "module example.com/tune\n" + text
	line := regexp.MustCompile(`(?m)^go \S+$`).FindString(text)
	require.NotEmpty(t, line, "go.mod's version of Go")
	// A workspace looks for .../regexp2/v2 in module .../regexp2, too, which some module once required.
	const other = "github.com/dlclark/regexp2"
	work := fmt.Sprintf("%s\n\nuse (\n\t.\n\t%q\n)\n\nreplace %s => ./none\n", line, root, other)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "none"), 0o700))
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	for name, data := range map[string]string{"go.mod": text, "go.sum": string(sums), "go.work": work, "main.go": program, "none/go.mod": "module " + other + "\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
	}
}

// goTool runs the go command in a module without a network and returns its output.
func goTool(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOWORK="+filepath.Join(dir, "go.work"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return string(out)
}

// writeChatModel writes the tiny model with a tokenizer of single characters and a chat
// template.
func writeChatModel(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, tiny.WriteModel(dir))
	letters := map[string]int{}
	for i, letter := range chatAlphabet {
		letters[string(letter)] = 3 + i
	}
	tokenizer, err := json.Marshal(map[string]any{
		"model":        map[string]any{"type": "BPE", "vocab": letters, "merges": []string{}},
		"decoder":      map[string]any{"type": "Fuse"},
		"added_tokens": []any{map[string]any{"id": 2, "content": "<end>", "special": true}},
	})
	require.NoError(t, err)
	for name, text := range map[string]string{
		"tokenizer.json":        string(tokenizer),
		"tokenizer_config.json": `{"eos_token": "<end>"}`,
		"chat_template.jinja":   chatTemplate,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
}

// chats writes n records of one question and its answer.
func chats(t *testing.T, n int) string {
	t.Helper()
	record, err := json.Marshal(map[string]any{"messages": []map[string]string{
		{"role": "user", "content": "Who tunes?"}, {"role": "assistant", "content": "You do."},
	}})
	require.NoError(t, err)
	return strings.Repeat(string(record)+"\n", n)
}
