package serve

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRefusals sends requests that are wrong, or that ask for what is not supported, and
// checks the errors.
func TestRefusals(t *testing.T) {
	v := newWorld(t).serve(t, nil)
	const chat, text = "/v1/chat/completions", "/v1/completions"
	ask := func(more string) string {
		return `{"model": "tiny", "messages": [{"role": "user", "content": "hi"}]` + more + `}`
	}
	complete := func(more string) string { return `{"model": "tiny", "prompt": "hi"` + more + `}` }
	for _, c := range []struct {
		path, body string
		status     int
		param      any
		want       string
	}{
		{chat, ``, 400, nil, "the body is not a JSON object"},
		{chat, `[]`, 400, nil, "the body is not a JSON object"},
		{chat, `null`, 400, nil, "the body is not a JSON object"},
		{chat, `{"model": "tiny"`, 400, nil, "the body is not a JSON object"},
		{chat, ask("") + ask(""), 400, nil, "the body has more than one JSON object"},
		{chat, "{\"model\": \"\xff\"}", 400, nil, "the body is not UTF-8"},
		{chat, `{"messages": [{"role": "user", "content": "hi"}]}`, 404, "model", "model: it is missing; this server has tiny, first, second"},
		{chat, strings.Replace(ask(""), "tiny", "gpt-5", 1), 404, "model", "model: there is no gpt-5; this server has tiny, first, second"},
		{chat, `{"model": 7}`, 400, "model", "model: must be a text"},
		{chat, `{"model": "tiny"}`, 400, "messages", "messages: must be a list of at least one message"},
		{chat, `{"model": "tiny", "messages": []}`, 400, "messages", "messages: must be a list of at least one message"},
		{chat, `{"model": "tiny", "messages": "hi"}`, 400, "messages", "messages: must be a list of messages"},
		{chat, `{"model": "tiny", "messages": ["hi"]}`, 400, "messages", `message 1 is not an object with a role`},
		{chat, `{"model": "tiny", "messages": [{"content": "hi"}]}`, 400, "messages", `message 1 is not an object with a role`},
		{chat, `{"model": "tiny", "messages": [{"role": "user", "content": 7}]}`, 400, "messages", "message 1 has a content that is neither a text nor a list of parts"},
		{chat, `{"model": "tiny", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}`, 400, "messages", "message 1 has a part of type image_url; only text is supported"},
		{chat, `{"model": "tiny", "messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "no"}}]}]}`, 400, "messages", `message 1 calls "f" with arguments that are no, not JSON`},
		{chat, ask(`, "temperature": 3`), 400, "temperature", "temperature: is 3, but it must be from 0 to 2"},
		{chat, ask(`, "temperature": "hot"`), 400, "temperature", "temperature: must be a number"},
		{chat, ask(`, "top_p": -0.1`), 400, "top_p", "top_p: is -0.1, but it must be from 0 to 1"},
		{chat, ask(`, "top_k": -2`), 400, "top_k", "top_k: must be an integer of at least -1"},
		{chat, ask(`, "seed": 1.5`), 400, "seed", "seed: must be an integer"},
		{chat, ask(`, "max_tokens": 1.5`), 400, "max_tokens", "max_tokens: must be an integer of at least 0"},
		{chat, ask(`, "max_tokens": 1, "max_completion_tokens": 2`), 400, "max_tokens", "max_tokens: is 1 and max_completion_tokens is 2: give one of them"},
		{chat, ask(`, "max_tokens": 10000`), 400, "messages", "messages: 7 tokens, with an answer of up to 10000, are more than the server's limit of 600"},
		{chat, ask(`, "n": 2`), 400, "n", "n: 2 is not supported; it can be 1, or left out"},
		{chat, ask(`, "response_format": {"type": "json_object"}`), 400, "response_format", `response_format: {"type": "json_object"} is not supported; it can be {"type":"text"}, or left out`},
		{chat, ask(`, "logit_bias": {"1": 2}`), 400, "logit_bias", "is not supported"},
		{chat, ask(`, "frequency_penalty": 0.5`), 400, "frequency_penalty", "frequency_penalty: 0.5 is not supported; it can be 0 or 0.0, or left out"},
		{chat, ask(`, "tools": [{}]`), 400, "tools", "tools: element 1 is not"},
		{chat, ask(`, "tools": {}`), 400, "tools", "tools: must be a list of functions"},
		{chat, ask(`, "tool_choice": "required"`), 400, "tool_choice", `tool_choice: "required" is not supported; it can be "auto" or "none", or left out`},
		{chat, ask(`, "functions": []`), 400, "functions", "functions: [] is not supported; leave it out"},
		{chat, ask(`, "stream": 1`), 400, "stream", "stream: must be true or false"},
		{chat, ask(`, "stream_options": {"include_usage": true}`), 400, "stream_options", "stream_options: is only for streams"},
		{chat, ask(`, "stop": 7`), 400, "stop", "stop: must be a text or a list of up to 4 texts"},
		{chat, ask(`, "stop": ["a", "b", "c", "d", "e"]`), 400, "stop", "stop: must be a text or a list of up to 4 texts"},
		{chat, ask(`, "stop": ""`), 400, "stop", "stop: a text must have 1 to 1024 bytes"},
		{chat, ask(`, "top_logprobs": 2`), 400, "top_logprobs", "top_logprobs: needs logprobs"},
		{chat, ask(`, "logprobs": true, "top_logprobs": 21`), 400, "top_logprobs", "top_logprobs: is 21, but it must be at most 20"},
		{chat, ask(`, "temprature": 1`), 400, nil, "unrecognized request argument: temprature"},
		{chat, ask(`, "chat_template_kwargs": []`), 400, "chat_template_kwargs", "chat_template_kwargs"},
		{text, `{"model": "tiny"}`, 400, "prompt", "prompt: is missing: give a text or a list of tokens"},
		{text, `{"model": "tiny", "prompt": ["a", "b"]}`, 400, "prompt", "prompt: must be a text or a list of tokens; send several prompts as requests of their own"},
		{text, `{"model": "tiny", "prompt": ""}`, 400, "prompt", "prompt: has no tokens; this model needs at least one"},
		{text, `{"model": "tiny", "prompt": [96]}`, 400, "prompt", "prompt: token 0 has id 96, but the model's vocabulary has 96 entries"},
		{text, complete(`, "logprobs": 6`), 400, "logprobs", "logprobs: is 6, but it must be at most 5"},
		{text, complete(`, "echo": true`), 400, "echo", "echo: true is not supported; it can be false, or left out"},
		{text, complete(`, "best_of": 3`), 400, "best_of", "best_of: 3 is not supported"},
		{text, complete(`, "messages": []`), 400, nil, "unrecognized request argument: messages"},
		{"/v1/embeddings", `{}`, 404, nil, "there is no /v1/embeddings here"},
		{"/v1/models", `{}`, 405, nil, "/v1/models is answered to GET alone"},
		{"/", `{}`, 404, nil, "there is no / here"},
	} {
		status, o := v.ask(c.path, c.body)
		e, ok := o["error"].(object)
		require.True(t, ok, "%s: %v", c.body, o)
		require.Contains(t, e["message"], c.want, c.body)
		require.Equal(t, c.status, status, c.body)
		require.Equal(t, c.param, e["param"], c.body)
		require.Equal(t, "invalid_request_error", e["type"], c.body)
	}
}

