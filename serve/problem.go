package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// A problem is an error in OpenAI's form
// (https://platform.openai.com/docs/guides/error-codes).
type problem struct {
	status  int
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func (p *problem) Error() string { return p.Message }

// The types of problems.
const (
	invalid     = "invalid_request_error"
	unavailable = "server_error"
)

// wrong returns the problem of a field of a request; "" for the request itself.
func wrong(field, format string, args ...any) *problem {
	p := &problem{status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...), Type: invalid}
	if field != "" {
		p.Message, p.Param = field+": "+p.Message, &field
	}
	return p
}

// coded returns p with another status and a code.
func (p *problem) coded(status int, code string) *problem {
	p.status, p.Code = status, &code
	return p
}

// failed returns the problem of a server that cannot answer.
func failed(status int, code, format string, args ...any) *problem {
	p := &problem{Message: fmt.Sprintf(format, args...), Type: unavailable}
	return p.coded(status, code)
}

// body returns the problem's JSON.
func (p *problem) body() []byte {
	data, err := json.Marshal(map[string]*problem{"error": p})
	if err != nil {
		panic(err) // it has texts alone
	}
	return data
}

// answer writes the problem as a response.
func (p *problem) answer(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	switch p.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	inTime(w)
	w.WriteHeader(p.status)
	_, _ = w.Write(append(p.body(), '\n')) // the client may be gone
}
