package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Repo{
		"org/name":                             {Model, "org/name", "main", ""},
		"org/name@v1.0":                        {Model, "org/name", "v1.0", ""},
		"org/name@refs/pr/1:q8_0":              {Model, "org/name", "refs/pr/1", "q8_0"},
		"org/name:small/train":                 {Model, "org/name", "main", "small/train"},
		"https://huggingface.co/org/name":      {Model, "org/name", "main", ""},
		"https://huggingface.co/org/n/tree/v1": {Model, "org/n", "v1", ""},
		"hf.co/org/name:Q4_K_M":                {Model, "org/name", "main", "Q4_K_M"},
		"hf://models/org/name@v1":              {Model, "org/name", "v1", ""},
		"name":                                 {}, "org/": {}, "/name": {}, "a/b/c": {}, "../x": {}, "org/..": {}, "a--b/c": {}, "org/name.git": {}, ".org/name": {}, "org/name@": {}, "org/name@../x": {}, "org/name@a..b": {}, "org/name@/x": {}, "org/na me": {}, "~/x": {}, "org/name@x.lock": {},
	} {
		r, err := Parse(Model, text)
		if want.ID == "" {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, r, text)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"org/name", "org/name@v1:part", "hf://datasets/org/name", "https://huggingface.co/a/b/tree/main", "a--b/c", "@:/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(Dataset, text)
		if err != nil {
			return
		}
		again, err := Parse(Dataset, r.String())
		require.NoError(t, err, r.String())
		require.Equal(t, r, again)
		s := store{cache: "/cache", folder: r.folder()}
		for _, path := range []string{s.path("refs", r.Revision), s.snapshot(strings.Repeat("0", 40))} {
			rel, err := filepath.Rel(filepath.Join("/cache", r.folder()), path)
			require.NoError(t, err)
			require.True(t, filepath.IsLocal(rel) && rel != ".", "%q leaves the repository's folder: %q", text, path)
		}
		require.Equal(t, filepath.Base(r.folder()), r.folder())
	})
}

func FuzzFileName(f *testing.F) {
	for _, name := range []string{"config.json", "../x", "/x", "a//b", "con", `a\b`, "a/./b", "a\x00", "."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if checkFileName(name) != nil {
			return
		}
		s := store{cache: "/cache", folder: "models--a--b"}
		path := s.pointer("commit", name)
		require.True(t, strings.HasPrefix(path, "/cache/models--a--b/snapshots/commit/") && path == filepath.Clean(path), "%q is written to %q", name, path)
	})
}

// FuzzAnswers reads the answers of a server and the files of a cache that another program
// wrote.
func FuzzAnswers(f *testing.F) {
	hash, large := strings.Repeat("0", 40), strings.Repeat("a", 64)
	f.Add([]byte(`[{"type":"file","path":"a","size":1,"oid":"`+hash+`","lfs":{"oid":"`+large+`","size":3}},{"type":"directory","path":"b"}]`), `<https://h/x>; rel="next"`)
	f.Add([]byte(`{"format_version":1,"files":{"a":{"size":1,"blob_id":"`+hash+`"}}}`), "bytes 0-1/2")
	f.Add([]byte(`{"weight_map":{"a":"b","c":"../d"}}`), "bytes 5-9/*")
	f.Add([]byte(`{"objects":[{"oid":"x","size":-1,"actions":{"upload":{"href":"x","header":{"chunk_size":"0"}}}}]}`), "bytes -1--2/-3")
	c := &Client{Endpoint: "https://h"}
	f.Fuzz(func(t *testing.T, text []byte, header string) {
		var entries []treeEntry
		if decode(text, &entries) {
			for _, e := range entries {
				if file, err := e.file(); err == nil && e.Type == "file" {
					require.True(t, file.Size >= 0 && (len(file.hash()) == 40 || len(file.hash()) == 64), "%+v", file)
					require.NotContains(t, file.hash(), "/")
				}
			}
		}
		if l := parseTree(text, Repo{}, hash); l != nil {
			for _, file := range l.Files {
				require.True(t, file.Size >= 0 && !strings.ContainsAny(file.hash(), "/."), "%+v", file)
			}
		}
		if names, err := parseIndex(text); err == nil {
			require.NotEmpty(t, names)
		}
		var push []push
		_ = json.Unmarshal(text, &push) // any outcome but a panic
		if first, total, ok := parseRange(header); ok {
			require.True(t, first >= 0 && (total == -1 || total > first), "%q: %d of %d", header, first, total)
		}
		if next, err := c.nextPage(header); err == nil && next != "" {
			require.NotContains(t, next, ">")
		}
		if wait, ok := wished(http.Header{"Retry-After": {header}, "Ratelimit": {header}}); ok {
			require.GreaterOrEqual(t, wait, 0*wait)
		}
	})
}
