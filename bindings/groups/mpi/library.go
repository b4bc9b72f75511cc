package mpi

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// LibraryVariable names the variable of the environment with the path of the library.
const LibraryVariable = "QLORA_MPI_LIBRARY"

// The names of MPI libraries. Open MPI's has its own ABI; the others have MPICH's or, as
// libmpi_abi, the standard's. libmpich.so.12 is Debian's name of MPICH's.
var (
	openMPINames  = []string{"libmpi.so.40"}
	standardNames = []string{"libmpi_abi.so.1", "libmpi_abi.so.0"}
	mpichNames    = []string{"libmpi.so.12", "libmpich.so.12"}
)

// candidates returns the paths to try in order. A launcher starts the ranks of its own
// library only, so the launcher's installation comes first, and its family.
func candidates(openMPI bool, folders []string) []string {
	if choice := os.Getenv(LibraryVariable); choice != "" {
		return []string{choice}
	}
	names := slices.Concat(standardNames, mpichNames, openMPINames)
	if openMPI {
		names = slices.Concat(openMPINames, standardNames, mpichNames)
	}
	var paths []string
	for _, dir := range folders {
		for _, name := range names {
			if path := filepath.Join(dir, name); !slices.Contains(paths, path) && exists(path) {
				paths = append(paths, path)
			}
		}
	}
	return append(paths, names...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// launchers are the programs that start ranks, on the host of mpirun and on others.
var launchers = []string{"mpirun", "orterun", "prterun", "orted", "prted", "hydra_pmi_proxy", "mpiexec.hydra"}

// folders returns the library folders of the launcher that started this process, and of
// the mpirun on the PATH.
func folders() []string {
	var programs []string
	if parent, err := os.Readlink("/proc/" + strconv.Itoa(os.Getppid()) + "/exe"); err == nil && slices.Contains(launchers, filepath.Base(parent)) {
		programs = append(programs, parent)
	}
	if mpirun, err := exec.LookPath("mpirun"); err == nil {
		if real, err := filepath.EvalSymlinks(mpirun); err == nil {
			programs = append(programs, real)
		}
	}
	var dirs []string
	for _, program := range programs {
		prefix := filepath.Dir(filepath.Dir(program))
		dirs = append(dirs, filepath.Join(prefix, "lib"), filepath.Join(prefix, "lib64"))
	}
	if root := os.Getenv("I_MPI_ROOT"); root != "" {
		dirs = append(dirs, filepath.Join(root, "lib"), filepath.Join(root, "lib", "release"))
	}
	return dirs
}

// ErrNoLibrary is wrapped where no MPI library was found.
var ErrNoLibrary = errors.New("no MPI library")

// A Description describes the library of MPI and how it was found.
type Description struct {
	Path   string   // where it was found; "" if not found
	ABI    string   // "Open MPI", "MPICH" or "MPI 5.0 standard"
	Looked []string // the paths tried, in order, with the outcome of each
}

// Describe looks for a library without starting MPI.
func Describe(openMPI bool) Description {
	_, d, _ := find(openMPI)
	return d
}

// find opens the first library that works.
func find(openMPI bool) (*library, Description, error) {
	var d Description
	for _, path := range candidates(openMPI, folders()) {
		lib, err := load(path)
		if err == nil {
			d.Path, d.ABI = path, lib.abi()
			d.Looked = append(d.Looked, path+": in use")
			return lib, d, nil
		}
		d.Looked = append(d.Looked, path+": "+err.Error())
	}
	return nil, d, ErrNoLibrary
}
