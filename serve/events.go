package serve

import (
	"net/http"
	"time"
)

// patience bounds the time of one write to a client before it is disconnected.
const patience = 10 * time.Second

// inTime bounds the time of the next write, and replaces the bound of an earlier one.
func inTime(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience)) // a writer without deadlines is a test's
}

// A stream writes an answer as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

// send writes an event of data.
func (s *stream) send(data []byte) error {
	if !s.begun {
		s.begun = true
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no") // for proxies that would buffer events
	}
	inTime(s.w)
	event := append(append([]byte("data: "), data...), "\n\n"...)
	if _, err := s.w.Write(event); err != nil {
		return err
	}
	return s.control.Flush()
}

// events answers as a stream.
func (x *exchange) events(w http.ResponseWriter) {
	s := &stream{w: w, control: http.NewResponseController(w)}
	part := x.head
	if x.chat != nil {
		part.Object = "chat.completion.chunk"
	}
	if x.usage {
		part.Usage = (*usage)(nil)
	}
	send := func(c choice) error {
		part.Choices = []choice{c}
		return s.send(encode(part))
	}
	begin := func() error {
		if x.chat == nil || s.begun {
			return nil
		}
		return send(choice{Delta: &delta{Role: "assistant", Content: new(string)}})
	}
	end, err := x.pieces(func(p piece) error {
		if err := begin(); err != nil {
			return err
		}
		if p.text == "" && len(p.tokens) == 0 {
			return nil
		}
		c := choice{Logprobs: x.scores(p.tokens)}
		if x.chat != nil {
			c.Delta = &delta{Content: &p.text}
		} else {
			c.Text = &p.text
		}
		return send(c)
	})
	if err != nil {
		p := problemOf(err)
		if !s.begun {
			p.answer(w)
			return
		}
		_ = s.send(p.body()) // the client may be gone
		return
	}
	last := choice{End: &end}
	if x.chat != nil {
		last.Delta = &delta{}
	} else {
		last.Text = new(string)
	}
	if send(last) != nil {
		return
	}
	if x.usage {
		part.Choices, part.Usage = []choice{}, x.counted()
		if s.send(encode(part)) != nil {
			return
		}
	}
	_ = s.send([]byte("[DONE]"))
}
