// Package webguard protects a small web server: against the pages of other sites that
// reach it through a browser, and against more connections than it can hold.
package webguard

import (
	"net"
	"os"
	"slices"
	"strings"
)

// Hosts checks the Host of requests against this machine's names. It refuses another
// site's name that resolves to this machine (DNS rebinding); addresses cannot be forged
// like that.
type Hosts struct {
	loopback bool
	names    []string // lower case
}

// NewHosts allows the named host or address and, if that is not on the loopback interface,
// the machine's own name.
func NewHosts(host string, loopback bool) Hosts {
	h := Hosts{loopback: loopback, names: []string{"localhost", strings.ToLower(host)}}
	if name, err := os.Hostname(); err == nil && !loopback {
		name = strings.ToLower(name)
		short, _, _ := strings.Cut(name, ".")
		h.names = append(h.names, name, short, short+".local")
	}
	return h
}

// Loopback reports whether only this machine reaches the server.
func (h Hosts) Loopback() bool { return h.loopback }

// Allows reports whether a request's Host is allowed.
func (h Hosts) Allows(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	return net.ParseIP(host) != nil || strings.HasSuffix(host, ".localhost") || slices.Contains(h.names, host)
}
