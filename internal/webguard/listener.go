package webguard

import (
	"net"
	"sync"
	"sync/atomic"
)

// Bound returns l with at most that many open connections; it closes further ones at once.
func Bound(l net.Listener, most int64) net.Listener { return &bounded{Listener: l, most: most} }

type bounded struct {
	net.Listener
	most int64
	open atomic.Int64
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if b.open.Add(1) <= b.most {
			return &counted{Conn: c, open: &b.open}, nil
		}
		b.open.Add(-1)
		c.Close()
	}
}

// counted is a connection that frees its place when it is closed.
type counted struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
