package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/nn"
)

// TestAdaptersTogether sends 64 requests at once to the base and two adapters, in streams
// and whole, and compares each answer with that of the model loaded alone.
func TestAdaptersTogether(t *testing.T) {
	w := newWorld(t)
	v := w.serve(t, func(s *setup) { s.cache = 1500 }) // not enough for all
	want := map[string]string{}
	names := []string{"tiny", "first", "second"}
	for _, name := range names {
		for p := range 4 {
			prompt := strings.Repeat("so ", 1+20*p)
			want[name+prompt] = w.alone(t, name, prompt, 40, nn.Sampling{})
		}
	}
	distinct := map[string]bool{}
	for _, text := range want {
		distinct[text] = true
	}
	require.Greater(t, len(distinct), 6, "the models differ")
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			name, prompt := names[i%3], strings.Repeat("so ", 1+20*(i%4))
			got, err := v.complete(name, prompt, 40, nil)
			assert.NoError(t, err)
			assert.Equal(t, want[name+prompt], got, "request %d to %s", i, name)
		})
	}
	all.Wait()
	v.await(0, 0)
}

// TestSampledLikeGenerate checks that a seed gives the tokens of qlora generate.
func TestSampledLikeGenerate(t *testing.T) {
	w := newWorld(t)
	v := w.serve(t, nil)
	for _, s := range []nn.Sampling{
		{Temperature: 1, TopP: 1, Seed: 7}, {Temperature: 0.7, TopP: 0.9, Seed: 8}, {Temperature: 1.5, TopP: 1, TopK: 5, Seed: 9},
	} {
		want := w.alone(t, "second", "once", 30, s)
		got, err := v.complete("second", "once", 30, object{"temperature": s.Temperature, "top_p": s.TopP, "top_k": s.TopK, "seed": s.Seed})
		require.NoError(t, err)
		require.Equal(t, want, got, "%+v", s)
	}
	tokens := func(endless bool) float64 {
		_, o := v.ask("/v1/completions", object{"model": "second", "prompt": "once", "max_tokens": 40, "temperature": 0, "ignore_eos": endless})
		return o["usage"].(object)["completion_tokens"].(float64)
	}
	require.Less(t, tokens(false), 40.0, "the model ends this answer")
	require.InDelta(t, 40, tokens(true), 0)
	first, err := v.complete("second", "once", 30, object{"temperature": 1})
	require.NoError(t, err)
	second, err := v.complete("second", "once", 30, object{"temperature": 1})
	require.NoError(t, err)
	require.NotEqual(t, first, second, "without a seed")
}

// TestStream checks every event of streams of both kinds.
func TestStream(t *testing.T) {
	w := newWorld(t)
	v := w.serve(t, nil)
	prompt := "u:hi<e>a:"
	want := w.alone(t, "first", prompt, 6, nn.Sampling{})
	require.Len(t, want, 6)
	any := regexp.MustCompile(`"id":"[a-z]+-[A-Z0-9]{26}","object":"([a-z._]+)","created":\d+,"model":"first"`)
	shape := func(events []string) []string {
		for i := range events {
			events[i] = any.ReplaceAllString(events[i], `"$1"`)
		}
		return events
	}
	var chat, text []string
	part := func(object, value, end, usage string) string {
		return fmt.Sprintf(`{"%s","choices":[{"index":0,%s,"logprobs":null,"finish_reason":%s}]%s}`, object, value, end, usage)
	}
	const null, chunk = `,"usage":null`, "chat.completion.chunk"
	chat = append(chat, part(chunk, `"delta":{"role":"assistant","content":""}`, "null", null))
	for _, c := range want {
		one, err := json.Marshal(string(c))
		require.NoError(t, err)
		chat = append(chat, part(chunk, fmt.Sprintf(`"delta":{"content":%s}`, one), "null", null))
		text = append(text, part("text_completion", fmt.Sprintf(`"text":%s`, one), "null", ""))
	}
	chat = append(chat, part(chunk, `"delta":{}`, `"length"`, null),
		`{"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":6,"total_tokens":13}}`, "[DONE]")
	text = append(text, part("text_completion", `"text":""`, `"length"`, ""), "[DONE]")
	require.Equal(t, chat, shape(v.events("/v1/chat/completions", object{
		"model": "first", "messages": []object{{"role": "user", "content": "hi"}}, "max_completion_tokens": 6, "temperature": 0,
		"stream": true, "stream_options": object{"include_usage": true},
	})))
	require.Equal(t, text, shape(v.events("/v1/completions", object{"model": "first", "prompt": prompt, "max_tokens": 6, "temperature": 0, "stream": true})))
}

