package live

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	// maxClients bounds the number of open pages; more are refused.
	maxClients = 64
	// maxQueued bounds the events queued for a client; beyond it the client is sent a
	// full snapshot.
	maxQueued = 256
	// patience bounds the time of one write to a client before it is disconnected.
	patience = 10 * time.Second
	// heartbeat is the interval of keep-alive messages, so that both sides notice a lost
	// connection.
	heartbeat = 15 * time.Second
)

// A client is an open page. Its queue is guarded by Page.mu.
type client struct {
	queue [][]byte
	whole bool          // send a full snapshot instead
	taken bool          // the queue is being written
	wake  chan struct{} // holds one element while events are queued
}

func (c *client) notify() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// update changes what the page shows and notifies every client: with an event of that
// name or, if name is "", with a full snapshot.
func (p *Page) update(name string, message any, change func(*run)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	points := len(p.run.Points.Step)
	change(&p.run)
	whole := name == "" || len(p.run.Points.Step) < points // thinned out: pages would keep removed points
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

// take returns and clears a client's queue.
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

// sent records that the events of take are on their way.
func (p *Page) sent(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.taken = false
}

// behind reports whether a client has unsent events.
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

// encode returns an event in its wire format.
func encode(name string, message any) []byte {
	data, err := json.Marshal(message)
	if err != nil { // NaN or infinity
		return fmt.Appendf(nil, ": %s: %v\n\n", name, err)
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data)
}

// join returns a new client, or nil if there are too many.
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

// events streams the run to one client until it disconnects or the page ends.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	c := p.join()
	if c == nil {
		http.Error(w, fmt.Sprintf("%d pages are open, the maximum; close one", maxClients), http.StatusServiceUnavailable)
		return
	}
	defer p.leave(c)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // for proxies that would buffer events
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