// TestAccepted sends requests with fields that change no answer.
func TestAccepted(t *testing.T) {
	v := newWorld(t).serve(t, nil)
	status, o := v.ask("/v1/chat/completions", `{"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1, "n": 1, "user": "me", "metadata": {},
		"response_format": {"type": "text"}, "frequency_penalty": 0, "presence_penalty": 0.0, "stop": null, "seed": -1, "logit_bias": {}, "parallel_tool_calls": true,
		"top_k": -1, "tools": [], "logprobs": false, "store": false, "modalities": ["text"]}`)
	require.Equal(t, 200, status, o)
	status, o = v.ask("/v1/completions", `{"model": "tiny", "prompt": "hi", "max_tokens": 0}`)
	require.Equal(t, 200, status, o)
	require.Equal(t, "", o["choices"].([]any)[0].(object)["text"])
}

// TestClients checks what depends on the client: its key, the name under which it reaches
// the server, its site, and how much it sends.
func TestClients(t *testing.T) {
	v := newWorld(t).serve(t, func(s *setup) { s.Key, s.MaxBody = "secret", 2000 })
	const body = `{"model": "tiny", "prompt": "hi", "max_tokens": 1}`
	for name, c := range map[string]struct {
		change func(*http.Request)
		body   string
		status int
		code   string
	}{
		"right":           {func(*http.Request) {}, body, 200, ""},
		"no key":          {func(r *http.Request) { r.Header.Del("Authorization") }, body, 401, "invalid_api_key"},
		"wrong key":       {func(r *http.Request) { r.Header.Set("Authorization", "Bearer secreT") }, body, 401, "invalid_api_key"},
		"other scheme":    {func(r *http.Request) { r.Header.Set("Authorization", "secret") }, body, 401, "invalid_api_key"},
		"rebound name":    {func(r *http.Request) { r.Host = "rebound.example" }, body, 403, "unknown_host"},
		"other site":      {func(r *http.Request) { r.Header.Set("Origin", "https://other.example") }, body, 403, "cross_origin"},
		"other site too":  {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, body, 403, "cross_origin"},
		"own site":        {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }, body, 200, ""},
		"text":            {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, body, 415, "unsupported_media_type"},
		"json with more":  {func(r *http.Request) { r.Header.Set("Content-Type", "Application/JSON; charset=utf-8") }, body, 200, ""},
		"long body":       {func(*http.Request) {}, body + strings.Repeat(" ", 2000), 413, "request_too_large"},
		"long and hidden": {func(r *http.Request) { r.ContentLength = -1 }, body + strings.Repeat(" ", 2000), 413, "request_too_large"},
	} {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, v.url+"/v1/completions", strings.NewReader(c.body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer secret")
		c.change(r)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err, name)
		require.Empty(t, response.Header.Get("Access-Control-Allow-Origin"))
		status, o := v.read(response)
		require.Equal(t, c.status, status, "%s: %v", name, o)
		if c.code != "" {
			require.Equal(t, c.code, o["error"].(object)["code"], name)
		}
	}
}

