package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"qlora/bench/gpu/plan"
)

// A machine describes the machine of peers.py.
type machine struct {
	Device string `json:"device"`
	Driver string `json:"driver,omitempty"`
	Torch  string `json:"torch,omitempty"`
	CUDA   string `json:"cuda,omitempty"`
	Small  bool   `json:"small,omitempty"` // small shapes, which only test that everything runs
}

// A timing is one peer's result of a measurement.
type timing struct {
	Peer    string  `json:"peer"`
	MS      float64 `json:"ms,omitempty"`
	Spread  float64 `json:"spread,omitempty"`
	Skipped string  `json:"skipped,omitempty"` // why there is no time
}

// peers holds the lines of peers.py, by a measurement's name.
type peers struct {
	machine machine
	times   map[string][]timing
}

func readPeers(r io.Reader) (*peers, error) {
	p := &peers{times: map[string][]timing{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var line struct {
			Header *machine
			What   string
			Shape  map[string]int64
			timing
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if line.Header != nil {
			p.machine = *line.Header
			continue
		}
		m, err := plan.New(line.What, line.Shape)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if line.Skipped == "" && line.MS <= 0 {
			return nil, fmt.Errorf("line %d: %s by %s took %g ms", n, m.Name(), line.Peer, line.MS)
		}
		p.times[m.Name()] = append(p.times[m.Name()], line.timing)
	}
	if p.machine.Device == "" && lines.Err() == nil {
		return nil, fmt.Errorf("the header, which describes the peers' machine, is missing")
	}
	return p, lines.Err()
}

// fastest returns the fastest peer's timing, or nil if none has a time.
func fastest(all []timing) *timing {
	var best *timing
	for i, t := range all {
		if t.Skipped == "" && (best == nil || t.MS < best.MS) {
			best = &all[i]
		}
	}
	return best
}
