package cuda

import (
	"math"
	"runtime"

	"qlora/bindings"
)

// maps are the device's tables of 8-bit codes of moments.
type maps struct{ signed, unsigned *float }

// gradNorm sums squares of all gradients in one launch, and adds the sums in a second one.
func (c *composer) gradNorm(op *bindings.GradNorm) {
	c.squares(op.Params, gradNorm{max: float(op.Max), out: pointer[float](op.Out)})
}

// squares returns the table in which the sums of pieces follow the list.
func (c *composer) squares(params []bindings.Param, k gradNorm) (table tensor) {
	list := make([]param, len(params))
	for i := range params {
		g := params[i].Grad
		list[i] = param{n: i64(g.Len()), grad: pointer[float](g)}
	}
	k.count, k.table = i32(len(list)), c.table(len(list), bindings.Pieces(params, paramPiece))
	pinned(list, func(first *param) {
		k.params = first
		do(c, &k)
	})
	return k.table
}

// normLanes is the number of threads that add the sums of pieces.
const normLanes = 256

// squareSums takes the sums from where gradNorm leaves them.
func (c *composer) squareSums(op *bindings.SquareSums) {
	out := c.scratch.take(bindings.F32, 1, 2) // of these gradients alone: of no use
	table := c.squares(op.Params, gradNorm{out: (*float)(out.data)})
	from := tableBytes(len(op.Params))
	do(c, &convert{dst: matrix(op.Out.Raw()), src: columns(table, from, from+op.Out.Len()*8)})
}

// table allocates the device's list of parameters, the numbers of their pieces, and the
// sums of pieces.
func (c *composer) table(params, sums int) tensor {
	return c.scratch.take(bindings.U8, 1, tableBytes(params)+sums*8)
}

// tableBytes returns where the sums of pieces begin.
func tableBytes(params int) int { return params*paramBytes + (params+1)*8 }

// optimize updates all parameters in one launch.
func (c *composer) optimize(op *bindings.Optimize) {
	k := optimizeOf(op)
	k.map_signed, k.map_unsigned = c.maps.signed, c.maps.unsigned
	list := make([]param, len(op.Params))
	for i := range op.Params {
		list[i] = paramOf(op, &op.Params[i])
	}
	k.count, k.table = i32(len(list)), c.table(len(list), 0)
	pinned(list, func(first *param) {
		k.params = first
		do(c, &k)
	})
}

// optimizeOf returns the rule with its numbers, each rounded to float32 once, as torch
// rounds a Python number combined with a float32 tensor.
func optimizeOf(op *bindings.Optimize) optimize {
	k := optimize{clip: pointer[float](op.Clip)}
	switch r := op.Rule.(type) {
	case bindings.AdamW:
		k.rule = ruleAdamW
		k.beta1, k.one_minus_beta1 = float(r.Beta1), float(1-r.Beta1)
		k.beta2, k.one_minus_beta2 = float(r.Beta2), float(1-r.Beta2)
		k.eps = float(r.Eps)
		k.correction1 = float(1 - math.Pow(r.Beta1, float64(op.Step)))
		k.correction2_sqrt = float(math.Sqrt(1 - math.Pow(r.Beta2, float64(op.Step))))
	case bindings.Lion:
		k.rule = ruleLion
		k.beta1, k.one_minus_beta1 = float(r.Beta1), float(1-r.Beta1)
		k.beta2, k.one_minus_beta2 = float(r.Beta2), float(1-r.Beta2)
	case bindings.SGD:
		k.rule = ruleSGD
		k.beta1, k.beta2, k.one_minus_beta2 = float(r.Momentum), float(r.Dampening), float(1-r.Dampening)
		k.first_step, k.nesterov = flag(op.Step == 1), flag(r.Nesterov)
	default:
		panic("cuda: a rule that Check does not let through")
	}
	return k
}

func paramOf(op *bindings.Optimize, p *bindings.Param) param {
	lr, decay := op.LR*p.Rate, 0.0
	if p.Decay {
		decay = op.WeightDecay
	}
	k := param{
		n: i64(p.Master.Len()), master: pointer[float](p.Master), grad: pointer[float](p.Grad),
		m: address(p.M.Values), m_absmax: pointer[float](p.M.Absmax),
		v: address(p.V.Values), v_absmax: pointer[float](p.V.Absmax),
		lr: float(lr), decay: float(1 - lr*decay),
	}
	if _, ok := op.Rule.(bindings.SGD); ok {
		k.decay = float(decay)
	}
	if p.Value != p.Master {
		k.value, k.value_dtype = address(p.Value), i32(p.Value.DType)
	}
	return k
}

// pinned calls do with list pinned for C.
func pinned(list []param, do func(first *param)) {
	if len(list) == 0 {
		do(nil)
		return
	}
	var p runtime.Pinner
	defer p.Unpin()
	p.Pin(&list[0])
	do(&list[0])
}
