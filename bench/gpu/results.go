package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"qlora/bench/gpu/plan"
)

// results holds our results and the peers': results.json.
type results struct {
	GPU     bool    `json:"gpu"` // false if not run on a GPU
	Device  string  `json:"device"`
	Driver  string  `json:"driver,omitempty"`
	Machine machine `json:"peers_machine"`
	Commit  string  `json:"commit"`
	Date    string  `json:"date"`
	Failed  bool    `json:"failed,omitempty"` // one of our benchmarks failed; some may be missing
	Checks  []check `json:"checks,omitempty"`
	Rows    []row   `json:"measurements"`
	Targets []share `json:"targets,omitempty"` // on a GPU
	Others  []other `json:"others,omitempty"`  // ours, without a peer
}

// A row is a measurement of ours and of the peers.
type row struct {
	Name  string   `json:"name"`
	MS    float64  `json:"ms,omitempty"` // ours; 0 if not measured
	Rate  float64  `json:"rate,omitempty"`
	Unit  string   `json:"unit"`
	Peers []timing `json:"peers,omitempty"`
	Best  string   `json:"fastest_peer,omitempty"`
	// Speed is the fastest peer's time divided by ours; above 1 ours is faster.
	Speed float64 `json:"speed,omitempty"`
	// OfLimit is the minimal time by the device's limits, divided by ours.
	OfLimit float64 `json:"of_limit,omitempty"`
	// OfCopy is our rate divided by that of a device copy, for operations that only move
	// data.
	OfCopy float64 `json:"of_copy,omitempty"`

	measurement plan.Measurement
}

// rate returns the cost of a measurement per time: TFLOP/s, or GB/s (1e9 bytes) for
// operations that only move data.
func rate(m plan.Measurement, ms float64) (value float64, unit string) {
	operations, bytes := m.Cost()
	unit = "TFLOP/s"
	value = operations / 1e9
	if operations == 0 {
		unit, value = "GB/s", bytes/1e6
	}
	if ms == 0 {
		return 0, unit
	}
	return value / ms, unit
}

// onGPU reports whether a device name is a GPU's: the CPU and the emulator are named
// "cpu" and "emu", optionally with a number or more words.
func onGPU(device string) bool {
	return device != "" && !strings.HasPrefix(device, "cpu") && !strings.HasPrefix(device, "emu")
}

// join combines both. Either may be nil.
func join(o *ours, p *peers) (*results, error) {
	if o == nil {
		o = new(ours)
	}
	if p == nil {
		p = new(peers)
	}
	r := &results{Machine: p.machine, Failed: o.failed, Others: o.others, Rows: []row{}}
	r.Device, r.Driver = o.device, cmp.Or(o.driver, p.machine.Driver)
	if r.Device == "" {
		r.Device = p.machine.Device
	}
	r.GPU = onGPU(r.Device)
	if onGPU(p.machine.Device) != r.GPU && p.machine.Device != "" || r.GPU && p.machine.Device != "" && p.machine.Device != r.Device {
		return nil, fmt.Errorf("ours ran on %s and the peers on %s: results of different machines cannot be compared", r.Device, p.machine.Device)
	}
	for _, name := range inOrder(o, p) {
		m, err := plan.Parse(name)
		if err != nil {
			return nil, err
		}
		w := row{Name: name, MS: median(o.runs[name].ms), OfLimit: median(o.runs[name].limit) / 100, Peers: p.times[name], measurement: m}
		w.Rate, w.Unit = rate(m, w.MS)
		if best := fastest(w.Peers); best != nil {
			w.Best = best.Peer
			if w.MS > 0 {
				w.Speed = best.MS / w.MS
			}
		}
		r.Rows = append(r.Rows, w)
	}
	r.ofCopy()
	if r.GPU {
		r.Targets = shares(r.Rows)
	}
	return r, nil
}

// inOrder returns the names of both in the order of the plan; shapes outside the plan
// come last, in the order of their operations.
func inOrder(o *ours, p *peers) []string {
	left := map[string]bool{}
	for name := range o.runs {
		left[name] = true
	}
	for name := range p.times {
		left[name] = true
	}
	var names []string
	for _, m := range plan.All() {
		if left[m.Name()] {
			names = append(names, m.Name())
			delete(left, m.Name())
		}
	}
	others := slices.Sorted(maps.Keys(left))
	slices.SortStableFunc(others, func(a, b string) int { return operation(a) - operation(b) })
	return append(names, others...)
}

// operation returns the index of a name's operation in the plan.
func operation(name string) int {
	what, _, _ := strings.Cut(name, "/")
	return slices.IndexFunc(plan.All(), func(m plan.Measurement) bool { return m.What == what })
}

// ofCopy fills in OfCopy relative to the fastest copy, ours or a peer's.
func (r *results) ofCopy() {
	var most float64
	for _, w := range r.Rows {
		if w.measurement.What != plan.Copy {
			continue
		}
		most = max(most, w.Rate)
		if best := fastest(w.Peers); best != nil {
			gb, _ := rate(w.measurement, best.MS)
			most = max(most, gb)
		}
	}
	for i := range r.Rows {
		if w := &r.Rows[i]; w.Unit == "GB/s" && most > 0 {
			w.OfCopy = w.Rate / most
		}
	}
}
