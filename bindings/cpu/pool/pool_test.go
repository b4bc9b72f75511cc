package pool

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestRunDoesEachPieceOnce(t *testing.T) {
	for _, lanes := range []int{1, 2, 3, 16} {
		p := New(lanes)
		for _, pieces := range []int{0, 1, 2, 3, 15, 16, 17, 1000} {
			done := make([]int, pieces)
			p.Run(pieces, func(lane, piece int) {
				if lane < 0 || lane >= lanes {
					t.Errorf("%d lanes, %d pieces: lane %d", lanes, pieces, lane)
				}
				done[piece]++
			})
			for i, n := range done {
				if n != 1 {
					t.Errorf("%d lanes, %d pieces: piece %d was done %d times", lanes, pieces, i, n)
				}
			}
		}
		p.Close()
	}
}

// TestNoTwoCallsShareALane runs many jobs, with and without pauses that let the workers
// sleep, and checks that a lane's memory is its own.
func TestNoTwoCallsShareALane(t *testing.T) {
	const lanes, jobs = 4, 2000
	p := New(lanes)
	defer p.Close()
	var busy [lanes]atomic.Bool
	sums := make([]int, lanes)
	for i := range jobs {
		p.Run(1+i%37, func(lane, _ int) {
			if busy[lane].Swap(true) {
				t.Errorf("lane %d does two pieces at a time", lane)
			}
			sums[lane]++
			busy[lane].Store(false)
		})
		if i%200 == 0 {
			time.Sleep(2 * longestSpin)
		}
	}
	total, want := 0, 0
	for lane := range sums {
		total += sums[lane]
	}
	for i := range jobs {
		want += 1 + i%37
	}
	if total != want {
		t.Errorf("%d pieces were done, not %d", total, want)
	}
}

func TestRunInsideAndBesideAnotherRun(t *testing.T) {
	p := New(3)
	defer p.Close()
	var n atomic.Int64
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range 200 {
				p.Run(5, func(_, _ int) {
					p.Run(2, func(_, _ int) { n.Add(1) })
				})
			}
		})
	}
	callers.Wait()
	if want := int64(4 * 200 * 5 * 2); n.Load() != want {
		t.Errorf("%d pieces were done, not %d", n.Load(), want)
	}
}

func TestCloseEndsTheWorkers(t *testing.T) {
	p := New(8)
	if p.workers != nil {
		t.Error("New started workers")
	}
	p.Run(100, func(_, _ int) {})
	if n := serving(); n < 7 {
		t.Errorf("8 lanes have %d workers, not 7", n)
	}
	p.Close()
	p.Close()
	// A goroutine is in the profile for a moment after its function has returned.
	for end := time.Now().Add(time.Minute); serving() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := serving(); n > 0 {
		t.Errorf("%d workers are left after Close", n)
	}
	n := 0
	p.Run(100, func(lane, _ int) { n += 1 + lane })
	if n != 100 {
		t.Errorf("after Close, Run did %d of 100 pieces as lane 0", n)
	}
}

// serving returns the number of workers of all pools.
func serving() int {
	all := make([]byte, 1<<20)
	return bytes.Count(all[:runtime.Stack(all, true)], []byte("created by qlora/bindings/cpu/pool.(*Pool).start"))
}

func TestWorkersSleepWithoutWork(t *testing.T) {
	p := New(3)
	defer p.Close()
	p.Run(3, func(_, _ int) {})
	end := time.Now().Add(time.Minute)
	for i := range p.workers {
		for !p.workers[i].asleep.Load() {
			if time.Now().After(end) {
				t.Fatalf("worker %d still spins", i)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func TestPatience(t *testing.T) {
	const at = time.Second
	var p patience
	for _, c := range []struct {
		last, now time.Duration
		ask       time.Duration
		want      bool
	}{
		{at, at + 2*time.Microsecond, at + 3*time.Microsecond, true},
		{at, at + descheduled, at + descheduled, true},
		{at, at + 4*time.Millisecond, at + 4*time.Millisecond, false},
		{at, at + 4*time.Millisecond, at + 3*time.Millisecond + restraint, false},
		{at, at + 4*time.Millisecond, at + 4*time.Millisecond + restraint, true},
	} {
		p.until.Store(0)
		p.looked(c.last, c.now)
		if got := p.may(c.ask); got != c.want {
			t.Errorf("looks at %v and %v: spins at %v is %t, not %t", c.last, c.now, c.ask, got, c.want)
		}
	}
	var word uintptr
	never := patience{never: true}
	if !p.spin(&word, 1, nil, nil) || !never.spin(&word, 1, nil, nil) {
		t.Error("a word that differs was not seen")
	}
	if p.spin(&word, 0, nil, nil) || never.spin(&word, 0, nil, nil) {
		t.Error("a word that does not differ was reported to")
	}
}

// BenchmarkHandoff measures an operation of two pieces that do nothing, back to back and
// after a pause of the caller's own work.
func BenchmarkHandoff(b *testing.B) {
	for _, c := range []struct {
		name  string
		pause time.Duration
	}{{"at once", 0}, {"after 5µs", 5 * time.Microsecond}, {"after 200µs", 200 * time.Microsecond}} {
		b.Run(c.name, func(b *testing.B) {
			p := New(2)
			defer p.Close()
			b.ReportAllocs()
			var in time.Duration
			n := 0
			for b.Loop() {
				for start := time.Now(); time.Since(start) < c.pause; {
				}
				start := time.Now()
				p.Run(2, func(_, _ int) { work(time.Microsecond) })
				in += time.Since(start)
				n++
			}
			b.ReportMetric(float64(in.Nanoseconds())/float64(n), "ns/run")
		})
	}
}

// work uses a core for about d.
func work(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}
