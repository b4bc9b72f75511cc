package verbs

import (
	"fmt"
	"strconv"
	"strings"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/cmd/internal/exit"
	"qlora/option"
)

// sharing has the options of a run on several devices.
type sharing struct {
	Ranks       int    `option:"ranks" help:"devices that share the run's micro-batches, each with a copy of the model: with device cuda the first so many GPUs, with cpu or emu so many of these, which share the threads; 0: those that device names"`
	Distributed string `option:"distributed" values:"auto,mpi,nccl,none" help:"what connects the processes that mpirun, srun or torchrun starts: auto (what the launcher can start: MPI, or NCCL for GPUs), mpi, nccl, or none: each process is a run of its own"`
}

// Ranges returns the intervals of the options.
func (*sharing) Ranges() option.Ranges { return option.Ranges{"ranks": option.From(0, 1024)} }

// ranks returns a machine for each rank: device may be a list, cuda:0,1.
func (s sharing) ranks(m machine) ([]machine, error) {
	numbers, listed := strings.CutPrefix(m.Device, "cuda:")
	if listed && strings.Contains(numbers, ",") {
		return s.listed(m, strings.Split(numbers, ","))
	}
	if s.Ranks <= 1 {
		return []machine{m}, nil
	}
	if listed {
		return nil, exit.Wrongf("--ranks %d: --device %s names one GPU; write --device cuda for the first %d, or name all of them as in cuda:0,1", s.Ranks, m.Device, s.Ranks)
	}
	if m.Device == "auto" {
		m.Device = "cpu"
		if dev := m.firstGPU(func(string) {}); dev != nil {
			closeDevice(dev)
			m.Device = "cuda"
		}
	}
	all := make([]machine, s.Ranks)
	for i := range all {
		all[i] = m
		switch m.Device {
		case "cuda":
			all[i].Device = fmt.Sprintf("cuda:%d", i)
		case "cpu":
			if all[i].Threads == 0 {
				all[i].Threads = cpu.DefaultThreads()
			}
			all[i].Threads = max(1, all[i].Threads/s.Ranks)
		}
	}
	return all, nil
}

// listed returns the machines of a list of GPUs.
func (s sharing) listed(m machine, numbers []string) ([]machine, error) {
	if s.Ranks != 0 && s.Ranks != len(numbers) {
		return nil, exit.Wrongf("--ranks %d, but --device %s names %d GPUs: leave out one of them", s.Ranks, m.Device, len(numbers))
	}
	var all []machine
	seen := map[string]bool{}
	for _, n := range numbers {
		if v, err := strconv.ParseUint(n, 10, 16); err != nil || strconv.FormatUint(v, 10) != n {
			return nil, exit.Wrongf("--device is %q, but a list of GPUs is like cuda:0,1", m.Device)
		}
		if seen[n] {
			return nil, exit.Wrongf("--device %s names GPU %s twice; a GPU can be one rank", m.Device, n)
		}
		seen[n] = true
		all = append(all, machine{Device: "cuda:" + n, Threads: m.Threads, Graphs: m.Graphs})
	}
	return all, nil
}

// devices opens a device for each rank. It notes what c.device notes, once.
func (c *call) devices(s sharing, m machine, t compute) (_ []bindings.Device, err error) {
	machines, err := s.ranks(m)
	if err != nil {
		return nil, err
	}
	var all []bindings.Device
	defer func() {
		if err != nil {
			closeDevices(all)
		}
	}()
	for i, one := range machines {
		dev, err := one.open(t.dtype, c.note)
		if err != nil {
			return nil, err
		}
		all = append(all, dev)
		if d, ok := dev.(*cpu.Device); ok && i == 0 {
			each := ""
			if len(machines) > 1 {
				each = fmt.Sprintf("%d ranks, each ", len(machines))
			}
			c.note(fmt.Sprintf("cpu: %s%s; %s", each, d.Info().Detail, t.note()))
		}
	}
	return all, nil
}

func closeDevices(all []bindings.Device) {
	for _, dev := range all {
		closeDevice(dev)
	}
}
