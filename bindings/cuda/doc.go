// Package cuda runs the operations on an NVIDIA GPU, or on an emulator of one, with the
// kernels of the folder cuda. It loads their library at run time (cuda/include/qlora.h is
// the interface), so building the program, planning a run and running without a GPU need
// nothing of CUDA.
//
// This package composes each operation of package bindings from kernels and allocates
// the scratch between them; the plan of a run is the same composition without launches.
// Activations are bfloat16, sums are float32.
//
// On the emulator a kernel may access only the tensors of the current operation and its
// scratch.
package cuda
