package hub

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/internal/hubserver"
)

// A cutter passes on that many bytes of an answer and then cuts the connection.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) > c.left {
		_, _ = c.ResponseWriter.Write(b[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

// answer answers with bytes as the CDN does, with changes.
func answer(w http.ResponseWriter, r *http.Request, text string) {
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
}

// TestFaults fetches a model from a server with one fault each.
func TestFaults(t *testing.T) {
	large := modelOf()["model-00001-of-00002.safetensors"]
	var requests atomic.Int64
	for _, c := range []struct {
		name  string
		fault func(w http.ResponseWriter, r *http.Request, onCDN bool) bool
		want  string // part of the error; "": none
	}{
		{"connections that are cut", func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
			if onCDN && requests.Add(1)%2 == 0 {
				answer(&cutter{w, 1500}, r, large)
				return true
			}
			return false
		}, ""},
		{"connections that are always cut", func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
			if onCDN {
				panic(http.ErrAbortHandler)
			}
			return false
		}, "the Hub cannot be reached"},
		{"a wrong byte, once", func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
			if onCDN && strings.HasPrefix(r.Header.Get("Range"), "bytes=4096-") && requests.Add(1) == 1 {
				answer(w, r, strings.Repeat("x", len(large)))
				return true
			}
			return false
		}, ""},
		{"wrong bytes", func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
			if onCDN {
				answer(w, r, strings.Repeat("x", len(large)))
			}
			return onCDN
		}, "the bytes that arrived are not the file's"},
		{"a wrong length", func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
			if onCDN {
				answer(w, r, large+"more")
			}
			return onCDN
		}, "the server sends another number of bytes than it announced"},
		{"no ranges", func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
			if onCDN && len(r.Header.Get("Range")) > 0 {
				r.Header.Del("Range")
				answer(w, r, large)
				return true
			}
			return false
		}, ""},
		{"no ranges and no end", func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
			if onCDN {
				for {
					if _, err := w.Write(make([]byte, 1<<12)); err != nil {
						return true
					}
				}
			}
			return false
		}, "the server sends another number of bytes than it announced"},
		{"other ranges", func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
			if onCDN {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 7-9/%d", len(large)))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = io.WriteString(w, "xyz")
			}
			return onCDN
		}, "the server answers with other bytes than it was asked for"},
		{"a slow server", func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
			if onCDN && requests.Add(1) == 1 {
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				return true
			}
			return false
		}, ""},
		{"errors that pass", func(w http.ResponseWriter, _ *http.Request, _ bool) bool {
			if requests.Add(1)%3 == 1 {
				w.WriteHeader([]int{500, 502, 503, 504, 429, 408}[requests.Load()%6])
				return true
			}
			return false
		}, ""},
		{"a limit of requests", func(w http.ResponseWriter, _ *http.Request, _ bool) bool {
			w.Header().Set("Retry-After", "4000")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}, "the Hub limits how many requests it answers; try again in 4000 s"},
		{"an endless listing", func(w http.ResponseWriter, r *http.Request, _ bool) bool {
			if strings.Contains(r.URL.Path, "/tree/") {
				w.Header().Set("Link", "<"+r.URL.Path+`?cursor=0>; rel="next"`)
				_, _ = io.WriteString(w, `[]`)
				return true
			}
			return false
		}, "lists its files without an end"},
		{"an answer that is no JSON", func(w http.ResponseWriter, _ *http.Request, _ bool) bool {
			_, _ = io.WriteString(w, "<html>a proxy's page</html>")
			return true
		}, "the server's answer is not as the Hub's: it is not JSON"},
		{"an answer without a commit", func(w http.ResponseWriter, _ *http.Request, _ bool) bool {
			_, _ = io.WriteString(w, `{"sha": "../../etc"}`)
			return true
		}, "the server's answer names no commit"},
		{"redirects in a circle", func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
			http.Redirect(w, r, r.URL.String(), http.StatusFound)
			return true
		}, "redirects more than 10 times"},
		{"a redirect to nowhere", func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
			return true
		}, "redirects to an address that is none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, client := begin(t)
			client.patience = 200 * time.Millisecond
			s.Add("model", "org/name", map[string]string{"config.json": "{}", "model.safetensors": large})
			requests.Store(0)
			s.Intercept = c.fault
			dir, err := client.FetchModel(t.Context(), repoOf(t, Model, "org/name"))
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				require.NotContains(t, err.Error(), secret)
				require.NotContains(t, err.Error(), "Signature", "the query of a signed address")
				_, none := os.Stat(filepath.Join(client.Cache, "models--org--name", "refs", "main"))
				require.ErrorIs(t, none, os.ErrNotExist, "a revision that is not whole")
				return
			}
			require.NoError(t, err)
			require.Equal(t, map[string]string{"config.json": "{}", "model.safetensors": large}, filesOf(t, dir))
			require.Empty(t, s.Leaks())
		})
	}
}

