package rendezvous

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// A Server is a store that rank 0 keeps. It understands what [Store] asks.
type Server struct {
	listener net.Listener
	mu       sync.Mutex
	values   map[string][]byte
	changed  chan struct{} // closed and replaced at each new key
	bytes    int           // of keys and values
	conns    map[net.Conn]bool
	closed   bool
	idle     chan struct{} // not nil: closed when the last client leaves
	over     chan struct{}
	serving  sync.WaitGroup
}

// maxBytes bounds a store's memory.
const maxBytes = 1 << 30

// Serve starts a store on a listener, which it closes in the end.
func Serve(listener net.Listener) *Server {
	s := &Server{listener: listener, values: map[string][]byte{}, changed: make(chan struct{}), conns: map[net.Conn]bool{}, over: make(chan struct{})}
	s.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil || !s.add(conn) {
				return
			}
			s.serving.Go(func() {
				defer s.remove(conn)
				_ = s.serve(conn) // a client that says nonsense is left
			})
		}
	})
	return s
}

func (s *Server) add(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.conns) >= 2*maxKeys {
		_ = conn.Close()
		return !s.closed
	}
	s.conns[conn] = true
	return true
}

func (s *Server) remove(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	_ = conn.Close()
	if len(s.conns) == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// drain waits until all clients have left, for the grace at most.
func (s *Server) drain() {
	idle := make(chan struct{})
	s.mu.Lock()
	if len(s.conns) == 0 {
		close(idle)
	} else {
		s.idle = idle
	}
	s.mu.Unlock()
	select {
	case <-idle:
	case <-time.After(grace):
	}
}

// Close ends the store and its connections.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.over)
	}
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	s.serving.Wait()
	return err
}

// A client is one connection.
type client struct {
	server *Server
	r      *bufio.Reader
	next   chan error // not nil: gets the outcome of waiting for the next question
}

// serve answers one client until it leaves.
func (s *Server) serve(conn io.ReadWriter) error {
	c := &client{server: s, r: bufio.NewReader(conn)}
	var hello [5]byte
	if _, err := io.ReadFull(c.r, hello[:]); err != nil {
		return err
	}
	if hello[0] != askValidate || binary.LittleEndian.Uint32(hello[1:]) != magic {
		return errTooLong
	}
	for {
		if c.next != nil {
			if err := <-c.next; err != nil {
				return err
			}
			c.next = nil
		}
		question, err := c.r.ReadByte()
		if err != nil {
			return err
		}
		answer, err := c.answer(question)
		if err != nil {
			return err
		}
		if _, err := conn.Write(answer); err != nil {
			return err
		}
	}
}

func (c *client) answer(question byte) ([]byte, error) {
	s := c.server
	switch question {
	case askSet:
		key, err := readText(c.r, maxKey)
		if err != nil {
			return nil, err
		}
		value, err := readText(c.r, maxValue)
		if err != nil {
			return nil, err
		}
		return nil, s.set(string(key), value)
	case askGet:
		key, err := readText(c.r, maxKey)
		if err != nil {
			return nil, err
		}
		if err := c.wait([]string{string(key)}); err != nil {
			return nil, err
		}
		return appendText(nil, s.get(string(key))), nil
	case askCheck:
		keys, err := readKeys(c.r)
		if err != nil {
			return nil, err
		}
		if there, _ := s.has(keys); there {
			return []byte{0}, nil
		}
		return []byte{1}, nil
	case askWait:
		keys, err := readKeys(c.r)
		if err != nil {
			return nil, err
		}
		return []byte{0}, c.wait(keys)
	case askDelete:
		key, err := readText(c.r, maxKey)
		if err != nil {
			return nil, err
		}
		return binary.LittleEndian.AppendUint64(nil, s.forget(string(key))), nil
	}
	return nil, fmt.Errorf("question %d is not answered here", question)
}

// wait returns when all keys are there. It also returns, with an error, when the client
// or the server has gone.
func (c *client) wait(keys []string) error {
	var gone chan error
	for {
		there, changed := c.server.has(keys)
		if there {
			return nil
		}
		if c.next == nil {
			c.next = make(chan error, 1)
			gone = c.next
			go func() {
				_, err := c.r.Peek(1)
				c.next <- err
			}()
		}
		select {
		case <-changed:
		case <-c.server.over:
			return net.ErrClosed
		case err := <-gone:
			c.next <- err
			if err != nil {
				return err
			}
			gone = nil // the next question is there already
		}
	}
}

func (s *Server) get(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

func (s *Server) set(key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, there := s.values[key]
	s.bytes += len(value) - len(old)
	if !there {
		s.bytes += len(key)
	}
	if s.bytes > maxBytes {
		return fmt.Errorf("the store is full")
	}
	s.values[key] = value
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// has reports whether all keys are there; if not, changed is closed at the next new key.
func (s *Server) has(keys []string) (there bool, changed chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if _, there := s.values[key]; !there {
			return false, s.changed
		}
	}
	return true, nil
}

func (s *Server) forget(key string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, there := s.values[key]
	if !there {
		return 0
	}
	delete(s.values, key)
	s.bytes -= len(key) + len(value)
	return 1
}
