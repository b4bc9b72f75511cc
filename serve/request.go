package serve

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"

	"qlora/chat"
	"qlora/nn"
)

// A request is what a client asks for.
type request struct {
	model    string
	chat     *chat.Request // nil: complete text or tokens
	text     string
	tokens   []int32
	most     int // tokens of the answer; -1: as many as there is room for
	sampling nn.Sampling
	stops    []string
	logprobs int // likeliest tokens to report with each token; -1: no probabilities
	stream   bool
	usage    bool // report the usage at the end of a stream
	endless  bool // go on where the model ends the answer, to measure
}

// Limits of OpenAI's API.
const (
	maxStops             = 4
	maxTopLogprobs       = 20
	maxCompletionLogprob = 5
)

// maxStopBytes bounds a text at which an answer stops: as much may be held back.
const maxStopBytes = 1 << 10

// parseChat reads a request to /v1/chat/completions.
func parseChat(body []byte) (*request, error) {
	f, err := parse(body)
	if err != nil {
		return nil, err
	}
	r := &request{logprobs: -1, chat: &chat.Request{}}
	r.common(f)
	r.most = f.count("max_tokens", -1, 0)
	if most := f.count("max_completion_tokens", -1, 0); most >= 0 {
		if r.most >= 0 && r.most != most {
			f.fail(wrong("max_tokens", "is %d and max_completion_tokens is %d: give one of them", r.most, most))
		}
		r.most = most
	}
	if f.bool("logprobs") {
		r.logprobs = 0
	}
	if top := f.count("top_logprobs", -1, 0); top >= 0 {
		switch {
		case r.logprobs < 0:
			f.fail(wrong("top_logprobs", "needs logprobs"))
		case top > maxTopLogprobs:
			f.fail(wrong("top_logprobs", "is %d, but it must be at most %d", top, maxTopLogprobs))
		}
		r.logprobs = max(r.logprobs, top)
	}
	if !f.get("messages", &r.chat.Messages, "a list of messages") || len(r.chat.Messages) == 0 {
		f.fail(wrong("messages", "must be a list of at least one message"))
	}
	for i, raw := range r.chat.Messages {
		if err := checkMessage(raw); err != nil {
			f.fail(wrong("messages", "message %d %v", i+1, err))
		}
	}
	r.tools(f)
	if f.get("chat_template_kwargs", new(map[string]json.RawMessage), "an object") {
		r.chat.Variables = f.raw["chat_template_kwargs"]
	}
	f.only("modalities", `["text"]`)
	f.only("functions")
	f.only("function_call")
	f.only("audio")
	f.only("prediction")
	f.only("reasoning_effort")
	f.only("web_search_options")
	f.only("verbosity")
	return r, f.end()
}

// tools reads the functions that the model may call. They are for the template; a call
// stays text.
func (r *request) tools(f *fields) {
	f.only("tool_choice", `"auto"`, `"none"`)
	var tools []struct{ Function *struct{ Name string } }
	if f.get("tools", &tools, "a list of functions") {
		for i, t := range tools {
			if t.Function == nil || t.Function.Name == "" {
				f.fail(wrong("tools", `element %d is not {"type": "function", "function": {"name": …}}`, i+1))
			}
		}
		if f.text("tool_choice") != "none" {
			r.chat.Tools = f.raw["tools"]
		}
	}
	f.ignore("parallel_tool_calls")
}

// checkMessage returns an error if a message has no role, or a content other than text.
func checkMessage(raw json.RawMessage) error {
	var m struct {
		Role    string
		Content json.RawMessage
	}
	if json.Unmarshal(raw, &m) != nil || m.Role == "" {
		return fmt.Errorf(`is not an object with a role, such as {"role": "user", "content": "…"}`)
	}
	if len(m.Content) == 0 || string(m.Content) == "null" || m.Content[0] == '"' {
		return nil
	}
	var parts []struct {
		Type string
		Text *string
	}
	if json.Unmarshal(m.Content, &parts) != nil {
		return fmt.Errorf("has a content that is neither a text nor a list of parts")
	}
	for _, p := range parts {
		if p.Type != "text" || p.Text == nil {
			return fmt.Errorf("has a part of type %s; only text is supported", excerpt([]byte(p.Type)))
		}
	}
	return nil
}

