package verbs

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"qlora/bindings/cpu"
	"qlora/bindings/groups/mpi"
	"qlora/bindings/groups/nccl"
	"qlora/internal/launch"
	"qlora/trainer"
)

// describeLaunch prints what a launcher promises to this process, which libraries can
// connect ranks, and whether this process may use all cores.
func describeLaunch(w io.Writer, getenv func(string) string) {
	l, err := launch.Read(getenv)
	switch {
	case err != nil:
		fmt.Fprintf(w, "launcher\tcannot be used: %v\n", err)
	case l.By == "":
		fmt.Fprintf(w, "launcher\tnone: this process is alone\n")
	default:
		fmt.Fprintf(w, "launcher\t%s: rank %d of %d, which --distributed %s connects\n", l.By, l.Rank, l.Size, l.Engine)
	}
	if usable, all := cpu.DefaultThreads(), online(); usable < all {
		fmt.Fprintf(w, "\tthis process may use %d of the machine's %d cores\n", usable, all)
	}
	found := mpi.Describe(l.OpenMPI)
	if found.Path == "" {
		fmt.Fprintf(w, "MPI\tnot found; %s names a library\n", mpi.LibraryVariable)
	} else {
		fmt.Fprintf(w, "MPI\t%s (its ABI: %s)\n", found.Path, found.ABI)
	}
	describeLooked(w, found.Path, found.Looked)
	gpus := nccl.Describe()
	if gpus.Path == "" {
		fmt.Fprintf(w, "NCCL\tnot found; %s names a library\n", nccl.LibraryVariable)
	} else {
		fmt.Fprintf(w, "NCCL\t%s, in %s\n", gpus.Version, gpus.Path)
	}
	describeLooked(w, gpus.Path, gpus.Looked)
}

// describeLooked prints where a library that was not found was searched for.
func describeLooked(w io.Writer, path string, looked []string) {
	if path != "" {
		return
	}
	for _, place := range looked {
		fmt.Fprintf(w, "\tsearched for: %s\n", place)
	}
}

// leftovers are the files that MPIs and NCCL make in /dev/shm and leave there when they are
// killed.
var leftovers = []string{"mpich_*", "ucx_shm_posix_*", "vader_segment.*", "sm_segment.*", "openmpi-sessions-*", "psm2_shm.*", "nccl-*", "cma_*", "Intel_MPI_*", "ompi.*"}

// describeShared prints what of a folder of shared memory is in use: a container's is 64 MB
// unless it is told otherwise, and killed ranks leave files in it.
func describeShared(w io.Writer, dir string) {
	var disk unix.Statfs_t
	if unix.Statfs(dir, &disk) != nil {
		return
	}
	size, free := int64(disk.Blocks)*disk.Bsize, int64(disk.Bavail)*disk.Bsize
	fmt.Fprintf(w, "shared memory\t%s: %v of %v free\n", dir, trainer.Bytes(free), trainer.Bytes(size))
	if size <= 64<<20 {
		fmt.Fprintf(w, "\ttoo small for the ranks of a host: start the container with --shm-size=8g or --ipc=host\n")
	}
	count, bytes := 0, int64(0)
	for _, pattern := range leftovers {
		files, _ := filepath.Glob(filepath.Join(dir, pattern)) // the patterns are well formed
		for _, path := range files {
			if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
				count++
				bytes += info.Size()
			}
		}
	}
	if count > 0 {
		fmt.Fprintf(w, "\t%d files of MPI and NCCL in it (%v): unless a run is going on, killed ranks have left them, and they can be removed\n", count, trainer.Bytes(bytes))
	}
}
