package hub

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pythonVariable names a Python with huggingface_hub, for TestPython.
const pythonVariable = "QLORA_HUB_PYTHON"

// TestPython has Python's huggingface_hub read the cache that this package writes, and the
// reverse, and download from and upload to the tests' server, which proves its dialect:
//
//	QLORA_HUB_PYTHON=/path/to/python go test ./hub -run TestPython -v
func TestPython(t *testing.T) {
	python := os.Getenv(pythonVariable)
	if python == "" {
		t.Skip("set " + pythonVariable + " to a Python with huggingface_hub")
	}
	s, c := begin(t)
	s.RequireToken(secret)
	s.PartSize = 5000
	peer := func(cache string, args ...string) string {
		t.Helper()
		cmd := exec.Command(python, append([]string{"testdata/peer.py"}, args...)...)
		cmd.Env = append(os.Environ(), "HF_ENDPOINT="+s.Hub.URL, "HF_HUB_CACHE="+cache, "HF_HOME="+t.TempDir(), "HF_TOKEN="+secret, "HF_HUB_DISABLE_XET=1", "HF_HUB_DISABLE_TELEMETRY=1")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		require.NoError(t, err, "%v: %s", args, out)
		return strings.TrimSpace(string(out))
	}
	s.Add("model", "org/name", modelOf())

	// It finds what we fetched, and downloads nothing of that.
	dir, err := c.FetchModel(t.Context(), repoOf(t, Model, "org/name"))
	require.NoError(t, err)
	require.Equal(t, dir, peer(c.Cache, "found", "org/name"))
	before := len(s.Requests())
	require.Equal(t, dir, peer(c.Cache, "fetch", "org/name"))
	for _, request := range s.Requests()[before:] {
		require.NotContains(t, request, ".safetensors")
	}

	// We find what it fetched, offline.
	cache := t.TempDir()
	dir = peer(cache, "fetch", "org/name")
	ours := clientOf(s, cache)
	ours.Offline = true
	found, err := ours.FetchModel(t.Context(), repoOf(t, Model, "org/name"))
	require.NoError(t, err)
	require.Equal(t, dir, found)
	got := filesOf(t, found)
	for _, name := range wanted {
		require.Equal(t, modelOf()[name], got[name], name)
	}

	// Its uploads and ours are the same files.
	folder := writeFolder(t, map[string]string{
		"adapter_config.json": "{}", "adapter_model.safetensors": random(12_345), "README.md": "# A", "empty.txt": "", "tokenizer.json": random(100),
	})
	peer(cache, "push", folder, "me/theirs")
	names, _, err := ModelFolder(folder)
	require.NoError(t, err)
	_, err = c.Push(t.Context(), folder, names, repoOf(t, Model, "me/ours"), PushOptions{Private: true})
	require.NoError(t, err)
	theirs, _ := s.Files("model", "me/theirs", "main")
	pushed, _ := s.Files("model", "me/ours", "main")
	require.Equal(t, slices.Sorted(maps.Keys(theirs)), slices.Sorted(maps.Keys(pushed)))
	for name := range theirs {
		require.Equal(t, theirs[name], pushed[name], name)
	}
	require.Equal(t, peer(cache, "tree", "me/theirs"), peer(cache, "tree", "me/ours"))
	require.FileExists(t, filepath.Join(peer(cache, "fetch", "me/ours"), "adapter_model.safetensors"))
}
