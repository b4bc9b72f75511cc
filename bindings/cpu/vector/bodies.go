package vector

// #include "vector.h"
import "C"

// bodies returns the names of the bodies that this processor runs, the fastest first,
// which is the one in use.
func bodies() []string {
	var names []string
	for i := C.int(0); ; i++ {
		name := C.vector_body(i)
		if name == nil {
			return names
		}
		names = append(names, C.GoString(name))
	}
}

// use selects the i-th of bodies.
func use(i int) { C.vector_use(C.int(i)) }
