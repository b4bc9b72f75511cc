package hub

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// writeFolder writes files into a new folder.
func writeFolder(t testing.TB, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

func adapterOf() map[string]string {
	return map[string]string{
		"adapter_config.json": "{}", "adapter_model.safetensors": random(10_000), "README.md": "# A", "empty.txt": "", "run.yaml": "model: /home/me",
		"trainer_state.json": "{}", "checkpoint-5/adapter_model.safetensors": "x", ".env": "secret", "samples.jsonl": "{}",
	}
}

func TestPush(t *testing.T) {
	s, c := begin(t)
	s.RequireToken(secret)
	s.PartSize = 4096
	dir := writeFolder(t, adapterOf())
	names, left, err := ModelFolder(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"README.md", "adapter_config.json", "adapter_model.safetensors", "empty.txt"}, names)
	require.Equal(t, []string{"checkpoint-5", "run.yaml", "samples.jsonl", "trainer_state.json"}, left)
	r := repoOf(t, Model, "me/adapter")
	var last, total int64
	c.Progress = func(done, all int64) { last, total = done, all }
	done, err := c.Push(t.Context(), dir, names, r, PushOptions{Private: true, Message: "First"})
	require.NoError(t, err)
	require.Equal(t, names, done.Files)
	require.Equal(t, c.Endpoint+"/me/adapter", done.URL)
	require.Equal(t, int64(10_000), total)
	require.Equal(t, total, last)
	require.True(t, s.IsPrivate("model", "me/adapter"))
	require.Equal(t, "First", s.Title("model", "me/adapter", "main"))
	got, _ := s.Files("model", "me/adapter", "main")
	require.Equal(t, []string{".gitattributes", "README.md", "adapter_config.json", "adapter_model.safetensors", "empty.txt"}, slices.Sorted(maps.Keys(got)))
	for _, name := range names {
		require.Equal(t, adapterOf()[name], got[name], name)
	}
	require.Empty(t, s.Leaks(), "uploads to the other host with the token")

	// Again: nothing changes. A changed file: one commit with it alone.
	again, err := c.Push(t.Context(), dir, names, r, PushOptions{})
	require.NoError(t, err)
	require.Empty(t, again.Files)
	require.Equal(t, done.OID, again.OID)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte("# B"), 0o644))
	again, err = c.Push(t.Context(), dir, names, r, PushOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"README.md"}, again.Files)

	// It can be fetched.
	folder, err := c.FetchModel(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "# B", filesOf(t, folder)["README.md"])
}

func TestPushOverOthers(t *testing.T) {
	s, c := begin(t)
	head := s.Add("model", "org/theirs", map[string]string{"config.json": "{}", "model.safetensors": "theirs"})
	dir := writeFolder(t, map[string]string{"config.json": "{}", "model.safetensors": "ours"})
	names, _, err := ModelFolder(dir)
	require.NoError(t, err)
	r := repoOf(t, Model, "org/theirs")
	_, err = c.Push(t.Context(), dir, names, r, PushOptions{})
	require.ErrorIs(t, err, ErrConflict)
	require.EqualError(t, err, "org/theirs: the branch main is at commit "+head[:12]+", which this folder was not pushed as: push to another branch by --revision NAME, "+
		"or on top of that commit by --parent_commit "+head[:12]+", which replaces files of the same names")
	got, _ := s.Files("model", "org/theirs", "main")
	require.Equal(t, "theirs", got["model.safetensors"])

	r.Revision = "mine"
	_, err = c.Push(t.Context(), dir, names, r, PushOptions{})
	require.NoError(t, err)
	got, _ = s.Files("model", "org/theirs", "mine")
	require.Equal(t, "ours", got["model.safetensors"])
	got, _ = s.Files("model", "org/theirs", "main")
	require.Equal(t, "theirs", got["model.safetensors"])

	r.Revision = DefaultRevision
	_, err = c.Push(t.Context(), dir, names, r, PushOptions{Parent: "0000000"})
	require.ErrorIs(t, err, ErrConflict)
	// Someone pushes between our look at the branch and our commit.
	moved := s.Add("model", "org/theirs", map[string]string{"more.json": "{}"})
	_, err = c.commit(t.Context(), r, head, "late", []*upload{{name: "x.json", text: []byte("{}"), size: 2}})
	require.ErrorIs(t, err, ErrConflict)
	require.EqualError(t, err, "org/theirs: the branch has moved on the Hub since; run the command again to see how")
	_, err = c.Push(t.Context(), dir, names, r, PushOptions{Parent: moved})
	require.NoError(t, err)
}

func TestPushRefuses(t *testing.T) {
	s, c := begin(t)
	s.RequireToken("hf_another")
	dir := writeFolder(t, map[string]string{"config.json": "{}", "model.safetensors": "x"})
	names, _, err := ModelFolder(dir)
	require.NoError(t, err)
	r := repoOf(t, Model, "org/name")
	_, err = c.Push(t.Context(), dir, names, r, PushOptions{})
	require.ErrorIs(t, err, ErrGated)
	require.NotContains(t, err.Error(), secret)
	c.Token = ""
	_, err = c.Push(t.Context(), dir, names, r, PushOptions{})
	require.EqualError(t, err, "a push needs a token that may write: set HF_TOKEN to one of https://huggingface.co/settings/tokens")
	c.Offline = true
	_, err = c.Push(t.Context(), dir, names, r, PushOptions{})
	require.ErrorContains(t, err, "offline mode")
	_, _, err = ModelFolder(writeFolder(t, map[string]string{"train.jsonl": "{}"}))
	require.ErrorContains(t, err, "it has no adapter and no model to push")
	_, _, err = ModelFolder(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
