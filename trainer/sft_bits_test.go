package trainer

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
)

// sftBits are the SHA-256 of what short runs of sft train, which is what they trained before there
// were other objectives: only the tiny model's weights have changed since.
var sftBits = map[string]string{
	"adapter_model.safetensors": "07998699c738f4bdef7d0c4b0582704070fa02bbe75bb15298f0c79880eed7bf",
	"model.safetensors":         "f821db5e02962786d939c7a87b11e509bf92d8e169e33e9f67b478c2cf551769",
}

// TestObjectivesLeaveTheBitsOfSFT trains adapters on a 4-bit base and all weights with the
// kernels in Go, whose bits are the same on every amd64.
func TestObjectivesLeaveTheBitsOfSFT(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the bits are those of amd64, which does not fuse multiplications and additions")
	}
	for name, want := range sftBits {
		r := tinyRun(t)
		if name == "model.safetensors" {
			r.Base.Quantize, r.Base.Lora = nil, nil
		}
		var err error
		r.Device, err = cpu.New(cpu.Options{Threads: 1, Kernels: "gonum"})
		require.NoError(t, err)
		require.NoError(t, train(t, t.Context(), r))
		tensors, err := os.ReadFile(filepath.Join(r.Args.OutputDir, name))
		require.NoError(t, err)
		sum := sha256.Sum256(tensors)
		assert.Equal(t, want, hex.EncodeToString(sum[:]), "hash of %s", name)
	}
}
