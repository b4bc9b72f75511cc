// Package cuda is the device that runs the operations on an NVIDIA GPU, or on an
// emulator of one, by the kernels of the folder cuda: a library of them is opened
// while the program runs (cuda/include/qlora.h is its interface), and nothing of CUDA
// is needed to build the program, to plan a run, or to do without a GPU.
//
// The library has kernels; an operation of package bindings is composed of them here,
// and what lies between two kernels is laid out here: the plan of a run is the same
// composing, without a launch. Activations are bfloat16, sums are float32.
//
// On the emulator each kernel may touch the tensors of the operation under way and
// its scratch, and nothing else.
package cuda
