package live

import (
	"fmt"
	"net"
	"strconv"
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