// TestNames lists files under names that lead elsewhere.
func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"../x.json": "leads out", "/etc/x.json": "no plain path", "a/../../x.json": "no plain path", "./x.json": "no plain path", "a//x.json": "no plain path", ".": "leads out",
		"con.json": "Windows takes it for a device", "NUL.json": "Windows takes it for a device", `..\x.json`: "a character that paths cannot have", "C:x.json": "a character",
		"x\n.json": "a character", ".git/x": "leads out", strings.Repeat("x", 300) + ".json": "too long", strings.Repeat("x/", 600) + "y": "too long", "": "empty", "x\xff.json": "no text",
	} {
		require.ErrorContains(t, checkFileName(name), want, "%q", name)
	}
	for _, name := range []string{"config.json", "a/b/c.jsonl", "конфиг.json", "con-fig.json", "a b.json", "..x.json"} {
		require.NoError(t, checkFileName(name), name)
	}
	s, c := begin(t)
	outside := filepath.Join(c.Cache, "models--org--name", "snapshots", "x.json")
	s.Add("model", "org/name", map[string]string{"config.json": "{}", "model.safetensors": "x", "../x.json": "evil"})
	// The choice takes no file in a folder; a caller's own might.
	_, err := c.Fetch(t.Context(), repoOf(t, Model, "org/name"), func(l *Listing, _ string) ([]File, error) { return l.Files, nil })
	require.EqualError(t, err, `org/name: the repository has a file named "../x.json", which is refused: it leads out of the repository's files`)
	require.NoFileExists(t, outside)
	_, err = c.FetchModel(t.Context(), repoOf(t, Model, "org/name"))
	require.NoError(t, err)
	require.NoFileExists(t, outside)

	// A file and a folder of one name: the file is a link to a blob, which is no folder.
	s.Add("model", "org/both", map[string]string{"config.json": "{}", "model.safetensors": "x", "a": "x", "a/b.json": "y"})
	_, err = c.Fetch(t.Context(), repoOf(t, Model, "org/both"), func(l *Listing, _ string) ([]File, error) { return l.Files, nil })
	require.Error(t, err)
}

// TestTokenStays redirects requests to another host, by every status, for every kind of
// call.
func TestTokenStays(t *testing.T) {
	other := hubserver.New()
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, part := range []string{"/api/models/", "/tree/", "/resolve/"} {
			s, c := begin(t)
			s.Add("model", "org/name", modelOf())
			s.Intercept = func(w http.ResponseWriter, r *http.Request, onCDN bool) bool {
				if !onCDN && strings.Contains(r.URL.Path, part) {
					w.Header().Set("Location", strings.Replace(other.CDN.URL, "127.0.0.1", "localhost", 1)+r.URL.Path)
					w.WriteHeader(status)
					return true
				}
				return false
			}
			_, err := c.FetchModel(t.Context(), repoOf(t, Model, "org/name"))
			require.Error(t, err)
			require.NotContains(t, err.Error(), secret)
		}
	}
	require.NotEmpty(t, other.Requests(), "the other host was asked")
	require.Empty(t, other.Leaks(), "requests with the token")
	c := &Client{Endpoint: "https://hub.example", Token: "a\nb"}
	_, err := c.check()
	require.ErrorContains(t, err, "characters that no token has")
	require.NotContains(t, err.Error(), "a\nb")
}

