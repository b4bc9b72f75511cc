package ollama

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPublic translates the templates NAME.jinja in the folder QLORA_TEMPLATES, which are
// other people's and not in the repository, and reports the share that it can. It writes
// Modelfiles and renderings for Ollama's own packages into QLORA_TEMPLATES_OUT, if set.
func TestPublic(t *testing.T) {
	dir := os.Getenv("QLORA_TEMPLATES")
	if dir == "" {
		t.Skip("QLORA_TEMPLATES names no folder")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jinja"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	translated := 0
	for _, file := range files {
		render := renderOf(t, file, map[string]string{"bos_token": "<s>", "eos_token": "</s>"})
		made, err := Translate(render, "<s>")
		if err != nil {
			t.Logf("%s: %v", filepath.Base(file), err)
			continue
		}
		translated++
		if out := os.Getenv("QLORA_TEMPLATES_OUT"); out != "" {
			record(t, filepath.Join(out, filepath.Base(file)), made, render)
		}
	}
	t.Logf("%d of %d templates translate", translated, len(files))
}

// record writes PATH.Modelfile and PATH.json, chats with the model's own renderings.
func record(t *testing.T, path string, made Template, render Render) {
	t.Helper()
	m := Model{From: "model.gguf", Template: made.Text, Parameters: []Parameter{{"stop", made.Stop}}}
	require.NoError(t, os.WriteFile(path+".Modelfile", m.Modelfile(), 0o644))
	type rendering struct {
		Chat []Message
		Want string
	}
	var all []rendering
	for _, chat := range proofs(!made.NoSystem) {
		want, err := render(chat, true)
		require.NoError(t, err)
		all = append(all, rendering{chat, strings.TrimPrefix(want, "<s>")})
	}
	text, err := json.Marshal(all)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".json", text, 0o644))
}
