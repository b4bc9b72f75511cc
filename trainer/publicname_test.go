package trainer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/lora"
	"qlora/nn"
)

func TestPublicName(t *testing.T) {
	top := t.TempDir()
	t.Chdir(top)
	require.NoError(t, os.MkdirAll("org/kept", 0o755))
	clone := filepath.Join(top, "clone")
	require.NoError(t, os.MkdirAll(filepath.Join(clone, ".git"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(clone, ".git", "config"), []byte("[remote \"origin\"]\n\turl = https://huggingface.co/org/Cloned-1B\n"), 0o644))
	cached := "/cache/hub/models--org--Name-1.5B/snapshots/0123456789abcdef"
	for _, c := range []struct {
		name, folder, path, want, load string
	}{
		{"", "/home/me/models/Llama 3", "", "Llama 3", "/home/me/models/Llama 3"},
		{"", "models/tiny", "", "tiny", "models/tiny"},
		{"", ".", "", filepath.Base(top), "."},
		{"", cached, "", "org/Name-1.5B", "org/Name-1.5B"},
		{"", clone, "", "org/Cloned-1B", clone},
		{"", "/home/me/llama", "meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.2-1B", "/home/me/llama"},
		{"", "/home/me/llama", "/home/other/llama", "llama", "/home/me/llama"},
		{"", "/home/me/llama", "out/merged", "llama", "/home/me/llama"},
		{"", "/home/me/llama", "org/kept", "llama", "/home/me/llama"},
		{"", "/home/me/llama", "./x/y", "llama", "/home/me/llama"},
		{"org/chosen", "/home/me/llama", "a/b", "org/chosen", "org/chosen"},
	} {
		b := &Base{Name: c.name, Folder: c.folder, Config: &nn.Config{Raw: []byte(`{"_name_or_path": "` + c.path + `"}`)}}
		if c.name == "" {
			b.Name = filepath.Clean(c.folder)
		}
		require.Equal(t, c.want, b.PublicName(), "%+v", c)
		b.ApplyLora(lora.Config{})
		require.Equal(t, c.load, b.Lora.BaseModel, "%+v", c)
	}
}
