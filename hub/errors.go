package hub

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
)

// Errors that a caller may tell apart.
var (
	ErrNotFound    = errors.New("not found")            // no such repository, revision or file, or no right to see it
	ErrGated       = errors.New("access not granted")   // its terms must be accepted
	ErrUnreachable = errors.New("no connection")        // the server does not answer, or not now
	ErrDamaged     = errors.New("damaged on the way")   // other bytes, or another number of them, than the server announced
	ErrNotCached   = errors.New("not in the cache")     // offline, and not or only in part in the cache
	ErrConflict    = errors.New("the branch has moved") // a push over commits of others
)

// An answerError is a sentence about an answer of the server, of one of the kinds above or
// of none.
type answerError struct {
	text string
	kind error
}

func (e *answerError) Error() string { return e.text }

func (e *answerError) Unwrap() error { return e.kind }

// unreachable returns the error of a connection that failed.
func (c *Client) unreachable(err error) error {
	if errors.As(err, new(*refusal)) {
		return err
	}
	return &answerError{fmt.Sprintf("the Hub cannot be reached: %v; check the connection, or set HF_HUB_OFFLINE=1 to use what was downloaded", err), errors.Join(ErrUnreachable, err)}
}

// failure returns the error of an answer about what, or nil for one of success.
func (c *Client) failure(what string, answer *http.Response) error {
	if answer.StatusCode < 300 {
		return nil
	}
	code, said := answer.Header.Get("X-Error-Code"), c.said(answer)
	login := "; to see a private one, set HF_TOKEN to a token of https://huggingface.co/settings/tokens"
	if c.Token != "" {
		login = ", or your token may not see it"
	}
	fail := func(kind error, format string, args ...any) error {
		return &answerError{what + ": " + fmt.Sprintf(format, args...), kind}
	}
	switch status := answer.StatusCode; {
	case code == "RevisionNotFound":
		return fail(ErrNotFound, "it has no branch, tag or commit of that name")
	case code == "EntryNotFound":
		return fail(ErrNotFound, "it has no such file")
	case code == "GatedRepo" && c.Token == "":
		return fail(ErrGated, "access is granted to those who accept its terms: do so at its page on %s, and set HF_TOKEN to your token", c.Endpoint)
	case code == "GatedRepo":
		return fail(ErrGated, "your token's account has no access: accept its terms at its page on %s, and wait for the owner if they ask for it", c.Endpoint)
	case code == "RepoNotFound", status == http.StatusNotFound:
		return fail(ErrNotFound, "the Hub has no repository of that name%s", login)
	case strings.Contains(said, "disabled"):
		return fail(nil, "the Hub has disabled it%s", quoted(said))
	case status == http.StatusUnauthorized && c.Token != "":
		return fail(ErrNotFound, "the Hub does not accept the token: it is expired or wrong; set HF_TOKEN to another one, or to nothing for what is public")
	case status == http.StatusUnauthorized:
		return fail(ErrNotFound, "the Hub has no such repository that all may see%s", login)
	case status == http.StatusForbidden:
		return fail(ErrGated, "the token has not the right to do that%s", quoted(said))
	case status == http.StatusPreconditionFailed:
		return fail(ErrConflict, "the branch has moved on the Hub since; run the command again to see how")
	case status == http.StatusTooManyRequests:
		when := "later"
		if wait, ok := wished(answer.Header); ok {
			when = fmt.Sprintf("in %d s", int(wait.Seconds()+0.5))
		}
		return fail(ErrUnreachable, "the Hub limits how many requests it answers; try again %s, with a token in HF_TOKEN the limit is higher", when)
	}
	kind := error(nil)
	if answer.StatusCode >= 500 {
		kind = ErrUnreachable
	}
	return fail(kind, "the server answers %s%s", answer.Status, quoted(said))
}

// said returns the server's own words about an error.
func (c *Client) said(answer *http.Response) string {
	text := answer.Header.Get("X-Error-Message")
	if text == "" {
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<12))
		var said struct {
			Error string `json:"error"`
		}
		if decode(body, &said) {
			text = said.Error
		}
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if c.Token != "" {
		text = strings.ReplaceAll(text, c.Token, "…")
	}
	return shortened(strings.TrimSpace(text))
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf(": %q", text)
}