func TestStopper(t *testing.T) {
	for _, c := range []struct {
		stops  []string
		pieces []string
		want   string
		done   bool
	}{
		{nil, []string{"a", "b"}, "ab", false},
		{[]string{"b"}, []string{"a", "bc"}, "a", true},
		{[]string{"abc"}, []string{"xa", "b", "c"}, "x", true},
		{[]string{"abc"}, []string{"xa", "b", "d"}, "xabd", false},
		{[]string{"aab"}, []string{"a", "a", "a", "b"}, "a", true},
		{[]string{"abc", "x"}, []string{"ab", "x"}, "ab", true},
		{[]string{"abc"}, []string{"ab"}, "ab", false},
		{[]string{"é"}, []string{"e", "é"}, "e", true},
	} {
		s := stopper{stops: c.stops}
		got, done := "", false
		for _, piece := range c.pieces {
			if !done {
				var text string
				text, done = s.push(piece)
				got += text
			}
		}
		if !done {
			got += s.flush()
		}
		require.Equal(t, c.want, got, "%q in %q", c.stops, c.pieces)
		require.Equal(t, c.done, done)
	}
}

// FuzzStopper compares pieces with the whole text.
func FuzzStopper(f *testing.F) {
	f.Add("aabaab", "aab", "ba", uint64(0b101))
	f.Fuzz(func(t *testing.T, text, a, b string, cuts uint64) {
		if a == "" || b == "" {
			return
		}
		s := stopper{stops: []string{a, b}}
		got, done, from := "", false, 0
		push := func(to int) {
			if done {
				return
			}
			piece, now := s.push(text[from:to])
			got, done, from = got+piece, now, to
		}
		for i := range text {
			if cuts>>(i%64)&1 == 1 {
				push(i)
			}
		}
		push(len(text))
		if !done {
			got += s.flush()
			if strings.Contains(text, a) || strings.Contains(text, b) || got != text {
				t.Errorf("%q without an end at %q or %q: %q", text, a, b, got)
			}
			return
		}
		if !strings.HasPrefix(text, got) || strings.Contains(got, a) || strings.Contains(got, b) {
			t.Errorf("%q until %q or %q: %q", text, a, b, got)
		}
		if rest := text[len(got):]; !strings.HasPrefix(rest, a) && !strings.HasPrefix(rest, b) {
			t.Errorf("%q ends before %q, which is neither %q nor %q", got, rest, a, b)
		}
	})
}

// FuzzRequest checks that no body makes a parser panic or accept what is outside the
// limits.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "stop": ["a"], "seed": 1, "logprobs": true, "top_logprobs": 3}`,
		`{"model": "m", "prompt": [1, 2], "max_tokens": 3, "logprobs": 2, "stream": true, "stream_options": {"include_usage": true}}`,
		`{"model": "m", "messages": [{"role": "user", "content": null, "tool_calls": []}], "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "none"}`,
		`{"temperature": 1e400, "n": 1.0}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, parse := range []func([]byte) (*request, error){parseChat, parseCompletion} {
			r, err := parse(body)
			if err != nil {
				p := problemOf(err)
				if p.status < 400 || p.status > 499 || len(p.Message) > 600 || strings.ContainsAny(p.Message, "\n\r") {
					t.Errorf("problem %d %q", p.status, p.Message)
				}
				continue
			}
			s := r.sampling
			if !(s.Temperature >= 0 && s.Temperature <= 2) || !(s.TopP >= 0 && s.TopP <= 1) || s.TopK < 0 || r.most < -1 || len(r.stops) > maxStops || r.logprobs < -1 || r.logprobs > maxTopLogprobs {
				t.Errorf("accepted %+v", r)
			}
		}
	})
}