// TestTogether fetches the same files from several clients of one cache.
func TestTogether(t *testing.T) {
	s, first := begin(t)
	s.Add("model", "org/name", modelOf())
	var wg sync.WaitGroup
	for i := range 6 {
		c := clientOf(s, first.Cache)
		c.Token = ""
		wg.Go(func() {
			dir, err := c.FetchModel(context.Background(), Repo{Model, "org/name", DefaultRevision, ""})
			if err != nil {
				t.Errorf("client %d: %v", i, err)
				return
			}
			for name, text := range filesOf(t, dir) {
				if modelOf()[name] != text {
					t.Errorf("client %d: %s has other bytes", i, name)
				}
			}
		})
	}
	wg.Wait()
	downloads := map[string]int{}
	for _, request := range s.Requests() {
		if strings.Contains(request, "config.json") {
			downloads[request]++
		}
	}
	for request, n := range downloads {
		require.Equal(t, 1, n, request)
	}
}

// TestAnswers gives answers that are errors and compares the sentences.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		status     int
		code, said string
		token      string
		want       string
		kind       error
	}{
		{401, "RepoNotFound", "", "", "x: the Hub has no repository of that name; to see a private one, set HF_TOKEN to a token of https://huggingface.co/settings/tokens", ErrNotFound},
		{404, "RepoNotFound", "", secret, "x: the Hub has no repository of that name, or your token may not see it", ErrNotFound},
		{401, "", "Invalid credentials", secret, "x: the Hub does not accept the token: it is expired or wrong; set HF_TOKEN to another one, or to nothing for what is public", ErrNotFound},
		{401, "GatedRepo", "", "", "x: access is granted to those who accept its terms: do so at its page on https://h, and set HF_TOKEN to your token", ErrGated},
		{403, "GatedRepo", "", secret, "x: your token's account has no access: accept its terms at its page on https://h, and wait for the owner if they ask for it", ErrGated},
		{403, "", "no " + secret, secret, `x: the token has not the right to do that: "no …"`, ErrGated},
		{404, "EntryNotFound", "", "", "x: it has no such file", ErrNotFound},
		{403, "", "Access to this resource is disabled.", "", `x: the Hub has disabled it: "Access to this resource is disabled."`, nil},
		{418, "", "a\x1b[31mb", "", `x: the server answers 418 I'm a teapot: "a [31mb"`, nil},
	} {
		client := &Client{Endpoint: "https://h", Token: c.token}
		reply := &http.Response{StatusCode: c.status, Status: strconv.Itoa(c.status) + " " + http.StatusText(c.status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
		reply.Header.Set("X-Error-Code", c.code)
		reply.Header.Set("X-Error-Message", c.said)
		err := client.failure("x", reply)
		require.EqualError(t, err, c.want)
		if c.kind != nil {
			require.ErrorIs(t, err, c.kind)
		}
	}
}

// A lookup is a transport that fails to find the server's address.
type lookup struct {
	asked   int
	isFinal bool // there is no such name
}

func (l *lookup) RoundTrip(*http.Request) (*http.Response, error) {
	l.asked++
	return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: "h", IsNotFound: l.isFinal, IsTemporary: !l.isFinal}}
}

// TestNoSuchHost checks that a name without an address is an error at once: without a
// network nobody waits for attempts. A name server that fails is asked again.
func TestNoSuchHost(t *testing.T) {
	for final, want := range map[bool]int{true: 1, false: attempts} {
		transport := &lookup{isFinal: final}
		client := &Client{
			Endpoint: "https://h", Cache: t.TempDir(), http: &http.Client{Transport: transport},
			pause: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		}
		_, err := client.User(t.Context())
		require.Error(t, err)
		require.Equal(t, want, transport.asked, "attempts, where the name server's answer is final: %v", final)
	}
}
