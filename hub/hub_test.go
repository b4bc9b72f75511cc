package hub

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/internal/hubserver"
)

// secret is the token of the tests.
const secret = "hf_SecretSecretSecret"

// begin starts a server and returns a client of it with an empty cache.
func begin(t testing.TB) (*hubserver.Server, *Client) {
	s := hubserver.New()
	t.Cleanup(s.Close)
	return s, clientOf(s, t.TempDir())
}

func clientOf(s *hubserver.Server, cache string) *Client {
	return &Client{
		Endpoint: s.Hub.URL, Cache: cache, Token: secret, chunk: 1 << 12, connections: 4, patience: 5 * time.Second,
		pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

// random returns a text of n bytes.
func random(n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// modelOf returns the files of a model in two parts, with what is not needed of it.
func modelOf() map[string]string {
	index, err := json.Marshal(map[string]any{"weight_map": map[string]string{
		"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors", "c": "model-00001-of-00002.safetensors",
	}})
	if err != nil {
		panic(err)
	}
	return map[string]string{
		"config.json": `{"model_type": "llama"}`, "tokenizer.json": `{}`, "chat_template.jinja": "{{ x }}", "README.md": "# A model\n",
		"model-00001-of-00002.safetensors": random(50_001), "model-00002-of-00002.safetensors": random(1000), indexFile: string(index),
		"consolidated.safetensors": random(30), "pytorch_model.bin": "pickle", "onnx/model.onnx": "x", "original/consolidated.00.pth": "x", "train.py": "print()",
		"empty.json": "",
	}
}

// wanted are the files of modelOf that are fetched.
var wanted = []string{
	"README.md", "chat_template.jinja", "config.json", "empty.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", indexFile, "tokenizer.json",
}

// filesOf returns the content of a folder's files.
func filesOf(t testing.TB, dir string) map[string]string {
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = string(text)
		return err
	}))
	return files
}

func repoOf(t testing.TB, kind Kind, text string) Repo {
	r, err := Parse(kind, text)
	require.NoError(t, err)
	return r
}

func TestFetchModel(t *testing.T) {
	s, c := begin(t)
	commit := s.Add("model", "org/name", modelOf())
	var last, total int64
	c.Progress = func(done, all int64) { last, total = done, all }
	dir, err := c.FetchModel(t.Context(), repoOf(t, Model, "org/name"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(c.Cache, "models--org--name", "snapshots", commit), dir)
	got := filesOf(t, dir)
	require.Equal(t, wanted, slices.Sorted(maps.Keys(got)))
	for name, content := range got {
		require.Equal(t, modelOf()[name], content, name)
	}
	require.Equal(t, total, last, "the progress at the end")
	require.Empty(t, s.Leaks(), "requests to the other host with the token")

	// The layout of huggingface_hub.
	ref, err := os.ReadFile(filepath.Join(c.Cache, "models--org--name", "refs", "main"))
	require.NoError(t, err)
	require.Equal(t, commit, string(ref))
	link, err := os.Readlink(filepath.Join(dir, "config.json"))
	require.NoError(t, err)
	require.Regexp(t, `^\.\./\.\./blobs/[0-9a-f]{40}$`, link)
	require.FileExists(t, filepath.Join(c.Cache, "CACHEDIR.TAG"))
	require.FileExists(t, filepath.Join(c.Cache, "models--org--name", ".no_exist", commit, "generation_config.json"))
	require.NoFileExists(t, filepath.Join(c.Cache, "models--org--name", ".no_exist", commit, "config.json"))
	leftovers, err := filepath.Glob(filepath.Join(c.Cache, "models--org--name", "blobs", "*.incomplete"))
	require.NoError(t, err)
	require.Empty(t, leftovers)

	// A second fetch downloads nothing, and neither does one in offline mode.
	before := len(s.Requests())
	again, err := c.FetchModel(t.Context(), repoOf(t, Model, "org/name"))
	require.NoError(t, err)
	require.Equal(t, dir, again)
	for _, request := range s.Requests()[before:] {
		require.NotContains(t, request, "/resolve/")
	}
	s.Close()
	c.Offline = true
	again, err = c.FetchModel(t.Context(), repoOf(t, Model, "org/name"))
	require.NoError(t, err)
	require.Equal(t, dir, again)
	c.Offline = false
	var notes []string
	c.Note = func(text string) { notes = append(notes, text) }
	again, err = c.FetchModel(t.Context(), repoOf(t, Model, "org/name"))
	require.NoError(t, err)
	require.Equal(t, dir, again)
	require.Contains(t, strings.Join(notes, "\n"), "using the cache")
}

func TestFetchRevision(t *testing.T) {
	s, c := begin(t)
	first := s.Add("model", "org/name", map[string]string{"config.json": "1", "model.safetensors": "old"})
	s.Add("model", "org/name", map[string]string{"config.json": "2"})
	for text, want := range map[string]string{"org/name@" + first: "1", "org/name": "2", "https://huggingface.co/org/name/tree/main": "2", "hf://org/name": "2"} {
		dir, err := c.FetchModel(t.Context(), repoOf(t, Model, text))
		require.NoError(t, err, text)
		require.Equal(t, want, filesOf(t, dir)["config.json"], text)
	}
	_, err := c.FetchModel(t.Context(), repoOf(t, Model, "org/name@v9"))
	require.ErrorIs(t, err, ErrNotFound)
	require.EqualError(t, err, "org/name@v9: it has no branch, tag or commit of that name")
}

func TestFetchWithoutLinks(t *testing.T) {
	s, c := begin(t)
	c.symlink = func(string, string) error { return os.ErrPermission }
	s.Add("model", "org/name", modelOf())
	dir, err := c.FetchModel(t.Context(), repoOf(t, Model, "org/name"))
	require.NoError(t, err)
	got := filesOf(t, dir)
	require.Equal(t, wanted, slices.Sorted(maps.Keys(got)))
	info, err := os.Lstat(filepath.Join(dir, "config.json"))
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular(), info.Mode())
}

