// Package bindings is the interface between the transformer and a device: tensors,
// their memory, and one set of coarse operations that every device implements.
//
// A micro-batch is flat, [tokens, hidden] with the boundaries of its sequences, and
// without padding. Every operation has an explicit backward; there is no tape.
//
// Operations are asynchronous: a call enqueues work and returns. A device keeps the
// first error and returns it from the next Sync or Read, so a step is a straight line
// of calls. Operations neither allocate nor synchronize: all memory comes from a
// [Memory] that is planned and allocated before the first operation.
//
// The order of arithmetic inside an operation is up to the device. The conformance
// suite (bindings/conformance) defines the result and its tolerance.
package bindings
