package verbs

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"qlora/bindings"
	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/hub"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/quantize"
	"qlora/option"
	"qlora/serve"
	"qlora/trainer"
)

// keyVariable is the environment variable of --api_key, which other users of the machine
// cannot read from the list of processes.
const keyVariable = "QLORA_API_KEY"

// grace is how long running answers may go on after a signal.
const grace = 10 * time.Second

// promptChunk is the number of tokens of a prompt in one pass, which running answers wait
// for.
const promptChunk = 128

// servedOptions are the options of the models of serve.
type servedOptions struct {
	Model    string   `option:"model" path:"true" alias:"model_name_or_path" help:"folder, or ORG/NAME on the Hugging Face Hub, with config.json, *.safetensors and a tokenizer"`
	Adapters []string `option:"adapter" many:"true" path:"true" help:"folders of PEFT adapters, or ORG/NAME on the Hub, as NAME=FOLDER or FOLDER: requests choose one as their model"`
	In4Bit   *bool    `option:"load_in_4bit" help:"quantize the base to 4 bits; default: as the adapters were trained; true without one"`
	Keep     *bool    `option:"keep_quantization" help:"hold the Q4_0, IQ4_NL, IQ4_XS and (CPU) Q8_0 weights of a GGUF file as they are; default: as the adapters were trained; false without one"`
	Placed   placedOptions
}

// serveOptions are the options of the server.
type serveOptions struct {
	Host    string `option:"host" help:"address or name to serve on; any but the loopback interface needs an API key"`
	Port    int    `option:"port" help:"port to serve on; 0: any free one"`
	Key     string `option:"api_key" help:"key that clients must send; better in the environment variable QLORA_API_KEY"`
	Longest int    `option:"max_length" unit:"tokens" help:"maximum length of a request with its answer; at most the model's positions"`
	Cache   int    `option:"cache_tokens" unit:"tokens" help:"tokens that all running requests have together: further ones wait; 0: 8 times --max_length"`
	Queue   int    `option:"queue" unit:"requests" help:"requests that may wait; further ones are refused"`
	Timeout int    `option:"request_timeout" unit:"seconds" help:"maximum time of a request, with its time in the queue"`
	MaxBody int    `option:"max_body" unit:"bytes" help:"maximum length of a request's body"`
}

// Ranges returns the intervals of the options.
func (*serveOptions) Ranges() option.Ranges {
	return option.Ranges{
		"port": option.From(0, 65535), "max_length": option.From(2, 1<<24), "cache_tokens": option.From(0, 1<<30), "queue": option.From(1, 1<<16),
		"request_timeout": option.From(1, 1<<20), "max_body": option.From(1<<10, 1<<30),
	}
}

// Serve returns the verb that serves a model.
func Serve() *cobra.Command {
	limits := serve.DefaultOptions()
	model, how, from, machine := servedOptions{}, quantize.DefaultOptions(), hubOptions{}, defaultMachine()
	own := serveOptions{
		Host: "127.0.0.1", Port: 8000, Longest: 4096, Queue: limits.Queue, Timeout: int(limits.Timeout.Seconds()), MaxBody: int(limits.MaxBody),
	}
	set := options.New()
	set.Add("Model", &model)
	set.Add("Hugging Face Hub", &from)
	set.Add("Server", &own)
	set.Add("4-bit base", &how)
	set.Add("Machine", &machine)
	return verb("serve", "answer OpenAI's API with a model and adapters on it, and serve a chat page", set, func(c *call) error {
		return own.run(c, &model, &from, how, machine)
	})
}

func (o *serveOptions) run(c *call, model *servedOptions, from *hubOptions, q quantize.Options, m machine) error {
	if o.Key == "" {
		o.Key = os.Getenv(keyVariable)
	}
	l, loopback, err := o.listen()
	if err != nil {
		return err
	}
	defer l.Close()
	adapters, err := model.named()
	if err != nil {
		return err
	}
	name := serve.NameOf(model.Model)
	if err := model.fetch(c, from, adapters); err != nil {
		return err
	}
	base, err := openModel(model.Model, false)
	if err != nil {
		return err
	}
	defer base.Close()
	base.EmbeddingOnHost = model.Placed.Embedding
	if err := model.quantize(c, base, adapters, &q); err != nil {
		return err
	}
	dev, err := c.device(m, computeOf(q, ""))
	if err != nil {
		return err
	}
	defer closeDevice(dev)
	c.noteCompute(q, dev.Info())
	c.noteOf(base, dev.Info())
	progress, done := c.progress("loading base model", true)
	loaded, err := serve.Load(base, name, adapters, dev, o.shapes(base), progress)
	done()
	if err != nil {
		return exit.AsWrong(err)
	}
	defer loaded.Close()
	for _, note := range loaded.Notes {
		c.note(note)
	}
	plan := loaded.Plan()
	c.note(fmt.Sprintf("memory: %s, of which %s are for the keys and values of requests", trainer.Bytes(plan.Total()), trainer.Bytes(plan[bindings.Activations])))
	collectLate()
	decoder := loaded.Decoder()
	defer decoder.Close()
	server := serve.New(decoder, loaded.Models, loaded.Vocabulary(), o.Host, loopback, serve.Options{
		Key: o.Key, Queue: o.Queue, MaxBody: int64(o.MaxBody), Timeout: time.Duration(o.Timeout) * time.Second,
	})
	c.noteServed(server, l, loopback)
	return server.Serve(c, l, grace)
}