// TestWhole checks the object of an answer of both kinds, and the ways to give a prompt.
func TestWhole(t *testing.T) {
	w := newWorld(t)
	v := w.serve(t, nil)
	want := w.alone(t, "tiny", "ab", 5, nn.Sampling{})
	for _, prompt := range []any{"ab", []string{"ab"}, []int{'a' - ' ', 'b' - ' '}, [][]int{{'a' - ' ', 'b' - ' '}}} {
		status, o := v.ask("/v1/completions", object{"model": "tiny", "prompt": prompt, "max_tokens": 5, "temperature": 0})
		require.Equal(t, 200, status, o)
		require.Equal(t, []any{object{"index": 0.0, "text": want, "logprobs": nil, "finish_reason": "length"}}, o["choices"])
		require.Equal(t, object{"prompt_tokens": 2.0, "completion_tokens": 5.0, "total_tokens": 7.0}, o["usage"])
		require.Equal(t, "text_completion", o["object"])
	}
	want = w.alone(t, "tiny", "[f]s:be<e>u:one two<e>a:go3<e>t:4<e>7a:", 5, nn.Sampling{})
	status, o := v.ask("/v1/chat/completions", object{
		"model": "tiny", "max_tokens": 5, "temperature": 0, "chat_template_kwargs": object{"more": 7},
		"tools": []object{{"type": "function", "function": object{"name": "f"}}}, "tool_choice": "auto",
		"messages": []object{
			{"role": "developer", "content": "be"},
			{"role": "user", "content": []object{{"type": "text", "text": "one "}, {"type": "text", "text": "two"}}},
			{"role": "assistant", "content": "", "tool_calls": []object{{"id": "1", "type": "function", "function": object{"name": "go", "arguments": `{"x": 3}`}}}},
			{"role": "tool", "tool_call_id": "1", "content": "4"},
		},
	})
	require.Equal(t, 200, status, o)
	require.Equal(t, []any{object{
		"index": 0.0, "message": object{"role": "assistant", "content": want, "refusal": nil}, "logprobs": nil, "finish_reason": "length",
	}}, o["choices"])
	require.Equal(t, "chat.completion", o["object"])
}

// TestStops ends answers at texts that begin and end within tokens and between them, and at
// the model's own end.
func TestStops(t *testing.T) {
	w := newWorld(t)
	v := w.serve(t, nil)
	text := w.alone(t, "second", "once", 40, nn.Sampling{})
	require.Greater(t, len(text), 20)
	for _, stop := range []string{text[10:11], text[10:13], text[5:20]} {
		want, _, _ := strings.Cut(text, stop)
		for _, stream := range []bool{false, true} {
			body := object{"model": "second", "prompt": "once", "max_tokens": 40, "temperature": 0, "stop": []string{"\x00", stop}, "stream": stream, "logprobs": 0}
			got, tokens, end := "", 0, ""
			var parts []string
			if stream {
				parts = v.events("/v1/completions", body)
				require.Equal(t, "[DONE]", parts[len(parts)-1])
				parts = parts[:len(parts)-1]
			} else {
				_, o := v.ask("/v1/completions", body)
				one, err := json.Marshal(o)
				require.NoError(t, err)
				parts = []string{string(one)}
			}
			for _, p := range parts {
				var o struct {
					Choices []struct {
						Text     string
						Logprobs *struct{ Tokens []string }
						End      *string `json:"finish_reason"`
					}
				}
				require.NoError(t, json.Unmarshal([]byte(p), &o))
				got += o.Choices[0].Text
				if l := o.Choices[0].Logprobs; l != nil {
					tokens += len(l.Tokens)
				}
				if e := o.Choices[0].End; e != nil {
					end = *e
				}
			}
			require.Equal(t, want, got, "stop %q, stream %v", stop, stream)
			require.Equal(t, len(want), tokens, "tokens with probabilities, stop %q, stream %v", stop, stream)
			require.Equal(t, "stop", end)
		}
	}
}

