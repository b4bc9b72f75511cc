// Package bench measures whole training steps, and holds what was measured: each
// figure with its machine, its commit and the peer that ran beside it.
package bench
