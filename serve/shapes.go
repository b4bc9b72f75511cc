package serve

import (
	"encoding/json"
	"strings"
)

// A usage counts the tokens of a request.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

func newUsage(prompt, completion int) *usage {
	return &usage{prompt, completion, prompt + completion}
}

// An envelope is an answer or a part of one. Usage is nil in parts of a stream that reports
// it at the end, where it is null, and absent where it is not reported.
type envelope struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   any      `json:"usage,omitempty"`
}

// A choice is the text of an answer, by the kind of request.
type choice struct {
	Index    int      `json:"index"`
	Message  *message `json:"message,omitempty"`
	Delta    *delta   `json:"delta,omitempty"`
	Text     *string  `json:"text,omitempty"`
	Logprobs any      `json:"logprobs"`
	End      *string  `json:"finish_reason"`
}

type message struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

// A delta is what a part of a stream adds to a message.
type delta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

// chatLogprobs are the probabilities of a chat's tokens.
type chatLogprobs struct {
	Content []chatLogprob `json:"content"`
	Refusal *string       `json:"refusal"`
}

type chatLogprob struct {
	Token   string         `json:"token"`
	Logprob float32        `json:"logprob"`
	Bytes   []int          `json:"bytes"` // null for a part of a character
	Likely  *[]chatLogprob `json:"top_logprobs,omitempty"`
}

// completionLogprobs are the probabilities of a completion's tokens, as columns.
type completionLogprobs struct {
	Tokens   []string             `json:"tokens"`
	Logprobs []float32            `json:"token_logprobs"`
	Likely   []map[string]float32 `json:"top_logprobs"`
	Offsets  []int                `json:"text_offset"`
}

// logprobs returns the probabilities of tokens in the form of the request's kind; nil if it
// does not ask for them.
func (r *request) scores(tokens []scored) any {
	switch {
	case r.logprobs < 0:
		return nil
	case r.chat != nil:
		c := chatLogprobs{Content: []chatLogprob{}}
		for _, t := range tokens {
			one, likely := newChatLogprob(t), []chatLogprob{}
			for _, other := range t.likely {
				likely = append(likely, newChatLogprob(other))
			}
			one.Likely = &likely
			c.Content = append(c.Content, one)
		}
		return c
	}
	c := completionLogprobs{Tokens: []string{}, Logprobs: []float32{}, Likely: []map[string]float32{}, Offsets: []int{}}
	for _, t := range tokens {
		likely := map[string]float32{}
		for _, other := range t.likely {
			if _, twice := likely[other.text]; !twice { // parts of characters look alike
				likely[other.text] = other.logprob
			}
		}
		c.Tokens, c.Logprobs, c.Offsets = append(c.Tokens, t.text), append(c.Logprobs, t.logprob), append(c.Offsets, t.offset)
		c.Likely = append(c.Likely, likely)
	}
	return c
}

func newChatLogprob(t scored) chatLogprob {
	c := chatLogprob{Token: t.text, Logprob: t.logprob}
	if !strings.ContainsRune(t.text, '\uFFFD') {
		c.Bytes = []int{}
		for _, b := range []byte(t.text) {
			c.Bytes = append(c.Bytes, int(b))
		}
	}
	return c
}

// encode returns JSON as a client expects it: text is not escaped for HTML.
func encode(v any) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return failed(500, "internal_error", "an answer has no JSON form: %v", err).body()
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}
