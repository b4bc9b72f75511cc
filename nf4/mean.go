package nf4

import "math/bits"

// mean returns torch.mean of a float32 vector, in torch's order of addition on a CPU with AVX2
// and one thread (ATen, SumKernel.cpp, cascade_sum): 8 lanes by 4 rows of running sums, spilled
// into three coarser levels, so that the error grows with the logarithm of the length. Other
// machines add in other orders. The mean is stored with the codes, so only the bits of a file
// depend on the order.
func mean(x []float32) float32 { return sum(x) / float32(len(x)) }

const (
	lanes  = 8 // float32s in a vector
	rows   = 4 // vectors summed in parallel
	levels = 4
)

// A partial is one running sum for each lane of each row.
type partial [rows * lanes]float32

func (p *partial) add(x *partial) {
	for i, v := range x {
		p[i] += v
	}
}

func sum(x []float32) float32 {
	vectors := len(x) / lanes
	steps := vectors / rows
	acc := cascade(x, steps)

	for v := steps * rows; v < vectors; v++ {
		for lane := range lanes {
			acc[lane] += x[v*lanes+lane]
		}
	}
	for row := 1; row < rows; row++ {
		for lane := range lanes {
			acc[lane] += acc[row*lanes+lane]
		}
	}
	var total float32
	for _, v := range x[vectors*lanes:] {
		total += v
	}
	for _, v := range acc[:lanes] {
		total += v
	}
	return total
}

// cascade sums the first steps partials of x.
func cascade(x []float32, steps int) partial {
	logSteps := 0
	if steps > 1 {
		logSteps = bits.Len(uint(steps - 1)) // rounded up
	}
	power := max(4, logSteps/levels)
	var acc [levels]partial
	i := 0
	for i+1<<power <= steps {
		for range 1 << power {
			acc[0].add((*partial)(x[i*len(partial{}):]))
			i++
		}
		for level := 1; level < levels; level++ {
			acc[level].add(&acc[level-1])
			acc[level-1] = partial{}
			if i>>(level*power)&(1<<power-1) != 0 {
				break
			}
		}
	}
	for ; i < steps; i++ {
		acc[0].add((*partial)(x[i*len(partial{}):]))
	}
	for level := 1; level < levels; level++ {
		acc[0].add(&acc[level])
	}
	return acc[0]
}
