package cuda

import (
	"fmt"
	"reflect"
	"slices"
	"unsafe"

	"qlora/bindings"
)

// GraphMode says when a device replays work that it has done before (bindings.Repeater) as
// a CUDA graph.
type GraphMode int

// The modes. GraphsAuto replays where the host takes longer to launch the kernels than the
// GPU to multiply.
const (
	GraphsAuto GraphMode = iota
	GraphsOff
	GraphsOn
)

const (
	// graphShapes is the number of keys that are remembered, and graphBytes the device memory
	// that their graphs may take. The least recently used ones go first.
	graphShapes, graphBytes = 64, 64 << 20
	// launchSeconds is what a launch takes the host, with the driver's part of it.
	launchSeconds = 5e-6
)

// graphs are the graphs of a device.
type graphs struct {
	mode   GraphMode
	note   func(string)
	all    []*graph // the most recently used last
	broken bool     // a capture has failed
	stats  GraphStats

	watched   *graph // whose work is being counted
	capturing bool
	err       error   // the first of the capture
	record    []any   // the launches of the capture, on the emulator
	compared  []any   // what is left of the record that launches are compared with
	checking  bool    // launches are compared and not launched
	rate      float64 // FLOP/s of the GPU's products
}

// GraphStats counts what became of repeated work: how often it ran kernel by kernel, was
// captured and was replayed, and how many graphs were dropped for others.
type GraphStats struct{ Eager, Captured, Replayed, Dropped int }

// A graph is work that has run under a key, captured or not.
type graph struct {
	key      any
	handle   unsafe.Pointer // nil: it is not captured
	bytes    int64
	launches int
	flops    float64
	record   []any // on the emulator: what was launched
}

var _ bindings.Repeater = (*Device)(nil)

// Repeat runs work the first time, captures it as a graph the second time, and replays the
// graph from then on. What is captured does not run, so a graph is launched right after. If a
// capture fails, a note says so, and work runs kernel by kernel from then on.
func (d *Device) Repeat(key any, work func()) {
	s := &d.graphs
	if s.mode == GraphsOff || s.broken || d.err != nil {
		work()
		return
	}
	g, known := s.find(key)
	switch {
	case known && g.handle != nil:
		s.stats.Replayed++
		d.replay(g, work)
	case known && s.worth(g):
		d.fail(d.staging.release(d.context)) // not in a graph
		if err := d.capture(g, work); err != nil {
			s.stats.Eager++
			s.broken = true
			d.dropGraphs()
			if s.note != nil {
				s.note(fmt.Sprintf("CUDA graphs are off: %v; kernels are launched one by one", err))
			}
			work()
			return
		}
		s.stats.Captured++
		d.replay(g, work)
	default:
		s.stats.Eager++
		d.evict(g)
		g.launches, g.flops = 0, 0
		s.watched = g
		work()
		s.watched = nil
	}
}

// GraphStats returns what became of repeated work so far.
func (d *Device) GraphStats() GraphStats { return d.graphs.stats }

// find returns the graph of a key, now the most recently used, and whether it was known.
func (s *graphs) find(key any) (*graph, bool) {
	at := slices.IndexFunc(s.all, func(g *graph) bool { return g.key == key })
	if at < 0 {
		g := &graph{key: key}
		s.all = append(s.all, g)
		return g, false
	}
	g := s.all[at]
	s.all = append(slices.Delete(s.all, at, at+1), g)
	return g, true
}

// worth reports whether work is to be captured when it comes again.
func (s *graphs) worth(g *graph) bool {
	return s.mode == GraphsOn || g.flops < float64(g.launches)*launchSeconds*s.rate
}

// count adds a launch to the work that is watched.
func (s *graphs) count(work any) {
	g := s.watched
	if g == nil {
		return
	}
	g.launches++
	switch w := work.(type) {
	case *gemm:
		g.flops += flops((*product)(w))
	case *products:
		for i := range int(w.count) {
			g.flops += flops(&w.of[i])
		}
	}
}

func flops(p *product) float64 {
	depth := p.a.cols + p.a2.cols
	if p.layout == layoutTN {
		depth = p.a.rows
	}
	return 2 * float64(p.c.rows) * float64(p.c.cols) * float64(depth)
}

// productRate returns about the FLOP/s of mma.sync on a GPU: the data sheets' rate of bf16
// products with float32 sums per multiprocessor, and what of it kernels reach.
func productRate(compute, processors int) float64 {
	each := 1.1e12 // of GeForce cards, twice that of 8.6
	switch {
	case compute/10 == 8 && compute == 80:
		each = 2.4e12
	case compute/10 == 8 && compute < 89:
		each = 0.7e12
	case compute/10 == 9 || compute/10 == 10 || compute/10 == 11:
		each = 3.8e12
	}
	return each * float64(processors)
}

// capture makes a graph of work.
func (d *Device) capture(g *graph, work func()) error {
	s := &d.graphs
	if err := d.context.capture(); err != nil {
		return err
	}
	d.known.forget() // a graph checks its own indices
	s.capturing, s.err, s.record = true, nil, nil
	work()
	s.capturing = false
	d.known.forget()
	handle, bytes, err := d.context.captured()
	if s.err != nil {
		if err == nil {
			d.fail(d.context.drop(handle))
		}
		return s.err
	}
	if err != nil {
		return err
	}
	g.handle, g.bytes, g.record = handle, bytes, s.record
	d.evict(g)
	return nil
}

// evict drops graphs, the least recently used first, until the rest fits; not g.
func (d *Device) evict(g *graph) {
	s := &d.graphs
	var bytes int64
	for _, other := range s.all {
		bytes += other.bytes
	}
	for len(s.all) > 1 && (bytes > graphBytes || len(s.all) > graphShapes) && s.all[0] != g {
		bytes -= s.all[0].bytes
		d.drop(s.all[0])
		s.all = s.all[1:]
		s.stats.Dropped++
	}
}

// replay enqueues a graph's work. The emulator first runs work again without launching, and
// reports a launch that is not the one that was captured.
func (d *Device) replay(g *graph, work func()) {
	s := &d.graphs
	if d.emulated && !d.dry {
		s.checking, s.compared = true, g.record
		d.known.forget()
		work()
		s.checking = false
		if len(s.compared) > 0 {
			d.fail(fmt.Errorf("graph: its work has %d launches fewer than were captured", len(s.compared)))
		}
	}
	d.known.forget()
	d.fail(d.context.replay(g.handle))
}

// compare reports a launch that differs from the next one captured.
func (s *graphs) compare(name string, work any) error {
	if len(s.compared) == 0 {
		return fmt.Errorf("graph: %s launches %T, and no more was captured", name, work)
	}
	was, is := s.compared[0], reflect.ValueOf(work).Elem().Interface()
	s.compared = s.compared[1:]
	if was != is {
		return fmt.Errorf("graph: %s launches %+v, and captured was %+v", name, is, was)
	}
	return nil
}

// drop frees a graph.
func (d *Device) drop(g *graph) {
	if g.handle != nil {
		d.fail(d.context.drop(g.handle))
		g.handle = nil
	}
}

// dropGraphs forgets all work: its memory moves.
func (d *Device) dropGraphs() {
	for _, g := range d.graphs.all {
		d.drop(g)
	}
	d.graphs.all = nil
}