func TestModelFiles(t *testing.T) {
	for _, c := range []struct {
		name, part, files string
		want              string // the files, or part of the error
	}{
		{"single", "", "config.json model.safetensors model.fp16.safetensors", "config.json model.safetensors"},
		{"adapter", "", "adapter_config.json adapter_model.safetensors adapter_model.bin optimizer.pt", "adapter_config.json adapter_model.safetensors"},
		{"pickle only", "", "config.json pytorch_model.bin", "a pickle may run any program"},
		{"nothing", "", "README.md x.py", "no config.json and no *.safetensors"},
		{"one gguf", "", "README.md model-Q4_K_M.gguf", "model-Q4_K_M.gguf"},
		{"several gguf", "", "m-Q4_K_M.gguf m-Q8_0.gguf", "name one of m-Q4_K_M.gguf, m-Q8_0.gguf, as org/name:NAME"},
		{"gguf by quantization", "q8_0", "m-Q4_K_M.gguf m-Q8_0.gguf", "m-Q8_0.gguf"},
		{"gguf by name", "m-Q4_K_M.gguf", "m-Q4_K_M.gguf m-Q8_0.gguf", "m-Q4_K_M.gguf"},
		{"gguf in parts", "Q8_0", "q/m-Q8_0-00001-of-00002.gguf q/m-Q8_0-00002-of-00002.gguf m-Q4_0.gguf", "q/m-Q8_0-00001-of-00002.gguf q/m-Q8_0-00002-of-00002.gguf"},
		{"gguf beside safetensors", "", "config.json model.safetensors m.gguf", "config.json model.safetensors"},
		{"unknown gguf", "Q2_K", "m-Q4_K_M.gguf m-Q8_0.gguf", "no GGUF file, or several"},
		{"no gguf", "Q2_K", "config.json model.safetensors", "the repository has none"},
		{"no gguf file", "x.gguf", "config.json model.safetensors", "has no GGUF file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &Listing{Repo: Repo{Model, "org/name", DefaultRevision, c.part}}
			for name := range strings.FieldsSeq(c.files) {
				l.Files = append(l.Files, File{Path: name})
			}
			chosen, _, err := modelFiles(l, t.TempDir())
			if err != nil {
				require.ErrorContains(t, err, c.want)
				return
			}
			var names []string
			for _, f := range chosen {
				names = append(names, f.Path)
			}
			require.Equal(t, c.want, strings.Join(names, " "))
		})
	}
}
