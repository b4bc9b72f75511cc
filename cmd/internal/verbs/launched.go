package verbs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/bindings/cuda"
	"qlora/bindings/groups"
	"qlora/bindings/groups/mpi"
	"qlora/bindings/groups/nccl"
	"qlora/cmd/internal/exit"
	"qlora/internal/launch"
	"qlora/internal/rendezvous"
	"qlora/trainer"
)

// launched is this process among those that a launcher has started. The zero value is a
// process alone.
type launched struct {
	launch.Launch
	asked    launch.Engine
	engine   launch.Engine
	deadline time.Duration
	world    *mpi.World   // nil: without MPI
	control  nccl.Control // nil: alone
	group    groups.Group // nil: alone, or not connected yet
	members  []member
}

// A member is what the ranks know of a rank.
type member struct {
	Host   string
	Boot   string // the same for all containers of a machine
	Cores  int    // usable
	Online int    // cores of the machine
	NCCL   string // version; "": not found
}

// join connects this process with the other ranks of its launcher, if there are any. A rank
// other than 0 then prints nothing but its errors.
func (o *tuneOptions) join(c *call) (*launched, error) {
	found, err := launch.Read(os.Getenv)
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	l := &launched{Launch: found, asked: launch.Engine(o.sharing.Distributed), deadline: time.Duration(o.run.Timeout * float64(time.Second))}
	if l.engine, err = found.Choose(l.asked); err != nil {
		return nil, exit.AsWrong(err)
	}
	if l.engine == launch.None {
		return l, nil
	}
	if o.sharing.Ranks > 1 || strings.Contains(o.machine.Device, ",") {
		return nil, exit.Wrongf("%s starts the ranks, one device each: leave out --ranks, and name one --device", l.By)
	}
	if err := l.connect(c); err != nil {
		return nil, exit.AsWrong(err)
	}
	if l.control.Rank() > 0 {
		c.out, c.err = io.Discard, io.Discard
	}
	if err := l.introduce(c); err != nil {
		return l, err
	}
	if l.control.Rank() == 0 {
		c.note(l.describe())
	}
	return l, nil
}

// connect starts MPI, or meets the others in a store.
func (l *launched) connect(c *call) error {
	if l.Engine == launch.NCCL {
		ranks, err := rendezvous.Join(c, l.Launch, l.deadline)
		if err != nil {
			return l.apart(err)
		}
		l.control = ranks
		return nil
	}
	world, err := mpi.Start(c, l.OpenMPI, l.deadline)
	if errors.As(err, new(*groups.AbsentError)) {
		return l.apart(err)
	}
	if err != nil {
		return err
	}
	if err := l.Verify(world.Size, world.String()); err != nil {
		return exit.Then(err, func(code exit.Code) { world.Abort(int(code)) })
	}
	group, err := world.Group(l.deadline)
	if err != nil {
		return err
	}
	l.world, l.control, l.group = world, group, group
	l.Rank, l.Size = world.Rank, world.Size
	return nil
}

// apart is the error of ranks that do not find each other.
func (l *launched) apart(err error) error {
	return fmt.Errorf("the %d ranks of %s do not meet: %w", l.Size, l.By, err)
}

// introduce tells the ranks of each other and finds this one's place on its host.
func (l *launched) introduce(c *call) error {
	mine := member{Boot: bootID(), Cores: cpu.DefaultThreads(), Online: online(), NCCL: nccl.Describe().Version}
	mine.Host, _ = os.Hostname()
	var err error
	if l.members, err = tell(c, l.control, mine); err != nil {
		return err
	}
	l.LocalRank, l.LocalSize = 0, 0
	for rank, m := range l.members {
		if m.Boot == mine.Boot {
			if rank < l.Rank {
				l.LocalRank++
			}
			l.LocalSize++
		}
	}
	return nil
}

