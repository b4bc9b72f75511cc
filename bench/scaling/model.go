package main

// A model is what of a QLoRA model matters here: rank 16 on all linear layers, 4-bit
// weights with double quantization, as `qlora plan` counts them.
type model struct {
	name      string
	weights   float64 // of the linear layers
	layers    float64
	hidden    float64
	fourBit   float64 // bytes of the 4-bit weights
	trainable float64 // numbers
}

var models = []model{
	{"8B", 6.979e9, 32, 4096, 3.60e9, 41.9e6},
	{"70B", 68.45e9, 80, 8192, 35.31e9, 207.1e6},
}

// A gpu reaches a third to a half of its dense bfloat16 peak.
type gpu struct {
	name string
	rate float64 // FLOP/s
}

var (
	h100    = gpu{"H100", 350e12}
	a100    = gpu{"A100", 140e12}
	rtx4090 = gpu{"4090", 80e12}
)

// A cluster has nodes of equal GPUs. A ring sends every byte over every link, so the
// slowest link that it has to cross bounds it: within a node the GPUs' links, between
// nodes all network cards together, at 90 % of the line.
type cluster struct {
	name            string
	gpu             gpu
	perNode         int
	inside, between float64 // bytes/s
}

var clusters = []cluster{
	{"8 x H100, NVLink, 8 x 400 Gb/s a node", h100, 8, 380e9, 360e9},
	{"8 x H100, NVLink, 400 Gb/s", h100, 8, 380e9, 45e9},
	{"8 x H100, NVLink, 10 Gb/s", h100, 8, 380e9, 1.1e9},
	{"8 x A100, NVLink, 200 Gb/s", a100, 8, 230e9, 22e9},
	{"8 x 4090, PCIe 4, 10 Gb/s", rtx4090, 8, 21e9, 1.1e9},
	{"1 x 4090, 10 Gb/s", rtx4090, 1, 21e9, 1.1e9},
	{"1 x 4090, 1 Gb/s", rtx4090, 1, 21e9, 0.11e9},
}

const (
	tokens  = 2048 // of a micro-batch, one sequence
	onWire  = 8    // bytes of a gradient: a sum is one of 64-bit integers
	latency = 2e-5 // seconds a hop of a ring; NCCL takes trees from 64 ranks on
	hops    = 64
)

// microBatch returns the seconds of a micro-batch of one sequence: forward, forward again and the
// gradients of the inputs, and causal attention.
func microBatch(m model, g gpu, tokens float64) float64 {
	return (6*m.weights + 8*m.layers*m.hidden*tokens/2) * tokens / g.rate
}

// ring returns the seconds in which n ranks have all of some bytes that each has a part
// of; an all-reduce is two rings.
func ring(bytes float64, n int, link float64) float64 {
	return bytes * float64(n-1) / float64(n) / link
}

// replicas returns the share of its own speed that a GPU keeps in a run of n GPUs, each
// with the whole model and so many micro-batches a step.
func replicas(m model, c cluster, n, accumulation int) float64 {
	compute := float64(accumulation) * microBatch(m, c.gpu, tokens)
	return compute / (compute + sums(m, c, n))
}

// sums returns the seconds in which n GPUs add up their gradients.
func sums(m model, c cluster, n int) float64 {
	link := c.inside
	if n > c.perNode {
		link = c.between
	}
	return 2*ring(onWire*m.trainable, n, link) + latency*float64(min(n, hops))
}
