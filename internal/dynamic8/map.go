package dynamic8

import "slices"

// dynamicMap returns the value of every code, sorted: for each of seven powers of ten
// the midpoints of evenly spaced bounds, twice as many for each larger power, with both
// signs or, unsigned, twice as many of one; and 0 and 1.
func dynamicMap(signed bool) [256]float32 {
	values := make([]float32, 0, 256)
	power := float32(1e-6)
	for i, next := range [...]float32{1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 1} {
		intervals := 1 << i
		if !signed {
			intervals *= 2
		}
		for j := range intervals {
			middle := (bound(j, intervals) + bound(j+1, intervals)) / 2
			values = append(values, power*middle)
			if signed {
				values = append(values, -power*middle)
			}
		}
		power = next
	}
	values = append(values, 0, 1)
	slices.Sort(values)
	return [256]float32(values)
}

// bound returns the i-th of the n+1 evenly spaced values from 0.1 to 1, counted from the
// nearer end and rounded once, as torch.linspace does. Products and sums of such
// float32s are exact in float64.
func bound(i, n int) float32 {
	const first, last = float32(0.1), float32(1)
	step := float64((last - first) / float32(n))
	if i < (n+1)/2 {
		return float32(float64(first) + step*float64(i))
	}
	return float32(float64(last) - step*float64(n-i))
}
