package conformance

import "math"

// adamw is one step of decoupled weight decay (Loshchilov & Hutter 2019).
func adamw(w, g, m, v, lr, beta1, beta2, eps, decay float64, step int) (w1, m1, v1 float64) {
	w *= 1 - lr*decay
	m = beta1*m + (1-beta1)*g
	v = beta2*v + (1-beta2)*g*g
	mHat := m / (1 - math.Pow(beta1, float64(step)))
	vHat := v / (1 - math.Pow(beta2, float64(step)))
	return w - lr*mHat/(math.Sqrt(vHat)+eps), m, v
}
