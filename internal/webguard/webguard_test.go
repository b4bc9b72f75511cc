package webguard

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHosts checks that the machine's name is allowed only if other machines can reach
// the address.
func TestHosts(t *testing.T) {
	require.False(t, NewHosts("127.0.0.1", true).Allows("gpu1:80"))
	require.True(t, NewHosts("gpu1", false).Allows("GPU1:80"))
	require.True(t, NewHosts("0.0.0.0", false).Allows("192.168.1.7:80"))
	require.False(t, NewHosts("0.0.0.0", false).Allows("rebound.example"))
}

// TestConnectionsAreBounded checks that surplus connections are closed, and that slots
// are freed.
func TestConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := Bound(inner, 2)
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
	require.EqualValues(t, 1, b.(*bounded).open.Load())
	dial()
	<-accepted
}
