package trainer

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.00 KiB", 3 << 29: "1.50 GiB", 1 << 50: "1024.00 TiB"} {
		require.Equal(t, want, Bytes(n))
	}
}
