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

// turn_bytes is what a turn prefetches: a core drops prefetches that are too many at once. At
// 16 lines a turn it reads 34 GB/s here and drops none.
enum { turn_bytes = 1024 };

// differs reads a word up to turns times, and returns the turn at which it no longer was seen,
// or turns. In each turn it prefetches the next bytes into the second cache.
static int differs(const uintptr_t *word, uintptr_t seen, int turns, uintptr_t address, intptr_t bytes) {
	for (int i = 0; i < turns; i++) {
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != seen) {
			return i;
		}
		for (int line = 0; line < turn_bytes && bytes > 0; line += 64, address += 64, bytes -= 64) {
			__builtin_prefetch((const void *)address, 0, 2);
		}
		RELAX();
	}
	return turns;
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
// longestSpin, and at once while other processes need the cores. Meanwhile it prefetches what
// c wants of ahead; nil: nothing.
func (p *patience) spin(word *uintptr, seen uintptr, ahead *atomic.Pointer[Ahead], c *cursor) bool {
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
		turns, address, bytes := spinTurns, uintptr(0), 0
		if c != nil {
			c.want(ahead.Load())
			if address, bytes = c.take(spinTurns * C.turn_bytes); bytes > 0 {
				turns = (bytes + C.turn_bytes - 1) / C.turn_bytes
			}
		}
		took := int(C.differs((*C.uintptr_t)(unsafe.Pointer(word)), C.uintptr_t(seen), C.int(turns), C.uintptr_t(address), C.intptr_t(bytes)))
		if bytes > 0 {
			c.advance(min(bytes, took*C.turn_bytes))
		}
		if took < turns {
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
