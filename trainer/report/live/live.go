// Package live serves a page that shows a run in progress: its losses, rewards, learning rate,
// gradient norm, speed, memory, samples and events.
//
// The page is embedded in the program and loads nothing from other sites. Its data comes
// as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html): first a full
// snapshot of the run, then updates. A page that is opened late, reloaded, or opened
// after the run was resumed therefore shows the whole run.
//
// Clients cannot affect the run: the server is read-only, and each client has a short
// queue; a client that falls behind is sent a full snapshot.
package live

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"qlora/bindings"
	"qlora/internal/webguard"
	"qlora/trainer"
	"qlora/trainer/report"
)

// A Page shows a run. It is one of the run's outputs, and serves from [Listen] until
// [Page.Close].
type Page struct {
	trainer.NoOutput
	url    string
	server *http.Server
	hosts  webguard.Hosts

	mu      sync.Mutex
	run     run
	clients map[*client]struct{}
	ended   chan struct{} // closed by Close
}

// Listen serves a page at an address: :PORT for this machine alone, or HOST:PORT. An
// error is about the address.
func Listen(address string) (*Page, error) {
	host, port, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("`live` %s cannot be served: %w; name another address, or `live` :0 for any free port", address, err)
	}
	at := listener.Addr().(*net.TCPAddr)
	p := &Page{
		hosts: webguard.NewHosts(host, at.IP.IsLoopback()), clients: map[*client]struct{}{}, ended: make(chan struct{}),
		run: run{Status: preparing, Log: []entry{}, Samples: []trainer.Sample{}},
	}
	name := at.IP.String()
	if at.IP.IsUnspecified() {
		if name, err = os.Hostname(); err != nil {
			name = "localhost"
		}
	}
	p.url = "http://" + net.JoinHostPort(name, fmt.Sprint(at.Port)) + "/"
	p.server = newServer(p.handler())
	go func() { _ = p.server.Serve(webguard.Bound(listener, maxConnections)) }() // Close ends it
	return p, nil
}

// URL returns the address of the page.
func (p *Page) URL() string { return p.url }

// Loopback reports whether only this machine reaches the page.
func (p *Page) Loopback() bool { return p.hosts.Loopback() }

// farewell is how long Close waits for clients to receive the end.
const farewell = 500 * time.Millisecond

// Close ends the page. Clients keep their content.
func (p *Page) Close() error {
	for deadline := time.Now().Add(farewell); p.behind() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	close(p.ended)
	return p.server.Close()
}

// Start shows the run, including everything logged before it was resumed.
func (p *Page) Start(b *trainer.Begin) error {
	rows, err := report.Rows(b)
	if err != nil {
		return err
	}
	samples, err := report.Samples(b)
	if err != nil {
		return err
	}
	p.update("", nil, func(r *run) { r.begin(b, rows, samples) })
	return nil
}

// Step adds a point to the curves.
func (p *Page) Step(s trainer.StepDone) {
	p.update("step", &stepMessage{
		Step: s.Step, Epoch: s.Epoch, Left: s.Left.Seconds(),
		Loss: float32(s.Loss), Norm: float32(s.GradNorm), Rate: float32(s.LearningRate), Speed: float32(s.TokensPerSecond),
	}, func(r *run) { r.step(s) })
}

// Work shows progress between steps.
func (p *Page) Work(w trainer.Work) {
	m := work(w)
	p.update("work", &m, func(r *run) { r.Work = &m })
}

// Log shows evaluations, rewards and the device's measurements. Other training rows are means of
// steps that are already shown.
func (p *Page) Log(row trainer.Row) error {
	if row.Telemetry != nil {
		m := reading{row.Step, row.Telemetry}
		p.update("reading", &m, func(r *run) { r.read(m) })
	}
	if m, any := rewardsOf(row); any {
		p.update("rewards", &m, func(r *run) { r.rewarded(row) })
	}
	if row.EvalLoss == nil {
		return nil
	}
	e := evaluation{Step: row.Step, Loss: float32(*row.EvalLoss)}
	p.update("evaluation", &e, func(r *run) { r.evaluated(e) })
	p.note("step %d: evaluated in %.1f s, loss %.4f", row.Step, float64(*row.EvalRuntime), float64(*row.EvalLoss))
	return nil
}

// Sampled shows samples.
func (p *Page) Sampled(samples []trainer.Sample) error {
	p.update("samples", samples, func(r *run) { r.sampled(samples) })
	return nil
}

// Saved shows that a checkpoint was saved.
func (p *Page) Saved(dir string, step int) error {
	p.note("step %d: saved %s", step, filepath.Base(dir))
	return nil
}

// Stop shows how the run ended.
func (p *Page) Stop(s *trainer.State, err error) error {
	e := end{Status: finished}
	switch {
	case errors.Is(err, trainer.ErrInterrupted):
		e = end{Status: interrupted, Text: fmt.Sprintf("stopped after step %d; --resume_from_checkpoint goes on", s.GlobalStep)}
	case err != nil:
		e = end{Status: failed, Text: err.Error()}
	default:
		for _, row := range s.LogHistory {
			if row.TrainLoss != nil {
				e.Text = fmt.Sprintf("mean loss %.4f", float64(*row.TrainLoss))
			}
		}
		if s.GlobalStep < s.MaxSteps {
			e.Text = fmt.Sprintf("stopped early after step %d, %s", s.GlobalStep, e.Text)
		}
	}
	e.At = time.Now().Unix()
	p.note("%s", e.text())
	p.update("end", &e, func(r *run) { r.Status, r.Text, r.Ended, r.Work = e.Status, e.Text, e.At, nil })
	return nil
}

func (p *Page) note(format string, args ...any) {
	e := entry{At: time.Now().Unix(), Text: fmt.Sprintf(format, args...)}
	p.update("log", &e, func(r *run) { r.noted(e) })
}

// memory returns the plan in the order of bindings.Categories, without zeros.
func memory(plan bindings.MemoryPlan) []share {
	var all []share
	for _, c := range bindings.Categories {
		if plan[c] > 0 {
			all = append(all, share{string(c), plan[c]})
		}
	}
	return all
}
