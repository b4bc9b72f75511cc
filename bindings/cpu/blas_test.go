package cpu

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGonumNamesTheWayToOpenBLAS(t *testing.T) {
	here, elsewhere := ".", t.TempDir()
	for _, c := range []struct {
		name, folder string
		library      Description
		want         string
	}{
		{"OpenBLAS", here, Description{Name: "OpenBLAS", Path: "libopenblas.so.0"}, ""},
		{"gonum in the repository", here, Description{Name: "gonum"}, "; OpenBLAS is several times as fast: `make openblas` gets it, or set QLORA_BLAS to its path"},
		{"gonum elsewhere", elsewhere, Description{Name: "gonum"}, "; OpenBLAS is several times as fast: `apt install libopenblas0` gets it, or set QLORA_BLAS to its path"},
		{"gonum by name", here, Description{Name: "gonum", chosen: true}, "; OpenBLAS is several times as fast: do not set QLORA_BLAS to gonum"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(c.folder)
			assert.Equal(t, c.want, c.library.Faster())
		})
	}
}
