package checkpoint

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/internal/safetensors"
)

func bytesOf(name string, data ...byte) Entry {
	return Entry{Name: name, DType: U8, Shape: []int{len(data)}, Write: func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
}

// TestFourBitWeightIsOneTensor checks that the parts of a 4-bit weight are not tensors by
// themselves, and that tensors with similar names are.
func TestFourBitWeightIsOneTensor(t *testing.T) {
	dir := t.TempDir()
	entries := []Entry{bytesOf("alone.absmax", 1), bytesOf("z.quant_state.bitsandbytes__nf4", '{', '}')}
	for _, part := range good(t, true) {
		entries = append(entries, Entry{Name: part.Name, DType: DType(part.DType), Shape: part.Shape, Write: func(w io.Writer) error {
			_, err := w.Write(part.Data)
			return err
		}})
	}
	require.NoError(t, Save(dir, []byte("{}"), entries))
	c := open(t, dir)
	require.Equal(t, []string{"alone.absmax", "w", "z"}, c.Names())
	require.Equal(t, [][]string{{"alone.absmax", "w", "z"}}, c.Shards())
	w, err := c.Tensor("w")
	require.NoError(t, err)
	require.Equal(t, []int{2, 80}, w.Shape)
	require.NotNil(t, w.FourBit())
	require.Greater(t, w.Bytes(), w.FourBit().Bytes(), "the map and the state are counted")
	_, err = c.Tensor("w.absmax")
	require.ErrorIs(t, err, ErrNoTensor)
	_, err = c.Tensor("nothing")
	require.ErrorIs(t, err, ErrNoTensor)
	_, err = c.Tensor("z")
	require.ErrorContains(t, err, "quant_state")
	require.NotErrorIs(t, err, ErrNoTensor)
	c.Release("w")
	c.Release("nothing")
}

func TestOpenRefuses(t *testing.T) {
	empty, noWeights, large := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(noWeights, configFile), []byte("{}"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(large, configFile), make([]byte, maxConfigBytes+1), 0o644))
	for dir, want := range map[string]string{
		empty:     "that folder is empty",
		noWeights: "it has config.json and no weights",
		large:     "too large for a config.json",
	} {
		require.False(t, HasWeights(dir))
		c, err := Open(dir)
		require.ErrorContains(t, err, want)
		require.Nil(t, c)
	}
}

func TestTransposed(t *testing.T) {
	const rows, cols = 67, 130
	data := make([]byte, 2*rows*cols)
	for i := range data {
		data[i] = byte(i * 7)
	}
	x := NewDense("x", BF16, []int{rows, cols}, data)
	y := x.Transposed()
	require.Equal(t, []int{cols, rows}, y.Shape)
	for i := range rows {
		for j := range cols {
			require.Equal(t, data[2*(i*cols+j):][:2], y.Data()[2*(j*rows+i):][:2])
		}
	}
	require.Equal(t, x, y.Transposed())
}

// TestFingerprint checks that the fingerprint is that of the stored tensors, which training
// checkpoints record.
func TestFingerprint(t *testing.T) {
	for _, name := range goldenFolders {
		dir := filepath.Join("testdata", name)
		raw, err := safetensors.OpenFolder(dir)
		require.NoError(t, err)
		defer raw.Close()
		var want, got bytes.Buffer
		for _, name := range raw.Names() {
			x, _ := raw.Tensor(name)
			n := len(x.Data)
			fmt.Fprintf(&want, "%q %s %v\n", name, x.DType, x.Shape)
			if n > 192 {
				want.Write(x.Data[:64])
				want.Write(x.Data[n/2 : n/2+64])
				want.Write(x.Data[n-64:])
				continue
			}
			want.Write(x.Data)
		}
		require.NoError(t, Fingerprint(&got, openGolden(t, name)))
		require.Equal(t, want.Bytes(), got.Bytes())
	}
}
