package cpu

// capSlopes computes slope = 1 - (y/limit)², the derivative of y = limit·tanh(x/limit).
func capSlopes(slope, y []float32, limit float32) {
	slope = slope[:len(y)]
	for i, v := range y {
		t := v / limit
		slope[i] = (1 - t) * (1 + t)
	}
}
