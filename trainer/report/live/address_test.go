package live

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		":8080": "127.0.0.1:8080", "8080": "127.0.0.1:8080", "localhost:0": "127.0.0.1:0", "0.0.0.0:80": "0.0.0.0:80", "[::1]:9": "[::1]:9", "gpu1:9": "gpu1:9",
		"": "", "gpu1": "", "gpu1:http": "", ":70000": "", ":-1": "", "1:2:3": "", "-5": "",
	} {
		host, port, err := parseAddress(text)
		if want == "" {
			require.ErrorContains(t, err, "`live` is", text)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, net.JoinHostPort(host, port))
	}
}

func TestPortThatIsTaken(t *testing.T) {
	p := listen(t)
	_, port, err := net.SplitHostPort(p.URL()[len("http://") : len(p.URL())-1])
	require.NoError(t, err)
	_, err = Listen(":" + port)
	require.ErrorContains(t, err, "`live` :"+port+" cannot be served")
	require.ErrorContains(t, err, "in use")
}

// TestGate checks that the machine's name is allowed only if other machines can reach
// the address.
func TestGate(t *testing.T) {
	require.False(t, newGate("127.0.0.1", true).allows("gpu1:80"))
	require.True(t, newGate("gpu1", false).allows("GPU1:80"))
	require.True(t, newGate("0.0.0.0", false).allows("192.168.1.7:80"))
	require.False(t, newGate("0.0.0.0", false).allows("rebound.example"))
}

// TestConnectionsAreBounded checks that surplus connections are closed, and that slots
// are freed.
func TestConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &bounded{Listener: inner, most: 2}
	defer b.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := b.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", inner.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	first := <-accepted
	dial()
	<-accepted
	third := dial()
	_, err = third.Read(make([]byte, 1))
	require.Error(t, err, "the third is closed")
	require.NoError(t, first.Close())
	require.Error(t, first.Close())
	require.EqualValues(t, 1, b.open.Load())
	dial()
	<-accepted
}
