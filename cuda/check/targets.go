package main

// A target is a GPU that there is machine code for. Bytes are KiB; see the table of technical specifications in the CUDA C++ Programming Guide.
type target struct {
	name         string
	threads      int // of a multiprocessor
	blocks       int // of a multiprocessor
	shared       int // KiB of a multiprocessor
	sharedBlock  int // KiB of a block
	systemShared int // bytes that the driver keeps in every block and ptxas reports with the kernel's own, where it has any
}

var targets = []target{
	{name: "sm_80", threads: 2048, blocks: 32, shared: 164, sharedBlock: 163},
	{name: "sm_86", threads: 1536, blocks: 16, shared: 100, sharedBlock: 99},
	{name: "sm_89", threads: 1536, blocks: 24, shared: 100, sharedBlock: 99},
	{name: "sm_90a", threads: 2048, blocks: 32, shared: 228, sharedBlock: 227, systemShared: reservedShared},
	{name: "sm_120", threads: 1536, blocks: 24, shared: 100, sharedBlock: 99, systemShared: reservedShared},
}

// The same for all of them.
const (
	warpThreads    = 32
	subPartitions  = 4     // of a multiprocessor; a warp lives in one
	registers      = 65536 // of a multiprocessor, and the most of a block
	registerUnit   = 256   // in which a warp gets registers
	sharedUnit     = 128   // in which a block gets shared memory
	reservedShared = 1024  // bytes of a block that the driver keeps
)

// blocksResident is how many blocks fit a multiprocessor at a time; 0: none does, and a launch fails. It is the calculation of cuda_occupancy.h.
func (t target) blocksResident(threads, registersPerThread, sharedBytes int) int {
	warps := (threads + warpThreads - 1) / warpThreads
	if warps == 0 || threads > 1024 || sharedBytes > t.sharedBlock<<10 {
		return 0
	}
	perWarp := roundUp(registersPerThread*warpThreads, registerUnit)
	if perWarp*roundUp(warps, subPartitions) > registers {
		return 0
	}
	blocks := min(t.blocks, t.threads/warpThreads/warps)
	if perWarp > 0 {
		blocks = min(blocks, registers/subPartitions/perWarp*subPartitions/warps)
	}
	return min(blocks, (t.shared<<10)/roundUp(sharedBytes+reservedShared, sharedUnit))
}

// occupancy is the share of a multiprocessor's threads that these blocks have, in per cent.
func (t target) occupancy(threads, blocks int) int {
	return 100 * blocks * roundUp(threads, warpThreads) / t.threads
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }
