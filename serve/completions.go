package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// An exchange is a request while it is answered.
type exchange struct {
	*request
	server *Server
	model  *Model
	job    *job
	reader *reader
	head   envelope // of every part
}

// completions answers a request that parse reads.
func (s *Server) completions(parse func([]byte) (*request, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeoutCause(r.Context(), s.Timeout, errLate)
		defer cancel()
		ctx, abort := context.WithCancelCause(ctx)
		defer abort(nil)
		defer context.AfterFunc(s.ending, func() { abort(errClosed) })()
		x, err := s.begin(ctx, w, r, parse)
		if err != nil {
			problemOf(err).answer(w)
			return
		}
		if x.stream {
			x.events(w)
			return
		}
		x.whole(w)
	}
}

// errLate reports that a request takes longer than the server allows.
var errLate = errors.New("the request takes too long")

// problemOf returns the problem of an error of a request.
func problemOf(err error) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, errBusy):
		return failed(http.StatusServiceUnavailable, "overloaded", "too many requests are waiting; try again later")
	case errors.Is(err, errClosed):
		return failed(http.StatusServiceUnavailable, "shutting_down", "the server is shutting down")
	case errors.Is(err, errLate), errors.Is(err, context.DeadlineExceeded):
		return failed(http.StatusGatewayTimeout, "timeout", "the request took longer than the server allows; ask for fewer tokens, or start the server with a longer --request_timeout")
	case errors.Is(err, context.Canceled):
		return failed(499, "canceled", "the client closed the request") // nobody reads it
	}
	return failed(http.StatusInternalServerError, "internal_error", "%v", err)
}

// begin reads a request and submits it. The error is the client's answer.
func (s *Server) begin(ctx context.Context, w http.ResponseWriter, r *http.Request, parse func([]byte) (*request, error)) (*exchange, error) {
	body, err := s.body(w, r)
	if err != nil {
		return nil, err
	}
	x := &exchange{server: s}
	if x.request, err = parse(body); err != nil {
		return nil, err
	}
	if x.model, err = s.choose(x.request.model); err != nil {
		return nil, err
	}
	prompt, err := x.model.prompt(x.request, s.Vocabulary)
	if err != nil {
		return nil, err
	}
	longest := s.engine.longest
	if x.most < 0 {
		x.most = max(longest-len(prompt), 1)
	}
	if len(prompt)+x.most > longest {
		field := "messages"
		if x.chat == nil {
			field = "prompt"
		}
		return nil, wrong(field, "%d tokens, with an answer of up to %d, are more than the server's limit of %d", len(prompt), x.most, longest).
			coded(http.StatusBadRequest, "context_length_exceeded")
	}
	x.job = &job{ctx: ctx, prompt: prompt, most: x.most, ends: x.model.Ends, adapters: x.model.Adapters, sampling: x.sampling, logprobs: x.logprobs}
	if x.endless {
		x.job.ends = nil
	}
	x.reader = newReader(x.model.Tok, prompt, x.stops)
	x.head = envelope{ID: "cmpl-" + rand.Text(), Object: "text_completion", Created: time.Now().Unix(), Model: x.model.Name}
	if x.chat != nil {
		x.head.ID, x.head.Object = "chatcmpl-"+rand.Text(), "chat.completion"
	}
	return x, s.engine.submit(x.job)
}

// bodyPatience bounds the time in which a client sends its request.
const bodyPatience = 30 * time.Second

// body reads the body of a request.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(strings.ToLower(kind)) != "application/json" {
		return nil, wrong("", "the Content-Type must be application/json").coded(http.StatusUnsupportedMediaType, "unsupported_media_type")
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyPatience)) // a writer without deadlines is a test's
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.MaxBody))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return nil, wrong("", "the body is longer than %d bytes", long.Limit).coded(http.StatusRequestEntityTooLarge, "request_too_large")
	case err != nil:
		return nil, wrong("", "the body cannot be read")
	}
	return body, nil
}

// choose returns the model with a name.
func (s *Server) choose(name string) (*Model, error) {
	for _, m := range s.Models {
		if m.Name == name {
			return m, nil
		}
	}
	var names []string
	for _, m := range s.Models {
		names = append(names, m.Name)
	}
	what := "it is missing"
	if name != "" {
		what = "there is no " + excerpt([]byte(name))
	}
	return nil, wrong("model", "%s; this server has %s", what, strings.Join(names, ", ")).coded(http.StatusNotFound, "model_not_found")
}

// pieces calls emit with the parts of the answer, and returns why it ended.
func (x *exchange) pieces(emit func(piece) error) (end string, err error) {
	probabilities := x.logprobs >= 0
	for t := range x.job.tokens {
		p, done := x.reader.push(t, probabilities)
		if p.text != "" || done {
			if err := emit(p); err != nil {
				return "", err
			}
		}
		if done {
			return endStop, nil
		}
	}
	if x.job.err != nil {
		return "", x.job.err
	}
	if err := emit(x.reader.end()); err != nil {
		return "", err
	}
	if x.job.stopped {
		return endStop, nil
	}
	return endLength, nil
}

// counted returns the numbers of tokens of the request and of its answer so far.
func (x *exchange) counted() *usage { return newUsage(len(x.job.prompt), x.reader.count) }

// whole answers in one object.
func (x *exchange) whole(w http.ResponseWriter) {
	var text strings.Builder
	var tokens []scored
	end, err := x.pieces(func(p piece) error {
		text.WriteString(p.text)
		tokens = append(tokens, p.tokens...)
		return nil
	})
	if err != nil {
		problemOf(err).answer(w)
		return
	}
	answer, all := x.head, text.String()
	c := choice{Logprobs: x.scores(tokens), End: &end}
	if x.chat != nil {
		c.Message = &message{Role: "assistant", Content: all}
	} else {
		c.Text = &all
	}
	answer.Choices, answer.Usage = []choice{c}, x.counted()
	x.server.send(w, answer)
}

// send writes an object as the whole response.
func (s *Server) send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	inTime(w)
	_, _ = w.Write(append(encode(v), '\n')) // the client may be gone
}
