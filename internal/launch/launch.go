// Package launch reads from the environment which launcher started this process, as which
// of how many ranks, and which engines can connect these ranks. It only reads: a launcher
// promises, and Launch.Verify compares the promise with what the engine then sees.
package launch

import (
	"fmt"
	"strconv"
)

// An Engine connects ranks.
type Engine string

// The values of --distributed. Auto is the engine that the launcher can start.
const (
	Auto Engine = "auto"
	MPI  Engine = "mpi"
	NCCL Engine = "nccl"
	None Engine = "none"
)

// A Launch is what a launcher promised to this process. The zero value is a process that
// nobody launched.
type Launch struct {
	By        string // the launcher, for messages: "srun --mpi=pmi2"
	Rank      int
	Size      int // promised number of ranks; 0: unknown
	LocalRank int // place among the ranks of this host; -1: the launcher does not say
	LocalSize int // ranks on this host; 0: the launcher does not say
	Engine    Engine
	OpenMPI   bool   // the launcher is Open MPI's, so its library is tried first
	Remedy    string // the remedy where an engine sees one rank instead of Size
	Store     Store
	Restarts  int // how often the launcher has restarted the ranks
}

// A Store is where the ranks of a launcher without MPI find each other.
type Store struct {
	Address string // host:port; "": none
	Key     string // prefix of this start's keys; differs between restarts
	Held    bool   // the launcher listens there itself, so rank 0 must not
}

// Read returns the launch that the environment describes.
func Read(getenv func(string) string) (Launch, error) {
	for _, l := range launchers {
		if !l.present(getenv) {
			continue
		}
		found, err := l.read(getenv)
		if err != nil {
			return Launch{}, err
		}
		if err := found.check(); err != nil {
			return Launch{}, err
		}
		return found, nil
	}
	return Launch{LocalRank: -1, Engine: None}, nil
}

// check refuses ranks that cannot be.
func (l Launch) check() error {
	switch {
	case l.Size < 0 || l.Size > maxRanks:
		return fmt.Errorf("%s promises %d ranks; at most %d can run together", l.By, l.Size, maxRanks)
	case l.Rank < 0 || l.Size > 0 && l.Rank >= l.Size:
		return fmt.Errorf("%s calls this process rank %d of %d; start it again with the launcher, or without its variables", l.By, l.Rank, l.Size)
	case l.LocalSize > 0 && l.LocalRank >= l.LocalSize:
		return fmt.Errorf("%s calls this process rank %d of %d on its host; start it again with the launcher, or without its variables", l.By, l.LocalRank, l.LocalSize)
	}
	return nil
}

// maxRanks bounds what a variable of the environment can make the program allocate.
const maxRanks = 1 << 16

// Choose returns the engine for a launch: the one that was asked for, if the launcher can
// start it.
func (l Launch) Choose(asked Engine) (Engine, error) {
	switch asked {
	case Auto, "":
		if l.Size == 1 {
			return None, nil
		}
		return l.Engine, nil
	case MPI:
		if l.Engine == NCCL {
			return "", fmt.Errorf("--distributed mpi: %s starts no MPI, so each of its %d processes would run alone; use mpirun or srun --mpi=pmi2, or --distributed nccl", l.By, l.Size)
		}
	case NCCL:
		if l.Engine == None {
			return "", fmt.Errorf("--distributed nccl: nothing says how many ranks there are; start the program with torchrun, srun or mpirun, or name the GPUs of one machine: --device cuda:0,1")
		}
	case None: // each process is a run of its own
	default:
		return "", fmt.Errorf("--distributed %s: it is auto, mpi, nccl or none", asked)
	}
	return asked, nil
}

// Verify compares the number of ranks that an engine sees with the launcher's promise.
// Mixed installations of MPI make as many worlds of one rank as there are processes, and
// each would train alone and write the same folder. The engine is named in the error.
func (l Launch) Verify(size int, engine string) error {
	if l.Size == 0 || size == l.Size {
		return nil
	}
	err := fmt.Errorf("%s started %d ranks, but %s sees %d", l.By, l.Size, engine, size)
	if size == 1 && l.Remedy != "" {
		err = fmt.Errorf("%w: %s", err, l.Remedy)
	}
	return err
}

// number reads a variable that must be a whole number.
func number(getenv func(string) string, name, by string) (int, error) {
	text := getenv(name)
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		if text == "" {
			return 0, fmt.Errorf("%s has not set %s; start the program again with the launcher, or unset its variables", by, name)
		}
		return 0, fmt.Errorf("%s has set %s=%s, which is not a number; start the program again with the launcher, or unset its variables", by, name, short(text))
	}
	return n, nil
}

// optional reads a variable that may be absent; it is then the value given.
func optional(getenv func(string) string, name string, absent int) int {
	if n, err := strconv.Atoi(getenv(name)); err == nil && n >= 0 {
		return n
	}
	return absent
}

// short quotes a text of the environment for a message.
func short(text string) string {
	if len(text) > 40 {
		text = text[:40] + "…"
	}
	return strconv.Quote(text)
}
