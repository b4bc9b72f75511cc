package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Client talks to one endpoint and keeps one cache. FromEnvironment returns one.
type Client struct {
	Endpoint string // https://huggingface.co, or that of another server
	Cache    string // the folder with models--org--name
	Token    string // "": none
	Offline  bool   // use what the cache has

	// Progress, if not nil, receives the bytes of the files that are being transferred.
	Progress func(done, total int64)
	// Note, if not nil, receives a message for what the user should know: a wait, a
	// connection that failed, the cache in place of the Hub.
	Note func(string)

	ready       sync.Once
	http        *http.Client
	chunk       int64                                      // bytes of one ranged request
	connections int                                        // at once
	patience    time.Duration                              // without a byte, before a request is given up
	pause       func(context.Context, time.Duration) error // between attempts
	symlink     func(target, link string) error            // os.Symlink, but in tests
}

// DefaultEndpoint is the Hub.
const DefaultEndpoint = "https://huggingface.co"

// The transfer of a large file: at most connections × chunk bytes are in memory, and as
// many are received again after the program was killed.
const (
	defaultChunk       = 4 << 20
	defaultConnections = 8
	defaultPatience    = time.Minute
)

// FromEnvironment returns a client with the settings of huggingface_hub's environment
// variables: HF_ENDPOINT, HF_HUB_CACHE, HF_HOME, HF_TOKEN, HF_TOKEN_PATH, HF_HUB_OFFLINE
// and their older names. The token may also be in the file that `hf auth login` writes.
func FromEnvironment() (*Client, error) {
	c := &Client{
		Endpoint: strings.TrimRight(cmp.Or(os.Getenv("HF_ENDPOINT"), DefaultEndpoint), "/"),
		Offline:  isTrue(cmp.Or(os.Getenv("HF_HUB_OFFLINE"), os.Getenv("TRANSFORMERS_OFFLINE"))),
	}
	home, err := homeFolder()
	if err != nil {
		return nil, err
	}
	c.Cache = expand(cmp.Or(os.Getenv("HF_HUB_CACHE"), os.Getenv("HUGGINGFACE_HUB_CACHE"), filepath.Join(home, "hub")))
	if isTrue(os.Getenv("HF_HUB_DISABLE_SYMLINKS")) {
		c.symlink = func(string, string) error { return errors.ErrUnsupported }
	}
	if isTrue(os.Getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		return c, nil
	}
	c.Token = cleanToken(cmp.Or(os.Getenv("HF_TOKEN"), os.Getenv("HUGGING_FACE_HUB_TOKEN")))
	if c.Token == "" {
		text, err := os.ReadFile(expand(cmp.Or(os.Getenv("HF_TOKEN_PATH"), filepath.Join(home, "token"))))
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("the file of the Hub's token: %w", err)
		}
		c.Token = cleanToken(string(text))
	}
	return c, nil
}

// homeFolder returns HF_HOME, or its default.
func homeFolder() (string, error) {
	if home := os.Getenv("HF_HOME"); home != "" {
		return expand(home), nil
	}
	if cache := os.Getenv("XDG_CACHE_HOME"); cache != "" {
		return filepath.Join(expand(cache), "huggingface"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("there is no folder for the Hub's cache: set HF_HOME, or HOME")
	}
	return filepath.Join(home, ".cache", "huggingface"), nil
}

// expand replaces a leading ~ and environment variables, as huggingface_hub does.
func expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || rest[0] == '/') {
		if home, err := os.UserHomeDir(); err == nil {
			path = home + rest
		}
	}
	return os.ExpandEnv(path)
}

func isTrue(text string) bool {
	return slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(text))
}

// cleanToken removes the line breaks that a file or a shell adds.
func cleanToken(text string) string {
	return strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(text))
}

// User returns the name of the account that the token is of.
func (c *Client) User(ctx context.Context) (string, error) {
	var answer struct {
		Name string `json:"name"`
	}
	if _, err := c.call(ctx, "the Hub's account", request{method: http.MethodGet, url: "/api/whoami-v2"}, &answer); err != nil {
		return "", err
	}
	if !validID(answer.Name + "/x") {
		return "", errors.New("the Hub names no account of the token")
	}
	return answer.Name, nil
}

// complete sets what is not set.
func (c *Client) complete() {
	if c.http == nil {
		c.http = &http.Client{
			Transport:     transport(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	c.chunk = cmp.Or(c.chunk, int64(defaultChunk))
	c.connections = cmp.Or(c.connections, defaultConnections)
	c.patience = cmp.Or(c.patience, defaultPatience)
	if c.pause == nil {
		c.pause = pause
	}
	if c.symlink == nil {
		c.symlink = os.Symlink
	}
}

// check completes the client and returns an error for settings that cannot be used.
func (c *Client) check() (*url.URL, error) {
	c.ready.Do(c.complete)
	end, err := url.Parse(c.Endpoint)
	if err != nil || end.Scheme != "https" && end.Scheme != "http" || end.Host == "" || end.User != nil || end.RawQuery != "" {
		return nil, fmt.Errorf("HF_ENDPOINT is not the address of a server, like %s", DefaultEndpoint)
	}
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the Hub's token has characters that no token has: set HF_TOKEN to a token of https://huggingface.co/settings/tokens")
	}
	return end, nil
}

func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	t.ResponseHeaderTimeout = time.Minute
	t.MaxIdleConnsPerHost = 2 * defaultConnections
	t.MaxResponseHeaderBytes = 1 << 18
	t.DisableCompression = true // sizes and hashes are those of the files
	return t
}

// pause waits, unless the context ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// note reports a message.
func (c *Client) note(format string, args ...any) {
	if c.Note != nil {
		c.Note(fmt.Sprintf(format, args...))
	}
}