// parseCompletion reads a request to /v1/completions.
func parseCompletion(body []byte) (*request, error) {
	f, err := parse(body)
	if err != nil {
		return nil, err
	}
	r := &request{}
	r.common(f)
	const defaultMost = 16 // OpenAI's
	r.most = f.count("max_tokens", defaultMost, 0)
	r.logprobs = f.count("logprobs", -1, 0)
	if r.logprobs > maxCompletionLogprob {
		f.fail(wrong("logprobs", "is %d, but it must be at most %d", r.logprobs, maxCompletionLogprob))
	}
	r.prompt(f)
	f.only("best_of", "1")
	f.only("echo", "false")
	f.only("suffix", `""`)
	return r, f.end()
}

// prompt reads one text, or one list of tokens, each maybe as the only element of a list.
func (r *request) prompt(f *fields) {
	const what = "a text or a list of tokens"
	var raw json.RawMessage
	if !f.get("prompt", &raw, what) {
		f.fail(wrong("prompt", "is missing: give %s", what))
		return
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && len(list) == 1 && len(list[0]) > 0 && (list[0][0] == '"' || list[0][0] == '[') {
		raw = list[0]
	}
	if json.Unmarshal(raw, &r.text) == nil {
		return
	}
	if json.Unmarshal(raw, &r.tokens) != nil || len(r.tokens) == 0 {
		f.fail(wrong("prompt", "must be %s; send several prompts as requests of their own", what))
	}
}

// common reads the fields of both kinds of requests.
func (r *request) common(f *fields) {
	r.model = f.text("model")
	r.stream = f.bool("stream")
	var options struct {
		Usage bool `json:"include_usage"`
	}
	if f.get("stream_options", &options, "an object") {
		if !r.stream {
			f.fail(wrong("stream_options", "is only for streams"))
		}
		r.usage = options.Usage
	}
	r.sampling = nn.Sampling{
		Temperature: f.number("temperature", 1, 0, 2),
		TopP:        f.number("top_p", 1, 0, 1),
		TopK:        f.count("top_k", 0, -1),
		Seed:        rand.Uint64(),
	}
	r.sampling.TopK = max(r.sampling.TopK, 0) // -1: all, as in other servers
	var seed json.Number
	if f.get("seed", &seed, "an integer") {
		n, err := strconv.ParseInt(seed.String(), 10, 64)
		if err != nil {
			f.fail(wrong("seed", "must be an integer"))
		}
		r.sampling.Seed = uint64(n)
	}
	r.readStops(f)
	r.endless = f.bool("ignore_eos")
	f.only("n", "1")
	f.only("response_format", `{"type":"text"}`)
	f.only("frequency_penalty", "0", "0.0")
	f.only("presence_penalty", "0", "0.0")
	f.only("repetition_penalty", "1", "1.0")
	f.only("logit_bias", "{}")
	f.only("store", "false")
	f.ignore("user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention")
}

// readStops reads stop, a text or up to four.
func (r *request) readStops(f *fields) {
	var raw json.RawMessage
	if !f.get("stop", &raw, "") {
		return
	}
	var one string
	switch {
	case json.Unmarshal(raw, &one) == nil:
		r.stops = []string{one}
	case json.Unmarshal(raw, &r.stops) != nil || len(r.stops) > maxStops:
		f.fail(wrong("stop", "must be a text or a list of up to %d texts", maxStops))
		return
	}
	for _, stop := range r.stops {
		if stop == "" || len(stop) > maxStopBytes {
			f.fail(wrong("stop", "a text must have 1 to %d bytes", maxStopBytes))
		}
	}
}