// listen opens the address, before anything is loaded. Only this machine reaches a
// loopback one.
func (o *serveOptions) listen() (_ net.Listener, loopback bool, err error) {
	l, err := net.Listen("tcp", net.JoinHostPort(o.Host, strconv.Itoa(o.Port)))
	if err != nil {
		return nil, false, exit.Wrongf("--host %s --port %d cannot be served: %w; choose another, or --port 0 for any free one", o.Host, o.Port, err)
	}
	loopback = l.Addr().(*net.TCPAddr).IP.IsLoopback()
	if !loopback && o.Key == "" {
		l.Close()
		return nil, false, exit.Wrongf("--host %s is reached by other machines: set a key in the environment variable %s or by --api_key", o.Host, keyVariable)
	}
	return l, loopback, nil
}

// named returns the adapters with their names.
func (o *servedOptions) named() ([]serve.Adapter, error) {
	if err := required("model", o.Model); err != nil {
		return nil, err
	}
	seen := map[string]string{serve.NameOf(o.Model): o.Model}
	var all []serve.Adapter
	for _, text := range o.Adapters {
		name, dir, ok := strings.Cut(text, "=")
		if _, err := os.Stat(text); err == nil || !ok {
			name, dir = serve.NameOf(text), text
		}
		switch other, twice := seen[name]; {
		case name == "" || dir == "":
			return nil, exit.Wrongf("--adapter is %q, but it must be NAME=FOLDER or FOLDER", text)
		case twice:
			return nil, exit.Wrongf("--adapter: %s and %s are both called %s; give one another name, as NAME=FOLDER", other, dir, name)
		}
		seen[name] = dir
		all = append(all, serve.Adapter{Name: name, Dir: dir})
	}
	return all, nil
}

// fetch replaces the base and the adapters that are on the Hub by their folders.
func (o *servedOptions) fetch(c *call, from *hubOptions, adapters []serve.Adapter) (err error) {
	if o.Model, err = from.model(c, "model", o.Model, from.Revision, (*hub.Client).FetchModel); err != nil {
		return err
	}
	for i := range adapters {
		if adapters[i].Dir, err = from.model(c, "adapter", adapters[i].Dir, "", (*hub.Client).FetchModel); err != nil {
			return err
		}
	}
	return nil
}

// quantize sets how the base is stored: as given, or as all adapters were trained.
func (o *servedOptions) quantize(c *call, base *trainer.Base, adapters []serve.Adapter, q *quantize.Options) error {
	method := methodOptions{Method: methodQLoRA}
	given := *q
	for i, a := range adapters {
		if _, err := lora.ReadConfig(a.Dir); err != nil { // what is no adapter has no run.yaml either
			return exit.AsWrong(err)
		}
		own, trained := given, methodOptions{Method: methodQLoRA}
		if err := c.set.Inherit(filepath.Join(a.Dir, "run.yaml"), &own, &trained); err != nil {
			return exit.AsWrong(err)
		}
		if o.Keep != nil {
			trained.Keep = *o.Keep
		}
		switch {
		case i == 0:
			*q, method = own, trained
		case o.In4Bit == nil && (trained != method || own != *q):
			return exit.Wrongf("--adapter %s was trained on a base that is stored in another way than that of %s: say with --load_in_4bit, and --bnb_4bit_quant_type or --keep_quantization if it is 4 bits, how to store it", a.Dir, adapters[0].Dir)
		}
	}
	if o.In4Bit != nil {
		method.Method = map[bool]string{true: methodQLoRA, false: methodLoRA}[*o.In4Bit]
	}
	if o.Keep != nil {
		method.Keep = *o.Keep
	}
	quantized, err := q.Device()
	if err != nil {
		return exit.AsWrong(err)
	}
	if method.Method == methodQLoRA {
		quantized.Keep = method.Keep
		base.Quantize = quantized
	}
	return nil
}

// shapes returns what is generated together.
func (o *serveOptions) shapes(base *trainer.Base) nn.Shapes {
	longest := o.Longest
	if most := base.Config.MaxPositions; most > 0 {
		longest = min(longest, most)
	}
	const requests = 8
	return nn.Shapes{Generate: longest, Together: nn.Together{Sequences: requests, Rows: o.Cache, Chunk: promptChunk}}
}

// noteServed says where and what is served.
func (c *call) noteServed(s *serve.Server, l net.Listener, loopback bool) {
	var names []string
	for _, m := range s.Models {
		names = append(names, m.Name)
	}
	at := l.Addr().(*net.TCPAddr)
	host, who := at.IP.String(), "for this machine only"
	if !loopback {
		who = "for everyone who has the key"
		if name, err := os.Hostname(); err == nil && at.IP.IsUnspecified() {
			host = name
		}
	}
	url := "http://" + net.JoinHostPort(host, strconv.Itoa(at.Port))
	c.note(fmt.Sprintf("models: %s", strings.Join(names, ", ")))
	c.note(fmt.Sprintf("serving %s/v1 and a chat page at %s/, %s; Ctrl-C ends it", url, url, who))
}
