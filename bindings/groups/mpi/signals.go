package mpi

import "syscall"

// signals names the signals of a set, bit s-1 for signal s.
func signals(set uint64) []string {
	var names []string
	for s := range 64 {
		if set>>s&1 != 0 {
			names = append(names, syscall.Signal(s+1).String())
		}
	}
	return names
}
