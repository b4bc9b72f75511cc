// Package live serves a page that shows a run while it goes on: its losses,
// learning rate, gradient norm, speed, memory, samples and what happened.
//
// The page is part of the program and asks nobody else for anything. What it
// shows comes as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html): first all that
// is known of the run, then what is new. A page that was opened late, or again, or
// after the run was resumed, therefore shows the whole run.
//
// Nothing that a client does reaches the run. There is nothing to write to; each
// client has a short queue of its own, and one that does not keep up gets
// everything anew instead of what it missed.
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
	"qlora/trainer"
	"qlora/trainer/report"
)

// A Page is what a run is seen on. It is one of the run's outputs, and serves from
// [Listen] until [Page.Close].
type Page struct {
	trainer.NoOutput
	url    string
	server *http.Server
	gate   gate

	mu      sync.Mutex
	run     run
	clients map[*client]struct{}
	ended   chan struct{} // closed by Close
}

// Listen serves a page at an address: :PORT of this machine alone, or HOST:PORT.
// That it cannot is an error about the address.
func Listen(address string) (*Page, error) {
	host, port, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("`live` %s cannot be served: %w; name another address, or `live` :0 for any port that is free", address, err)
	}
	at := listener.Addr().(*net.TCPAddr)
	p := &Page{
		gate: newGate(host, at.IP.IsLoopback()), clients: map[*client]struct{}{}, ended: make(chan struct{}),
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
	go func() { _ = p.server.Serve(&bounded{Listener: listener, most: maxConnections}) }() // ends by Close
	return p, nil
}

// URL returns the address of the page.
func (p *Page) URL() string { return p.url }

// Loopback reports whether only this machine reaches the page.
func (p *Page) Loopback() bool { return p.gate.loopback }

// farewell is how long Close waits for clients to be told the end.
const farewell = 500 * time.Millisecond

// Close ends the page. Clients keep what they show.
func (p *Page) Close() error {
	for deadline := time.Now().Add(farewell); p.behind() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	close(p.ended)
	return p.server.Close()
}

// Start shows the run with all that was logged before it was resumed.
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

// Work shows what takes time between steps.
func (p *Page) Work(w trainer.Work) {
	m := work(w)
	p.update("work", &m, func(r *run) { r.Work = &m })
}

// Log shows evaluations, and what the device measured. The rows of training are
// otherwise means of the steps that are shown already.
func (p *Page) Log(row trainer.Row) error {
	if row.Telemetry != nil {
		m := reading{row.Step, row.Telemetry}
		p.update("reading", &m, func(r *run) { r.read(m) })
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

// Saved shows that there is a checkpoint.
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

// memory is the plan in the order of bindings.Categories, without what is zero.
func memory(plan bindings.MemoryPlan) []share {
	var all []share
	for _, c := range bindings.Categories {
		if plan[c] > 0 {
			all = append(all, share{string(c), plan[c]})
		}
	}
	return all
}
