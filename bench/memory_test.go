package bench

import (
	"time"

	"qlora/bindings"
)

// A memoryWatch samples a device's memory in the background.
type memoryWatch struct {
	free    func() int64
	before  int64 // free bytes at the start
	quit    chan struct{}
	done    chan int64
	stopped bool
}

// lookEvery is the interval of samples.
const lookEvery = 20 * time.Millisecond

func watchMemory(dev bindings.Device) *memoryWatch {
	w := &memoryWatch{free: func() int64 { return 0 }, quit: make(chan struct{}), done: make(chan int64, 1)}
	if own, ok := dev.(interface{ FreeMemory() int64 }); ok {
		w.free = own.FreeMemory
	}
	w.before = w.free()
	monitored, _ := dev.(bindings.Monitored)
	go w.look(monitored)
	return w
}

// look records the maximum in use until it is stopped, minus the use at the start.
func (w *memoryWatch) look(dev bindings.Monitored) {
	var first, most int64
	for tick := time.NewTicker(lookEvery); ; {
		if used, ok := inUse(dev); ok {
			if first == 0 {
				first = used
			}
			most = max(most, used-first)
		}
		select {
		case <-w.quit:
			tick.Stop()
			w.done <- most
			return
		case <-tick.C:
		}
	}
}

func inUse(dev bindings.Monitored) (int64, bool) {
	if dev == nil {
		return 0, false
	}
	t := dev.Telemetry()
	if t == nil || t.MemoryUsed == nil {
		return 0, false
	}
	return *t.MemoryUsed, true
}

// taken returns the decrease of free memory since the start, or 0 if unknown.
func (w *memoryWatch) taken() int64 { return w.before - w.free() }

// stop ends the watch and returns the maximum that the driver saw in use since the
// start, or 0 without a driver.
func (w *memoryWatch) stop() int64 {
	if w.stopped {
		return 0
	}
	w.stopped = true
	close(w.quit)
	return <-w.done
}