// TestLogprobs checks the probabilities of tokens against those of the likeliest ones.
func TestLogprobs(t *testing.T) {
	w := newWorld(t)
	v := w.serve(t, nil)
	_, o := v.ask("/v1/chat/completions", object{
		"model": "first", "messages": []object{{"role": "user", "content": "hi"}}, "max_tokens": 9, "temperature": 0, "logprobs": true, "top_logprobs": 20,
	})
	choice := o["choices"].([]any)[0].(object)
	text := ""
	for _, one := range choice["logprobs"].(object)["content"].([]any) {
		token := one.(object)
		likely := token["top_logprobs"].([]any)
		require.Len(t, likely, 20)
		require.Equal(t, token["token"], likely[0].(object)["token"], "greedy")
		require.Equal(t, token["logprob"], likely[0].(object)["logprob"])
		sum, last := 0.0, 1.0
		for _, other := range likely {
			p := other.(object)["logprob"].(float64)
			require.LessOrEqual(t, p, last)
			sum, last = sum+math.Exp(p), p
		}
		require.Less(t, sum, 1.0)
		text += token["token"].(string)
		require.Equal(t, []any{float64(token["token"].(string)[0])}, token["bytes"])
	}
	require.Equal(t, choice["message"].(object)["content"], text)
	_, o = v.ask("/v1/completions", object{"model": "first", "prompt": "u:hi<e>a:", "max_tokens": 9, "temperature": 0, "logprobs": 2})
	columns := o["choices"].([]any)[0].(object)["logprobs"].(object)
	require.Equal(t, text, join(columns["tokens"]))
	require.Equal(t, []any{0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0}, columns["text_offset"])
	require.Len(t, columns["token_logprobs"], 9)
	require.Len(t, columns["top_logprobs"].([]any)[0], 2)
}

func join(list any) string {
	var b strings.Builder
	for _, one := range list.([]any) {
		b.WriteString(one.(string))
	}
	return b.String()
}

func TestRank(t *testing.T) {
	logits := []float32{1, 3, 2, 3, 0}
	p, likely := rank(logits, 2, 3)
	sum := math.Exp(1) + 2*math.Exp(3) + math.Exp(2) + 1
	require.InDelta(t, 2-math.Log(sum), p, 1e-6)
	require.Len(t, likely, 3)
	require.Equal(t, []int32{1, 3, 2}, []int32{likely[0].id, likely[1].id, likely[2].id})
	require.InDelta(t, 3-math.Log(sum), likely[0].logprob, 1e-6)
	_, likely = rank(logits, 0, 0)
	require.Empty(t, likely)
	_, likely = rank(logits, 0, 20)
	require.Len(t, likely, 5)
}

// TestGoneClients checks that clients that go away free their places at once, whether they
// run or wait, and in streams and whole.
func TestGoneClients(t *testing.T) {
	w := newWorld(t)
	const tokens = 499
	var passes atomic.Int64
	v := w.serve(t, func(s *setup) { s.pass, s.cache, s.longest, s.passes = 20*time.Millisecond, 1000, 500, &passes })
	ctx, leave := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range 5 {
		all.Go(func() {
			response, err := v.post(ctx, "/v1/completions", object{"model": "tiny", "prompt": "x", "max_tokens": tokens, "temperature": 0, "stream": i%2 == 0})
			if err != nil {
				return
			}
			defer response.Body.Close()
			_, err = io.Copy(io.Discard, response.Body)
			assert.ErrorIs(t, err, context.Canceled)
		})
	}
	v.await(2, 3)
	leave()
	v.await(0, 0)
	require.Less(t, passes.Load(), int64(tokens), "passes; whole answers would have taken three times %d", tokens)
	all.Wait()
	got, err := v.complete("tiny", "x", 20, nil)
	require.NoError(t, err)
	require.NotEmpty(t, got)
}

// TestFullQueue checks that requests beyond the queue are refused, and that a place in it
// becomes free.
func TestFullQueue(t *testing.T) {
	w := newWorld(t)
	v := w.serve(t, func(s *setup) { s.pass, s.cache, s.longest, s.Queue = 5*time.Millisecond, 400, 400, 2 })
	ctx, leave := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer leave()
	long := object{"model": "tiny", "prompt": "x", "max_tokens": 399, "temperature": 0}
	for i := range 3 {
		all.Go(func() {
			if response, err := v.post(ctx, "/v1/completions", long); err == nil {
				response.Body.Close()
			}
		})
		v.await(1, i)
	}
	response, err := v.post(context.Background(), "/v1/completions", long)
	require.NoError(t, err)
	require.Equal(t, "1", response.Header.Get("Retry-After"))
	status, o := v.read(response)
	require.Equal(t, 503, status)
	require.Equal(t, object{"message": "too many requests are waiting; try again later", "type": "server_error", "param": nil, "code": "overloaded"}, o["error"])
}

