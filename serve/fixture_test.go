package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/internal/tinymodel"
	"qlora/lora"
	"qlora/nn"
	"qlora/trainer"
)

const config = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32",
 "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
 "vocab_size": 96, "max_position_embeddings": 4096, "tie_word_embeddings": false, "hidden_act": "silu", "eos_token_id": 95}`

const template = `{% for t in tools or [] %}[{{ t.function.name }}]{% endfor %}{% for m in messages %}{{ m.role[0] }}:{{ m.content }}` +
	`{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments.x }}{% endfor %}<e>{% endfor %}{{ more }}{% if add_generation_prompt %}a:{% endif %}`

// A world is a folder of a base, and of two adapters on it.
type world struct {
	base     string
	adapters []Adapter
}

// newWorld writes a base whose tokens are the printable characters, and two adapters.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{base: filepath.Join(t.TempDir(), "tiny")}
	require.NoError(t, os.Mkdir(w.base, 0o755))
	require.NoError(t, tinymodel.Write(w.base, config, tinymodel.Drawn(rand.New(rand.NewPCG(1, 2)), 0.2)))
	vocabulary := map[string]int{}
	for c := ' '; c <= '~'; c++ {
		vocabulary[string(c)] = int(c - ' ')
	}
	write(t, w.base, "tokenizer.json", map[string]any{
		"model":        map[string]any{"type": "BPE", "vocab": vocabulary, "merges": []string{}},
		"decoder":      map[string]any{"type": "Fuse"},
		"added_tokens": []any{map[string]any{"id": 95, "content": "<e>", "special": true}},
	})
	write(t, w.base, "tokenizer_config.json", map[string]any{"eos_token": "<e>", "chat_template": template})
	for i, name := range []string{"first", "second"} {
		dir := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.Mkdir(dir, 0o755))
		base := w.open(t)
		base.ApplyLora(lora.Config{R: 3 + i, Alpha: 40, Init: lora.InitRandom, Targets: lora.ParseTargets("all-linear")})
		dev := device(t)
		tuned, err := base.Assemble(dev.Info())
		require.NoError(t, err)
		tuned.Plan(dev, nn.Shapes{})
		values := base.Values()
		values.Seed = uint64(i + 1)
		require.NoError(t, tuned.Load(dev, values))
		require.NoError(t, tuned.Adapters.Save(dev, dir))
		tuned.Close()
		w.adapters = append(w.adapters, Adapter{name, dir})
	}
	return w
}

func write(t testing.TB, dir, name string, value any) {
	t.Helper()
	data, err := json.Marshal(value)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
}

func (w *world) open(t testing.TB) *trainer.Base {
	t.Helper()
	base, err := trainer.OpenBase(w.base)
	require.NoError(t, err)
	t.Cleanup(func() { base.Close() })
	base.LoadIn4Bit()
	return base
}

func device(t testing.TB) *cpu.Device {
	t.Helper()
	dev, err := cpu.New(cpu.Options{Kernels: "gonum"})
	require.NoError(t, err)
	t.Cleanup(func() { dev.Close() })
	return dev
}

// alone generates greedily with the model of a name, loaded by itself, as qlora generate
// does. It ends at the base's end.
func (w *world) alone(t testing.TB, name, prompt string, most int, s nn.Sampling) string {
	t.Helper()
	base := w.open(t)
	for _, a := range w.adapters {
		if a.Name == name {
			require.NoError(t, base.UseAdapter(a.Dir))
		}
	}
	dev := device(t)
	m, err := newModel(base, name, "")
	require.NoError(t, err)
	ids := m.Tok.NewEncoder().EncodePrompt(prompt)
	tuned, err := base.Load(dev, nn.Shapes{Generate: len(ids) + most})
	require.NoError(t, err)
	defer tuned.Close()
	var out []int32
	_, err = tuned.Model.Generate(context.Background(), dev, ids, most, s, m.Ends, func(id int32) bool { out = append(out, id); return true })
	require.NoError(t, err)
	return m.Tok.Decode(out, true)
}

// slow is a device whose passes take a while. Each one first receives from hold.
type slow struct {
	*cpu.Device
	pass   time.Duration
	hold   <-chan struct{} // nil: none is held
	passes *atomic.Int64   // nil: not counted
}

func (d *slow) Read(dst []byte, t bindings.Tensor) error {
	if d.hold != nil {
		<-d.hold
	}
	if d.passes != nil {
		d.passes.Add(1)
	}
	time.Sleep(d.pass)
	return d.Device.Read(dst, t)
}

// A service is a server on loopback.
type service struct {
	t    testing.TB
	url  string
	key  string
	stop func() // ends the server, as a signal does
	done chan error
}

// A setup changes the limits of a service.
type setup struct {
	Options
	longest, cache int
	pass, grace    time.Duration
	hold           <-chan struct{}
	passes         *atomic.Int64
	host           string
}

func (w *world) serve(t testing.TB, change func(*setup)) *service {
	t.Helper()
	s := setup{Options: DefaultOptions(), longest: 600, cache: 4000, grace: time.Second, host: "127.0.0.1"}
	if change != nil {
		change(&s)
	}
	var dev bindings.Device = device(t)
	if s.pass > 0 {
		dev = &slow{dev.(*cpu.Device), s.pass, s.hold, s.passes}
	}
	loaded, err := Load(w.open(t), NameOf(w.base), w.adapters, dev, nn.Shapes{Generate: s.longest, Together: nn.Together{Sequences: 8, Rows: s.cache, Chunk: 64}}, nil)
	require.NoError(t, err)
	t.Cleanup(loaded.Close)
	decoder := loaded.Decoder()
	t.Cleanup(decoder.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := New(decoder, loaded.Models, loaded.Vocabulary(), s.host, true, s.Options)
	ctx, cancel := context.WithCancel(context.Background())
	v := &service{t: t, url: "http://" + l.Addr().String(), key: s.Key, stop: cancel, done: make(chan error, 1)}
	go func() { v.done <- server.Serve(ctx, l, s.grace) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-v.done:
			require.NoError(t, err)
		case <-time.After(time.Minute):
			t.Error("the server does not end")
		}
		v.done <- nil
	})
	return v
}

// post sends a request whose body is the JSON of body, or body itself if it is a text.
func (v *service) post(ctx context.Context, path string, body any) (*http.Response, error) {
	data, isText := body.(string)
	if !isText {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		data = string(raw)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url+path, strings.NewReader(data))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if v.key != "" {
		r.Header.Set("Authorization", "Bearer "+v.key)
	}
	return http.DefaultClient.Do(r)
}

// fields of JSON.
type object = map[string]any

// ask returns the status and the object of a response.
func (v *service) ask(path string, body any) (int, object) {
	v.t.Helper()
	response, err := v.post(context.Background(), path, body)
	require.NoError(v.t, err)
	return v.read(response)
}

func (v *service) read(response *http.Response) (int, object) {
	v.t.Helper()
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	var o object
	require.NoError(v.t, json.Unmarshal(data, &o), "%s", data)
	return response.StatusCode, o
}

// complete returns the text of a completion.
func (v *service) complete(model, prompt string, most int, more object) (string, error) {
	body := object{"model": model, "prompt": prompt, "max_tokens": most, "temperature": 0}
	maps.Copy(body, more)
	response, err := v.post(context.Background(), "/v1/completions", body)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var o struct {
		Choices []struct{ Text string }
	}
	if err := json.Unmarshal(data, &o); err != nil || len(o.Choices) != 1 {
		return "", fmt.Errorf("answer %s", data)
	}
	return o.Choices[0].Text, nil
}

// events returns the data of a stream's events.
func (v *service) events(path string, body any) []string {
	v.t.Helper()
	response, err := v.post(context.Background(), path, body)
	require.NoError(v.t, err)
	defer response.Body.Close()
	require.Equal(v.t, http.StatusOK, response.StatusCode)
	require.Equal(v.t, "text/event-stream", response.Header.Get("Content-Type"))
	data, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	return split(v.t, data)
}

func split(t testing.TB, data []byte) []string {
	t.Helper()
	var all []string
	for event := range bytes.SplitSeq(bytes.TrimSuffix(data, []byte("\n\n")), []byte("\n\n")) {
		text, ok := strings.CutPrefix(string(event), "data: ")
		require.True(t, ok, "event %q", event)
		all = append(all, text)
	}
	return all
}

// busy returns the numbers of running and waiting requests.
func (v *service) busy() (running, waiting int) {
	v.t.Helper()
	response, err := http.Get(v.url + "/health")
	require.NoError(v.t, err)
	_, o := v.read(response)
	return int(o["running"].(float64)), int(o["waiting"].(float64))
}

// await waits until the numbers of running and waiting requests are as wanted.
func (v *service) await(running, waiting int) {
	v.t.Helper()
	require.Eventually(v.t, func() bool {
		r, w := v.busy()
		return r == running && w == waiting
	}, time.Minute, 5*time.Millisecond, "%d running, %d waiting", running, waiting)
}
