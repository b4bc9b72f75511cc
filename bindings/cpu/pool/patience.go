package pool

/*
#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__)
#define RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__) || defined(__arm__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() __asm__ volatile("" ::: "memory")
#endif

// differs reads a word up to turns times and returns whether it no longer was seen.
static int differs(const uintptr_t *word, uintptr_t seen, int turns) {
	for (int i = 0; i < turns; i++) {
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != seen) {
			return 1;
		}
		RELAX();
	}
	return 0;
}

#cgo noescape differs
#cgo nocallback differs
*/
import "C"

import (
	"sync/atomic"
	"time"
	"unsafe"
)

const (
	// longestSpin exceeds the time between the operations of a step or a token and is
	// short beside a time slice of the kernel.
	longestSpin = 50 * time.Microsecond
	// spinTurns is the number of reads between two looks at the clock: 1 to 3 µs.
	spinTurns = 64
	// descheduled is the time between two looks at the clock that only a thread without a
	// core needs.
	descheduled = 200 * time.Microsecond
	// restraint is how long waits do not spin after that.
	restraint = 50 * time.Millisecond
)

// patience decides how long waits spin. The zero value spins.
type patience struct {
	never bool
	until atomic.Int64 // since began, when waits may spin again
}

var began = time.Now()

// spin waits for word to differ from seen and reports whether it does. It gives up after
// longestSpin, and at once while other processes need the cores.
func (p *patience) spin(word *uintptr, seen uintptr) bool {
	if atomic.LoadUintptr(word) != seen {
		return true
	}
	if p.never {
		return false
	}
	start := time.Since(began)
	if !p.may(start) {
		return false
	}
	for last := start; ; {
		if C.differs((*C.uintptr_t)(unsafe.Pointer(word)), C.uintptr_t(seen), spinTurns) != 0 {
			return true
		}
		now := time.Since(began)
		p.looked(last, now)
		if now-start > longestSpin {
			return atomic.LoadUintptr(word) != seen
		}
		last = now
	}
}

// may reports whether waits spin at the given time.
func (p *patience) may(now time.Duration) bool { return int64(now) >= p.until.Load() }

// looked takes note of two successive looks of a spinning thread at the clock.
func (p *patience) looked(last, now time.Duration) {
	if now-last > descheduled {
		p.until.Store(int64(now + restraint))
	}
}
