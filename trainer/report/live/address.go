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

// DefaultAddress is the page's address if none is given.
const DefaultAddress = "127.0.0.1:8080"

// parseAddress completes an address: a port alone, or one without a host before its
// colon, is on the loopback interface.
func parseAddress(text string) (host, port string, err error) {
	if _, err := strconv.Atoi(text); err == nil {
		text = ":" + text
	}
	host, port, err = net.SplitHostPort(text)
	if err != nil {
		return "", "", fmt.Errorf("`live` is %q, but it can be :PORT, for this machine only, or HOST:PORT, for everyone who can reach HOST", text)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", "", fmt.Errorf("`live` is %q, but a port must be a number from 0 (any free port) to 65535", text)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	return host, port, nil
}

// A gate checks the Host of requests against this machine's names. It refuses another
// site's name that resolves to this machine (DNS rebinding); addresses cannot be forged
// like that.
type gate struct {
	loopback bool
	names    []string // lower case
}

// newGate allows the named host and, if the page is not on loopback, the machine's own
// name.
func newGate(host string, loopback bool) gate {
	g := gate{loopback: loopback, names: []string{"localhost", strings.ToLower(host)}}
	if name, err := os.Hostname(); err == nil && !loopback {
		name = strings.ToLower(name)
		short, _, _ := strings.Cut(name, ".")
		g.names = append(g.names, name, short, short+".local")
	}
	return g
}

// allows reports whether a request's Host is allowed.
func (g gate) allows(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	return net.ParseIP(host) != nil || strings.HasSuffix(host, ".localhost") || slices.Contains(g.names, host)
}

// bounded is a listener with a maximum number of open connections; it closes further
// ones at once.
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

// counted is a connection that frees its slot when it is closed.
type counted struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
