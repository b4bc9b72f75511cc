package pool

import "runtime"

// processors is GOMAXPROCS at the program's start.
var processors = runtime.GOMAXPROCS(0)

// Processors returns how many threads the program runs at once: GOMAXPROCS without the spare one.
func Processors() int {
	if n := runtime.GOMAXPROCS(0); n != processors+1 {
		return n
	}
	return processors
}

// spare adds one to GOMAXPROCS, unless the program has changed it. Go's monitor takes the processor
// of a thread that is in C for more than 20 µs, if none is idle, and wakes another thread that looks
// for work; with a lane on each it did so thousands of times a second, and a step took a fifth longer.
// While one is idle it waits for 10 ms.
func spare() {
	if runtime.GOMAXPROCS(0) == processors {
		runtime.GOMAXPROCS(processors + 1)
	}
}