// tell gives a value to all ranks and returns those of all.
func tell[T any](ctx context.Context, control nccl.Control, mine T) ([]T, error) {
	text, err := json.Marshal(mine)
	if err != nil {
		return nil, err
	}
	texts, err := control.Exchange(ctx, text)
	if err != nil {
		return nil, err
	}
	all := make([]T, len(texts))
	for rank, text := range texts {
		if err := json.Unmarshal(text, &all[rank]); err != nil {
			return nil, fmt.Errorf("rank %d does not run what rank %d runs: %w", rank, control.Rank(), err)
		}
	}
	return all, nil
}

// describe is rank 0's note on the ranks, and the trap of launchers that bind each rank to
// a core.
func (l *launched) describe() string {
	hosts := map[string]bool{}
	for _, m := range l.members {
		hosts[m.Host] = true
	}
	text := fmt.Sprintf("%d ranks on %d hosts, started by %s", l.Size, len(hosts), l.By)
	if len(hosts) == 1 {
		text = fmt.Sprintf("%d ranks on %s, started by %s", l.Size, l.members[0].Host, l.By)
	}
	if l.world != nil {
		text += ", over " + l.world.String()
	}
	if l.Restarts > 0 {
		text += fmt.Sprintf(", restart %d", l.Restarts)
	}
	for rank, m := range l.members {
		local := 0
		for _, other := range l.members {
			if other.Boot == m.Boot {
				local++
			}
		}
		if m.Online >= 2*local && m.Cores < m.Online/local {
			text += fmt.Sprintf("\nwarning: rank %d on %s may use %d of %d cores: `mpirun --bind-to none` (Open MPI), `-genv I_MPI_PIN=0` (Intel MPI) and `srun --cpu-bind=none` do not bind ranks", rank, m.Host, m.Cores, m.Online)
			break
		}
	}
	return text
}

// devices opens the device of this rank, or, alone, those of the options, and connects the
// ranks by the engine.
func (l *launched) devices(c *call, o *tuneOptions, t compute) ([]bindings.Device, error) {
	if l.control == nil {
		return c.devices(o.sharing, o.machine, t)
	}
	m := o.machine
	dev, err := l.device(c, m, t)
	if err != nil {
		return nil, err
	}
	id := ""
	if gpu, ok := dev.(*cuda.Device); ok {
		id = gpu.BusID()
	}
	if err := l.own(c, id); err != nil {
		closeDevice(dev)
		return nil, err
	}
	if err := l.connectDevice(c, dev); err != nil {
		closeDevice(dev)
		return nil, err
	}
	return []bindings.Device{dev}, nil
}

// device opens this rank's device: of several GPUs the one with the number of its place on
// the host, and of the CPU its share.
func (l *launched) device(c *call, m machine, t compute) (bindings.Device, error) {
	if m.Device == "auto" || m.Device == "cuda" {
		dev, err := cuda.New(m.gpu(l.LocalRank, c.note))
		if errors.Is(err, cuda.ErrNoDevice) && l.LocalRank > 0 { // launchers may show each rank its own GPU only
			dev, err = cuda.New(m.gpu(0, c.note))
		}
		if err == nil {
			return dev, nil
		}
		if m.Device == "cuda" {
			return m.open(t.dtype, c.note) // which says what is missing
		}
		m.Device = "cpu"
	}
	if m.Device == "cpu" && m.Threads == 0 && l.members[l.Rank].Cores == l.members[l.Rank].Online {
		m.Threads = max(1, l.members[l.Rank].Cores/l.LocalSize)
	}
	return c.device(m, t)
}

// own refuses two ranks on one GPU, by its PCI bus id; "": the device is none.
func (l *launched) own(ctx context.Context, id string) error {
	ids, err := tell(ctx, l.control, id)
	if err != nil {
		return err
	}
	for rank, other := range ids {
		if id != "" && other == id && rank != l.Rank && l.members[rank].Boot == l.members[l.Rank].Boot {
			return exit.Wrongf("rank %d and rank %d on %s are both on GPU %s: start as many ranks on a host as it has GPUs, and let --device be cuda", min(rank, l.Rank), max(rank, l.Rank), l.members[rank].Host, id)
		}
	}
	return nil
}

