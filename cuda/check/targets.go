package main

// A target is a GPU architecture with machine code in the library. Sizes are in KiB
// unless noted; see the table of technical specifications in the CUDA C++ Programming
// Guide.
type target struct {
	name         string
	threads      int // per multiprocessor
	blocks       int // per multiprocessor
	shared       int // KiB per multiprocessor
	sharedBlock  int // KiB per block
	systemShared int // bytes per block reserved by the driver, which ptxas includes in a kernel's shared memory, if any
}

var targets = []target{
	{name: "sm_80", threads: 2048, blocks: 32, shared: 164, sharedBlock: 163},
	{name: "sm_86", threads: 1536, blocks: 16, shared: 100, sharedBlock: 99},
	{name: "sm_89", threads: 1536, blocks: 24, shared: 100, sharedBlock: 99},
	{name: "sm_90a", threads: 2048, blocks: 32, shared: 228, sharedBlock: 227, systemShared: reservedShared},
	{name: "sm_120", threads: 1536, blocks: 24, shared: 100, sharedBlock: 99, systemShared: reservedShared},
}

// Limits that all targets share.
const (
	warpThreads    = 32
	subPartitions  = 4     // per multiprocessor; a warp runs on one
	registers      = 65536 // per multiprocessor, and at most per block
	registerUnit   = 256   // allocation unit of a warp's registers
	sharedUnit     = 128   // allocation unit of a block's shared memory
	reservedShared = 1024  // bytes per block reserved by the driver
)

// blocksResident returns how many blocks fit a multiprocessor at a time, as
// cuda_occupancy.h computes it. With 0, a launch fails.
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

// occupancy returns the share of a multiprocessor's threads that these blocks use, in
// per cent.
func (t target) occupancy(threads, blocks int) int {
	return 100 * blocks * roundUp(threads, warpThreads) / t.threads
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }
