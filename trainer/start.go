package trainer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"qlora/internal/version"
	"qlora/option"
)

// A startMessage is what ranks tell each other first. Rank 0 alone reads the checkpoint, so
// that the ranks need not share a disk.
type startMessage struct {
	Member member    `json:"member"`
	World  int       `json:"world,omitempty"`
	From   string    `json:"from,omitempty"`
	Resume *progress `json:"resume,omitempty"`
	Past   *State    `json:"past,omitempty"`
}

// ranks returns the number of ranks that train.
func (r *Run) ranks() int {
	if r.Group != nil {
		return r.Group.Size()
	}
	return 1 + len(r.Others)
}

// start finds the checkpoint to resume from and the world of the run.
func (t *Trainer) start() error {
	mine := startMessage{Member: member{Device: t.Device.Info().Name}}
	if t.Group != nil {
		mine.Member.Host, _ = os.Hostname()
		mine.Member.Machine = cmp.Or(t.Machine, mine.Member.Host)
	}
	if t.rank() == 0 {
		if err := t.findCheckpoint(); err != nil {
			return err
		}
		mine.World, mine.From, mine.Resume, mine.Past = t.world(), t.from, t.resume, t.past
	}
	all, err := exchange(t, mine)
	if err != nil {
		return err
	}
	if t.Group != nil {
		for _, m := range all {
			t.members = append(t.members, m.Member)
		}
	}
	if err := t.share(); err != nil {
		return err
	}
	first := all[0]
	t.Args.WorldSize, t.from, t.resume, t.past = first.World, first.From, first.Resume, first.Past
	if t.Args.objective().samples {
		if err := t.Validate(); err != nil { // again: how many completions are sampled together depends on the world
			return err
		}
	}
	if ranks, window := t.ranks(), t.Args.window(); ranks > window {
		return option.Errorf("world_size", t.Args.WorldSize, "a step has %d micro-batches, too few for %d ranks: raise it or `gradient_accumulation_steps`", window, ranks)
	}
	return nil
}

// world returns the number of ranks that the run is divided into.
func (t *Trainer) world() int {
	switch {
	case t.Args.WorldSize > 0:
		return t.Args.WorldSize
	case t.resume != nil:
		return max(1, t.resume.Identity.World)
	}
	return t.ranks()
}

// memoryLimit returns the most bytes of the device that the run may allocate. Ranks on
// one machine share its memory.
func (t *Trainer) memoryLimit() int64 {
	if t.MemoryLimit != 0 {
		return t.MemoryLimit
	}
	limit := deviceMemory(t.Device)
	if _, own := t.Device.(interface{ FreeMemory() int64 }); own {
		return limit
	}
	return limit / t.sharing()
}

// sharing returns the number of ranks on this machine.
func (t *Trainer) sharing() int64 {
	sharing := int64(1 + len(t.Others))
	for rank, m := range t.members {
		if rank != t.rank() && m.Host == t.members[t.rank()].Host {
			sharing++
		}
	}
	return sharing
}

// limits returns the most bytes that the run may allocate, of the device and, for activations of a
// device with memory of its own, of the host.
func (t *Trainer) limits() limits {
	l := limits{device: t.memoryLimit()}
	if t.Device.Info().Apart {
		l.host = AvailableMemory() / t.sharing()
	}
	return l
}

// An agreement is what the ranks of a run must have in common.
type agreement struct {
	Build    string            `json:"build"`
	Identity identity          `json:"identity"`
	Settings map[string]string `json:"settings"`
	Eval     string            `json:"eval"`           // hash of the records for evaluation
	Part     int               `json:"part,omitempty"` // of micro-batches; see Fitting
	FSDP     string            `json:"fsdp"`
}

// agree returns an error that names the first rank with another build, other settings,
// another base or other records.
func (t *Trainer) agree() error {
	if t.Group == nil {
		return nil
	}
	sharding, err := t.Args.sharding()
	if err != nil {
		return err
	}
	all, err := exchange(t, agreement{version.String(), t.identity, t.runSettings(), hashExamples(t.EvalSet), t.layout.part, sharding})
	if err != nil {
		return err
	}
	for rank, other := range all {
		if err := all[0].differs(other); err != nil {
			return fmt.Errorf("rank %d (%s of %s) does not run what rank 0 runs: %w", rank, t.members[rank].Device, t.members[rank].Host, err)
		}
	}
	return nil
}

func (want agreement) differs(made agreement) error {
	if want.Build != made.Build {
		return fmt.Errorf("it is build %s, rank 0 is build %s", made.Build, want.Build)
	}
	if err := want.Identity.differs(made.Identity); err != nil {
		return err
	}
	if want.Eval != made.Eval {
		return errors.New("it evaluates other records")
	}
	if want.Part != made.Part {
		return fmt.Errorf("it has room for parts of micro-batches of %d tokens, rank 0 for parts of %d (0: whole ones): leave out `auto_split`", made.Part, want.Part)
	}
	if want.FSDP != made.FSDP {
		return fmt.Errorf("its `fsdp` is %s, rank 0's is %s", made.FSDP, want.FSDP)
	}
	for _, name := range slices.Sorted(maps.Keys(want.Settings)) {
		value := want.Settings[name]
		if made.Settings[name] != value {
			return fmt.Errorf("its `%s` is %s, rank 0's is %s", name, excerpt(made.Settings[name]), excerpt(value))
		}
	}
	return nil
}
