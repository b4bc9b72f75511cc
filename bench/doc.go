// Package bench measures whole training steps, and stores the results: each figure with
// its machine, its commit and the peer measured with it.
package bench
