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