// TestTimeout checks that a request that takes too long ends with an error: as its status
// before the answer begins, as an event within a stream.
func TestTimeout(t *testing.T) {
	w := newWorld(t)
	v := w.serve(t, func(s *setup) { s.pass, s.Timeout = 10*time.Millisecond, 1500*time.Millisecond })
	long := object{"model": "tiny", "prompt": "x", "max_tokens": 500, "temperature": 0}
	status, o := v.ask("/v1/completions", long)
	require.Equal(t, 504, status)
	require.Equal(t, "timeout", o["error"].(object)["code"])
	long["stream"] = true
	events := v.events("/v1/completions", long)
	require.Greater(t, len(events), 1)
	require.Contains(t, events[len(events)-1], `{"error":{"message":"the request took longer than the server allows`)
	v.await(0, 0)
}

// TestShutdown checks that a signal refuses what waits, lets short answers end and cuts off
// long ones.
func TestShutdown(t *testing.T) {
	w := newWorld(t)
	hold := make(chan struct{})
	v := w.serve(t, func(s *setup) {
		s.pass, s.cache, s.longest, s.grace = 20*time.Millisecond, 800, 560, 2*time.Second
		s.hold = hold
	})
	type result struct {
		status int
		last   string
	}
	results := make([]result, 3)
	var all sync.WaitGroup
	for i, most := range []int{5, 500, 500} { // the long ones take longer than the grace
		all.Go(func() {
			response, err := v.post(context.Background(), "/v1/completions", object{"model": "tiny", "prompt": "x", "max_tokens": most, "temperature": 0, "stream": true})
			if !assert.NoError(t, err) {
				return
			}
			defer response.Body.Close()
			data, err := io.ReadAll(response.Body)
			assert.NoError(t, err)
			results[i] = result{response.StatusCode, string(data)}
		})
		if i == 1 { // it runs after the pass of the first
			v.await(1, 1)
			hold <- struct{}{}
		}
		v.await(min(i+1, 2), max(i-1, 0))
	}
	v.stop()
	close(hold)
	all.Wait()
	require.NoError(t, <-v.done)
	v.done <- nil
	require.Equal(t, 200, results[0].status)
	require.True(t, strings.HasSuffix(results[0].last, "data: [DONE]\n\n"), results[0].last)
	require.Equal(t, 200, results[1].status)
	require.Regexp(t, `data: {"error":{"message":"the server is shutting down"[^\n]*\n\n$`, results[1].last)
	require.Equal(t, 503, results[2].status)
	require.Contains(t, results[2].last, `"code":"shutting_down"`)
}

// TestPage checks the files of the page and what a browser may do with them.
func TestPage(t *testing.T) {
	v := newWorld(t).serve(t, func(s *setup) { s.Key = "secret" })
	for path, kind := range map[string]string{"/": "text/html; charset=utf-8", "/chat.js": "text/javascript; charset=utf-8", "/chat.css": "text/css; charset=utf-8", "/favicon.svg": "image/svg+xml"} {
		response, err := http.Get(v.url + path)
		require.NoError(t, err)
		data, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, 200, response.StatusCode)
		require.Equal(t, kind, response.Header.Get("Content-Type"))
		require.Equal(t, policy, response.Header.Get("Content-Security-Policy"))
		require.NotRegexp(t, `(src|href)="(https?:)?//|style=|onclick=|<style|<script>`, string(data), "other sites, or what the policy forbids")
	}
}

func TestModels(t *testing.T) {
	v := newWorld(t).serve(t, nil)
	response, err := http.Get(v.url + "/v1/models")
	require.NoError(t, err)
	status, o := v.read(response)
	require.Equal(t, 200, status)
	require.Equal(t, "list", o["object"])
	var names []any
	for _, m := range o["data"].([]any) {
		m := m.(object)
		names = append(names, m["id"], m["parent"], m["owned_by"], m["object"], m["chats"])
	}
	require.Equal(t, []any{"tiny", nil, "qlora", "model", true, "first", "tiny", "qlora", "model", true, "second", "tiny", "qlora", "model", true}, names)
	response, err = http.Get(v.url + "/v1/models/second")
	require.NoError(t, err)
	_, o = v.read(response)
	require.Equal(t, "second", o["id"])
}
