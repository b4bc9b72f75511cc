// Package bindings is the boundary between the transformer and the machine it
// runs on: tensors, the memory they lie in, and one set of coarse operations
// that every device implements.
//
// A micro-batch is flat: [tokens, hidden], with the sequences' boundaries next to it.
// There is no padding. Every operation has its backward written out; there is
// no tape.
//
// Operations are asynchronous: a call enqueues work and returns. A device
// remembers the first error and returns it at the next Sync or Read, so that a
// step is a straight line of calls. Operations neither allocate nor
// synchronise; all memory comes from a [Memory] that is planned, and taken
// whole, before the first of them runs.
//
// The order of the arithmetic inside an operation is the device's own; what it
// computes is fixed by the conformance suite (bindings/conformance).
package bindings