// connectDevice makes the group that the trainer gets. Where MPI has started the ranks,
// GPUs are connected by NCCL if all hosts have it.
func (l *launched) connectDevice(c *call, dev bindings.Device) error {
	gpu, isCUDA := dev.(*cuda.Device)
	if l.engine == launch.MPI {
		if !isCUDA || gpu.BusID() == "" || l.asked == launch.MPI {
			return nil
		}
		for rank, m := range l.members {
			if m.NCCL == "" {
				c.note(fmt.Sprintf("rank %d on %s has no NCCL: what GPUs give each other passes through the hosts' memory; `qlora doctor` lists where it was searched for", rank, m.Host))
				return nil
			}
		}
	}
	if !isCUDA {
		return exit.Wrongf("--device %s: NCCL connects GPUs only, and %s starts no MPI; use mpirun or srun --mpi=pmi2 for other devices", dev.Info().Name, l.By)
	}
	group, err := nccl.Open(c, l.control, gpu, l.deadline)
	if err != nil {
		return exit.AsWrong(err)
	}
	l.group = group
	c.note("GPUs are connected by " + group.String())
	return nil
}

// patience is how long a rank whose input is wrong waits for rank 0 to say so first.
const patience = 500 * time.Millisecond

// end leaves the other ranks. It returns the error of the run, with what has to end the
// processes of all ranks after its message.
func (l *launched) end(err error) error {
	if l.control == nil {
		return err
	}
	var group interface {
		Abort(err error)
		Close() error
	} = l.control
	if l.group != nil {
		group = l.group
	}
	if err == nil || errors.Is(err, trainer.ErrInterrupted) {
		if closing := group.Close(); err == nil {
			err = closing
		}
		if l.world != nil && (err == nil || errors.Is(err, trainer.ErrInterrupted)) {
			err = errors.Join(err, l.world.Close())
		}
		return err
	}
	told := l.told(err)
	group.Abort(err)
	_ = group.Close() // it has ended
	if l.Rank > 0 {
		err = fmt.Errorf("rank %d on %s: %w", l.Rank, l.host(), err)
	}
	if told {
		err = exit.Quiet(err)
	}
	if l.world == nil {
		return err
	}
	return exit.Then(err, func(code exit.Code) {
		// Launchers lose what they have not read yet when they end the ranks. A rank that has
		// nothing to tell leaves that to the one that tells.
		time.Sleep(patience / 2)
		if told {
			time.Sleep(4 * patience)
		}
		l.world.Abort(int(code))
	})
}

// told reports whether another rank says what has happened.
func (l *launched) told(err error) bool {
	if l.Rank == 0 {
		return false
	}
	if groups.Ended(err) {
		return true
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(patience / 20) {
		if other := l.control.Listen(0); other != nil {
			return true
		}
	}
	return false
}

func (l *launched) host() string {
	if l.Rank < len(l.members) {
		return l.members[l.Rank].Host
	}
	host, _ := os.Hostname()
	return host
}

// size returns the number of connected ranks.
func (l *launched) size() int {
	if l.control == nil {
		return 1
	}
	return l.control.Size()
}

// first reports whether this process writes and prints what a run writes and prints.
func (l *launched) first() bool { return l.control == nil || l.Rank == 0 }

// bootID returns what the processes of a machine have in common, whatever their containers
// call the host; its name, if the kernel does not say.
func bootID() string {
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		return strings.TrimSpace(string(id))
	}
	host, _ := os.Hostname()
	return host
}

// online returns the number of the machine's cores, whatever this process may use of them.
func online() int {
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return 0
	}
	n := 0
	for span := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		var from, to int
		if _, err := fmt.Sscanf(span, "%d-%d", &from, &to); err == nil && to >= from {
			n += to - from + 1
		} else {
			n++
		}
	}
	return n
}
