package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/internal/hubserver"
)

// A slow writer passes on little at once.
type slow struct{ http.ResponseWriter }

func (s slow) Write(b []byte) (int, error) {
	for n := 0; n < len(b); n += 1 << 15 {
		if _, err := s.ResponseWriter.Write(b[n:min(n+1<<16, len(b))]); err != nil {
			return n, err
		}
		time.Sleep(2 * time.Millisecond)
	}
	return len(b), nil
}

// TestFetchKilled kills a download twenty times at random, twice with another process that
// fetches the same. One that ends before is begun anew. The cache never shows a file that is not whole, every unfinished one is
// a beginning, and the last download goes on.
func TestFetchKilled(t *testing.T) {
	s := hubserver.New()
	defer s.Close()
	r := rand.New(rand.NewPCG(5, 6))
	weights := make([]byte, 24<<20)
	for i := range weights {
		weights[i] = byte(r.Uint32())
	}
	commit := s.Add("model", "org/base", map[string]string{"config.json": "{}", "model.safetensors": string(weights)})
	begun := make(chan struct{}, 1)
	s.Intercept = func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
		if onCDN {
			select {
			case begun <- struct{}{}:
			default:
			}
			http.ServeContent(slow{w}, r, "", time.Time{}, bytes.NewReader(weights))
		}
		return onCDN
	}
	home := t.TempDir()
	folder := filepath.Join(home, "hub", "models--org--base")
	whole, grown := 0, int64(0)
	for i := range 20 {
		select {
		case <-begun:
		default:
		}
		all := []*exec.Cmd{onHub(s, home, "fetch", "org/base")}
		if i%10 == 9 {
			all = append(all, onHub(s, home, "fetch", "org/base"))
		}
		for _, cmd := range all {
			require.NoError(t, cmd.Start())
		}
		select {
		case <-begun: // the first byte of the weights is on its way
		case <-time.After(10 * time.Second):
		}
		for _, cmd := range all {
			time.Sleep(time.Duration(r.Int64N(int64(300 * time.Millisecond))))
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
		}
		blobs, err := filepath.Glob(filepath.Join(folder, "blobs", "*"))
		require.NoError(t, err)
		for _, blob := range blobs {
			text, err := os.ReadFile(blob)
			require.NoError(t, err)
			switch {
			case strings.HasSuffix(blob, ".incomplete"):
				require.True(t, bytes.HasPrefix(weights, text) || slices.Contains([]string{"", "{", "{}"}, string(text)), "%s is no beginning of its file", blob)
				grown = max(grown, int64(len(text)))
			default:
				require.True(t, string(text) == "{}" || bytes.Equal(text, weights), "%s has %d bytes", blob, len(text))
			}
		}
		if text, err := os.ReadFile(filepath.Join(folder, "refs", "main")); err == nil {
			whole++
			require.Equal(t, commit, string(text))
			require.NoError(t, os.RemoveAll(folder)) // for the next to be killed
		}
	}
	t.Logf("%d of 20 ended before they were killed; the longest beginning had %d bytes", whole, grown)
	other := onHub(s, home, "fetch", "org/base")
	require.NoError(t, other.Start())
	code, stdout, stderr := runOnHub(t, s, home, "fetch", "org/base")
	require.Equal(t, 0, code, stderr)
	require.NoError(t, other.Wait(), "another process that fetches the same to its end")
	f, err := os.Open(filepath.Join(strings.TrimSpace(stdout), "model.safetensors"))
	require.NoError(t, err)
	defer f.Close()
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	require.True(t, bytes.Equal(weights, text), "the file after all")
}
