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

// sftBits are the SHA-256 of what short runs of sft trained before there were other objectives.
var sftBits = map[string]string{
	"adapter_model.safetensors": "ae39aa6c8b09543653a15ab067ab0f71bd2fab1585db1d1da0b8a2a6d69cc1d6",
	"model.safetensors":         "115c8dc6848366795f1638f42f3eea6ec935801e8efce68cb62ccda1a75234d1",
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
