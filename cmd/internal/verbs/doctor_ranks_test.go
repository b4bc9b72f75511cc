package verbs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDoctorOnLaunchers(t *testing.T) {
	t.Setenv("QLORA_MPI_LIBRARY", "/nowhere/libmpi.so.40")
	t.Setenv("QLORA_NCCL_LIBRARY", "/nowhere/libnccl.so.2")
	for _, c := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"alone", nil, "launcher\tnone: this process is alone\n"},
		{"mpirun", map[string]string{"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1"}, "launcher\tmpirun of MPICH: rank 1 of 2, which --distributed mpi connects\n"},
		{"half", map[string]string{"OMPI_COMM_WORLD_SIZE": "2"}, "launcher\tcannot be used: mpirun of Open MPI has not set OMPI_COMM_WORLD_RANK"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b strings.Builder
			describeLaunch(&b, func(name string) string { return c.env[name] })
			for _, want := range []string{c.want, "MPI\tnot found; QLORA_MPI_LIBRARY names a library\n\tsearched for: /nowhere/libmpi.so.40", "NCCL\tnot found; QLORA_NCCL_LIBRARY names a library\n\tsearched for: /nowhere/libnccl.so.2"} {
				assert.Contains(t, b.String(), want)
			}
		})
	}
}

func TestDoctorOnSharedMemory(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"mpich_shm_1": 1 << 20, "nccl-abc": 1 << 20, "sem.other": 1 << 20} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600))
	}
	var b strings.Builder
	describeShared(&b, dir)
	assert.Contains(t, b.String(), "2 files of MPI and NCCL in it (2.00 MiB)")
	b.Reset()
	describeShared(&b, filepath.Join(dir, "absent"))
	assert.Empty(t, b.String())
}
