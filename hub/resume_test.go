package hub

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestResume begins with what an earlier download left.
func TestResume(t *testing.T) {
	weights := modelOf()["model-00001-of-00002.safetensors"]
	for _, c := range []struct {
		name, left string
		first      string // the range of the first request; "": there is none
	}{
		{"nothing", "", "bytes=0-4095"},
		{"a beginning", weights[:20_000], "bytes=20000-24095"},
		{"all", weights, ""},
		{"a beginning with a wrong byte", "x" + weights[1:20_000], "bytes=20000-24095"},
		{"more than all", weights + "x", "bytes=0-4095"},
		{"as many other bytes", strings.Repeat("x", len(weights)), "bytes=0-4095"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, client := begin(t)
			client.connections = 1
			s.Add("model", "org/name", map[string]string{"config.json": "{}", "model.safetensors": weights})
			f := File{SHA256: sum(weights)}
			part := client.store(Repo{Kind: Model, ID: "org/name"}).blob(f.hash()) + ".incomplete"
			require.NoError(t, os.MkdirAll(filepath.Dir(part), 0o755))
			require.NoError(t, os.WriteFile(part, []byte(c.left), 0o644))
			var mu sync.Mutex
			var ranges []string
			s.Intercept = func(_ http.ResponseWriter, r *http.Request, onCDN bool) bool {
				mu.Lock()
				defer mu.Unlock()
				if onCDN {
					ranges = append(ranges, r.Header.Get("Range"))
				}
				return false
			}
			var last, total int64
			client.Progress = func(done, all int64) { last, total = done, all }
			dir, err := client.FetchModel(t.Context(), repoOf(t, Model, "org/name"))
			require.NoError(t, err)
			require.Equal(t, weights, filesOf(t, dir)["model.safetensors"])
			require.Equal(t, total, last, "the progress at the end")
			if c.first == "" {
				require.Empty(t, ranges)
				return
			}
			require.Equal(t, c.first, ranges[0])
		})
	}
}
