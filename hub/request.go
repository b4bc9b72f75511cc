package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"qlora/internal/version"
)

// A request is what to send, several times if need be.
type request struct {
	method string
	url    string // or a path of the endpoint
	header http.Header
	body   func() (io.Reader, int64) // begins the body anew; nil: none
	once   bool                      // do not repeat it after it may have had an effect
}

// Attempts and waits. A server's wish to wait is obeyed up to maxWait.
const (
	attempts     = 5
	maxWait      = 5 * time.Minute
	maxRedirects = 10
)

// send sends a request until there is an answer other than an error that passes, and
// returns it with the address that gave it. Redirects are followed; with stop, one to
// another origin is returned as the answer. The caller closes the body.
func (c *Client) send(ctx context.Context, r request, stop bool) (*http.Response, error) {
	end, err := c.check()
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		answer, err := c.follow(ctx, end, r, stop)
		if ctx.Err() != nil {
			if err == nil {
				answer.Body.Close()
			}
			return nil, context.Cause(ctx)
		}
		wait, again := time.Duration(0), false
		if err != nil {
			again = !r.once && !errors.As(err, new(*refusal)) && !noSuchHost(err)
			wait = backoff(attempt)
		} else {
			wait, again = retryAfter(answer, attempt)
			again = again && (!r.once || answer.StatusCode == http.StatusTooManyRequests)
		}
		if !again || attempt == attempts || wait > maxWait {
			return answer, err
		}
		why := "the connection failed"
		if err == nil {
			why = answer.Status
			answer.Body.Close()
		}
		if wait >= 5*time.Second {
			c.note("%s: %s; trying again in %d s", end.Host, why, int(wait.Seconds()+0.5))
		}
		if err := c.pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// A refusal is an error that another attempt would not change.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// noSuchHost reports whether an error is the answer of a name server that has no such name:
// the network is not there, or the name is wrong.
func noSuchHost(err error) bool {
	var lookup *net.DNSError
	return errors.As(err, &lookup) && lookup.IsNotFound
}

// backoff returns how long to wait after a failed attempt.
func backoff(attempt int) time.Duration {
	d := time.Second << (attempt - 1)
	return d + time.Duration(rand.Int64N(int64(d)/4))
}

// retryAfter reports whether an answer is an error that passes, and how long to wait.
func retryAfter(answer *http.Response, attempt int) (time.Duration, bool) {
	switch answer.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if wait, ok := wished(answer.Header); ok {
			return wait, true
		}
		return backoff(attempt), true
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return backoff(attempt), true
	}
	return 0, false
}

// wished returns the wait that a server asks for: Retry-After in seconds or as a date, or
// the Hub's `ratelimit: "api";r=0;t=55`.
func wished(h http.Header) (time.Duration, bool) {
	if text := h.Get("Retry-After"); text != "" {
		if s, err := strconv.ParseUint(text, 10, 31); err == nil {
			return time.Duration(s) * time.Second, true
		}
		if at, err := http.ParseTime(text); err == nil {
			return max(0, time.Until(at)), true
		}
	}
	for part := range strings.SplitSeq(h.Get("Ratelimit"), ";") {
		if text, ok := strings.CutPrefix(strings.TrimSpace(part), "t="); ok {
			if s, err := strconv.ParseUint(text, 10, 31); err == nil {
				return time.Duration(s+1) * time.Second, true
			}
		}
	}
	return 0, false
}

