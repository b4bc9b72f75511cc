package live

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	// maxClients is how many pages are open at a time; more are refused.
	maxClients = 64
	// maxQueued is how many events wait for a client before it gets the whole run
	// anew instead.
	maxQueued = 256
	// patience is how long one write to a client may take before it is let go.
	patience = 10 * time.Second
	// heartbeat is how often a client hears something, so that one that is gone
	// is noticed on both sides.
	heartbeat = 15 * time.Second
)

// A client is a page that is open. What waits for it is guarded by Page.mu.
type client struct {
	queue [][]byte
	whole bool          // the whole run is due instead
	taken bool          // what waited is being written
	wake  chan struct{} // has one element where something waits
}

func (c *client) notify() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// update changes what the page shows and tells every client: by an event of that
// name, or, where name is "", by the whole run.
func (p *Page) update(name string, message any, change func(*run)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	points := len(p.run.Points.Step)
	change(&p.run)
	whole := name == "" || len(p.run.Points.Step) < points // thinned out: pages would keep what is gone
	if len(p.clients) == 0 {
		return
	}
	var event []byte
	if !whole {
		event = encode(name, message)
	}
	for c := range p.clients {
		switch {
		case whole || len(c.queue) == maxQueued:
			c.queue, c.whole = nil, true
		case !c.whole:
			c.queue = append(c.queue, event)
		}
		c.notify()
	}
}

// take is what waits for a client.
func (p *Page) take(c *client) [][]byte {
	p.mu.Lock()
	queue, whole := c.queue, c.whole
	c.queue, c.whole, c.taken = nil, false, true
	var shown run
	if whole {
		shown = p.run.copy()
	}
	p.mu.Unlock()
	if whole {
		return [][]byte{encode("run", &shown)}
	}
	return queue
}

// sent says that what take gave is on its way.
func (p *Page) sent(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.taken = false
}

// behind says whether there is anything that a client was not sent yet.
func (p *Page) behind() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.clients {
		if len(c.queue) > 0 || c.whole || c.taken {
			return true
		}
	}
	return false
}

// encode is an event as it is sent.
func encode(name string, message any) []byte {
	data, err := json.Marshal(message)
	if err != nil { // a number that is none
		return fmt.Appendf(nil, ": %s: %v\n\n", name, err)
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data)
}

// join makes a client; nil where there are too many.
func (p *Page) join() *client {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.clients) == maxClients {
		return nil
	}
	c := &client{whole: true, wake: make(chan struct{}, 1)}
	c.notify()
	p.clients[c] = struct{}{}
	return c
}

func (p *Page) leave(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clients, c)
}

// events streams the run to one client until it goes or the page ends.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	c := p.join()
	if c == nil {
		http.Error(w, fmt.Sprintf("%d pages are open, which is the most that there can be; close one", maxClients), http.StatusServiceUnavailable)
		return
	}
	defer p.leave(c)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // for proxies that would collect events
	control := http.NewResponseController(w)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var events [][]byte
		select {
		case <-c.wake:
			events = p.take(c)
		case <-beat.C:
			events = [][]byte{[]byte(": still here\n\n")}
		case <-r.Context().Done():
			return
		case <-p.ended:
			return
		}
		if control.SetWriteDeadline(time.Now().Add(patience)) != nil {
			return
		}
		for _, e := range events {
			if _, err := w.Write(e); err != nil {
				return
			}
		}
		if control.Flush() != nil {
			return
		}
		p.sent(c)
	}
}
