package live

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// DefaultAddress is where the page is when it is asked for without an address.
const DefaultAddress = "127.0.0.1:8080"

// parseAddress completes what a person wrote: a port alone, or with nothing in
// front of its colon, is one of this machine that no other reaches.
func parseAddress(text string) (host, port string, err error) {
	if _, err := strconv.Atoi(text); err == nil {
		text = ":" + text
	}
	host, port, err = net.SplitHostPort(text)
	if err != nil {
		return "", "", fmt.Errorf("`live` is %q, but it can be :PORT, for this machine only, or HOST:PORT, for everyone who can reach HOST", text)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", "", fmt.Errorf("`live` is %q, but a port is a number from 0 (any that is free) to 65535", text)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	return host, port, nil
}

// A gate says which names of this machine a browser may have asked for. Another
// site's name that was made to resolve to this machine (DNS rebinding) is not
// among them; addresses cannot be forged like that.
type gate struct {
	loopback bool
	names    []string // lower case
}

// newGate lets in the host that was named and, where others reach the page, the
// machine's own name.
func newGate(host string, loopback bool) gate {
	g := gate{loopback: loopback, names: []string{"localhost", strings.ToLower(host)}}
	if name, err := os.Hostname(); err == nil && !loopback {
		name = strings.ToLower(name)
		short, _, _ := strings.Cut(name, ".")
		g.names = append(g.names, name, short, short+".local")
	}
	return g
}

// allows looks at a request's Host.
func (g gate) allows(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	return net.ParseIP(host) != nil || strings.HasSuffix(host, ".localhost") || slices.Contains(g.names, host)
}

// bounded is a listener that has at most so many connections open at a time; what
// comes beyond is closed at once.
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

// counted gives its place back when it is closed.
type counted struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