// follow sends a request once and follows its redirects. The token goes to the endpoint's
// origin alone.
func (c *Client) follow(ctx context.Context, end *url.URL, r request, stop bool) (*http.Response, error) {
	at, err := end.Parse(r.url)
	if err != nil {
		return nil, refuse("%s names an address that is none", end.Host)
	}
	if strings.HasPrefix(r.url, "/") { // below the endpoint, which may have a path
		if at, err = url.Parse(c.Endpoint + r.url); err != nil {
			return nil, refuse("%s is no address", end.Host)
		}
	}
	for range maxRedirects {
		answer, err := c.once(ctx, end, r, at)
		if err != nil {
			return nil, err
		}
		switch answer.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return answer, nil
		}
		next, err := at.Parse(answer.Header.Get("Location"))
		if stop && err == nil && !sameOrigin(next, end) {
			return answer, nil
		}
		answer.Body.Close()
		switch {
		case err != nil || next.Host == "" || next.Scheme != "https" && next.Scheme != "http":
			return nil, refuse("%s redirects to an address that is none", at.Host)
		case r.method == http.MethodPost && !sameOrigin(next, end):
			return nil, refuse("%s redirects what is sent to it to %s, which is refused", at.Host, next.Host)
		case at.Scheme == "https" && next.Scheme == "http":
			return nil, refuse("%s redirects to %s without encryption, which is refused", at.Host, next.Host)
		}
		at = next
	}
	return nil, refuse("%s redirects more than %d times", end.Host, maxRedirects)
}

// sameOrigin reports whether two addresses have scheme, host and port in common.
func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if u.Port() != "" {
			return u.Port()
		}
		return map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// once sends a request to an address.
func (c *Client) once(ctx context.Context, end *url.URL, r request, at *url.URL) (*http.Response, error) {
	var body io.Reader
	var size int64
	if r.body != nil {
		body, size = r.body()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, r.method, at.String(), body)
	if err != nil {
		cancel(nil)
		return nil, refuse("%s is no address", at.Host)
	}
	req.ContentLength = size
	maps.Copy(req.Header, r.header)
	req.Header.Set("User-Agent", "qlora/"+version.String())
	if c.Token != "" && sameOrigin(at, end) {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	answer, err := c.http.Do(req)
	if err != nil {
		cancel(nil)
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // without the address, whose query may be a signature
		}
		return nil, fmt.Errorf("%s: %w", at.Host, err)
	}
	answer.Body = &patient{ctx: ctx, body: answer.Body, cancel: cancel, patience: c.patience, host: at.Host}
	return answer, nil
}

// A patient reader gives up when no byte arrives for a while.
type patient struct {
	ctx      context.Context // of the request, for why it ended
	body     io.ReadCloser
	cancel   context.CancelCauseFunc
	patience time.Duration
	host     string
}

func (p *patient) Read(b []byte) (int, error) {
	timer := time.AfterFunc(p.patience, func() {
		p.cancel(fmt.Errorf("%s: no byte for %v", p.host, p.patience))
	})
	n, err := p.body.Read(b)
	timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) && p.ctx.Err() != nil {
		err = context.Cause(p.ctx)
	}
	return n, err
}

func (p *patient) Close() error {
	p.cancel(nil)
	return p.body.Close()
}

// maxAnswer bounds an answer in JSON.
const maxAnswer = 64 << 20

// call sends a request and decodes the answer's JSON into value, unless that is nil. It
// returns the answer's header.
func (c *Client) call(ctx context.Context, what string, r request, value any) (http.Header, error) {
	answer, err := c.send(ctx, r, false)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer answer.Body.Close()
	if err := c.failure(what, answer); err != nil {
		return answer.Header, err
	}
	if value == nil {
		return answer.Header, nil
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, c.unreachable(err)
	case len(text) > maxAnswer:
		return nil, fmt.Errorf("%s: the server's answer is longer than %d MiB", what, maxAnswer>>20)
	}
	if err := json.Unmarshal(text, value); err != nil {
		return nil, fmt.Errorf("%s: the server's answer is not as the Hub's: %s", what, plainJSON(err))
	}
	return answer.Header, nil
}

// plainJSON returns what is wrong with an answer, without its text.
func plainJSON(err error) string {
	if typed := (*json.UnmarshalTypeError)(nil); errors.As(err, &typed) {
		return fmt.Sprintf("%s is a %s", typed.Field, typed.Value)
	}
	return "it is not JSON"
}

// post returns a request with a body in JSON.
func post(path string, body any) request {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // of this package's types
	}
	return request{method: http.MethodPost, url: path, header: http.Header{"Content-Type": {"application/json"}}, body: func() (io.Reader, int64) {
		return bytes.NewReader(text), int64(len(text))
	}}
}
