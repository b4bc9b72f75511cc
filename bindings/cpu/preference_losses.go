package cpu

import (
	"math"

	"qlora/bindings"
)

// pair returns a loss of a pair and its derivatives by c and r; nc and nr are the
// completions' tokens.
func (s *preferred) pair(loss bindings.PreferenceLoss, c, r, nc, nr float64) (value, dc, dr float64) {
	beta, x := s.beta, s.beta*(c-r)
	switch loss {
	case bindings.LossSigmoid:
		x -= float64(s.op.Margin)
		return -logSigmoid(x), -beta * sigmoid(-x), beta * sigmoid(-x)
	case bindings.LossSmoothed:
		v, dx := s.logistic(x - float64(s.op.Margin))
		return v, beta * dx, -beta * dx
	case bindings.LossNorm:
		x = beta*(c/nc-r/nr) - float64(s.op.Margin)
		return -logSigmoid(x), -beta * sigmoid(-x) / nc, beta * sigmoid(-x) / nr
	case bindings.LossHinge:
		if x >= 1 {
			return 0, 0, 0
		}
		return 1 - x, -beta, beta
	case bindings.LossIPO:
		e := c/nc - r/nr - 1/(2*beta)
		return e * e, 2 * e / nc, -2 * e / nr
	case bindings.LossRobust:
		e := s.smoothing
		dx := (-(1-e)*sigmoid(-x) - e*sigmoid(x)) / (1 - 2*e)
		return (-(1-e)*logSigmoid(x) + e*logSigmoid(-x)) / (1 - 2*e), beta * dx, -beta * dx
	case bindings.LossEXO:
		e, q := s.smoothing, sigmoid(x)
		dx := q * (1 - q) * (x - math.Log1p(-e) + math.Log(e))
		return q*(logSigmoid(x)-math.Log1p(-e)) + (1-q)*(logSigmoid(-x)-math.Log(e)), beta * dx, -beta * dx
	case bindings.LossNCA:
		v := -logSigmoid(beta*c) - logSigmoid(-beta*c)/2 - logSigmoid(-beta*r)/2
		return v, beta * (sigmoid(beta*c)/2 - sigmoid(-beta*c)), beta * sigmoid(beta*r) / 2
	case bindings.LossBCO:
		return -logSigmoid(beta*c) - logSigmoid(-beta*r), -beta * sigmoid(-beta*c), beta * sigmoid(beta*r)
	case bindings.LossSPPO:
		a, b := c-1/(2*beta), r+1/(2*beta)
		return a*a + b*b, 2 * a, 2 * b
	case bindings.LossAPOZero:
		return sigmoid(-beta*c) + sigmoid(beta*r), -beta * sigmoidSlope(beta*c), beta * sigmoidSlope(beta*r)
	case bindings.LossAPODown:
		dx := beta * sigmoidSlope(x)
		return sigmoid(beta*c) + sigmoid(-x), beta*sigmoidSlope(beta*c) - dx, dx
	case bindings.LossDiscoPOP:
		tau := float64(s.op.Temperature)
		m, dm, e := sigmoid(x/tau), sigmoidSlope(x/tau)/tau, math.Exp(-x)
		dx := -sigmoid(-x)*(1-m) + logSigmoid(x)*dm - e*m + e*dm
		return -logSigmoid(x)*(1-m) + e*m, beta * dx, -beta * dx
	case bindings.LossOdds:
		o := logOdds(c) - logOdds(r)
		do := -beta * sigmoid(-o)
		return -beta * logSigmoid(o), do / -math.Expm1(c), -do / -math.Expm1(r)
	}
	return math.NaN(), math.NaN(), math.NaN()
}

// judged returns a loss of a judged completion and its derivative by l.
func (s *preferred) judged(loss bindings.PreferenceLoss, l float64, good bool) (value, dl float64) {
	weight, sign := float64(s.op.UndesirableWeight), -1.0
	if good {
		weight, sign = float64(s.op.DesirableWeight), 1
	}
	z := s.z
	if loss == bindings.LossAPOZeroUnpaired {
		z = 0
	}
	x := sign * s.beta * (l - z)
	return weight * sigmoid(-x), -weight * sign * s.beta * sigmoidSlope(x)
}

// logistic returns the smoothed -ln σ(x) and its derivative.
func (s *preferred) logistic(x float64) (value, dx float64) {
	e := s.smoothing
	return -(1-e)*logSigmoid(x) - e*logSigmoid(-x), -(1-e)*sigmoid(-x) + e*sigmoid(x)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// sigmoidSlope returns σ'(x).
func sigmoidSlope(x float64) float64 { return sigmoid(x) * sigmoid(-x) }

// logSigmoid returns ln σ(x).
func logSigmoid(x float64) float64 { return min(x, 0) - math.Log1p(math.Exp(-math.Abs(x))) }

// logOdds returns ln(p/(1-p)) of p = exp(a).
func logOdds(a float64) float64 { return a - math.Log(-math.Expm1(a)) }
