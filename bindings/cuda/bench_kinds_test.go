package cuda

import (
	"qlora/bench/gpu/plan"
	"qlora/bindings"
)

// A timed is one kind of measurement.
type timed struct {
	// lay plans one set of operands and returns the call on it.
	lay lay
	// cost returns the minimum operations and bytes; nil: the plan's.
	cost func(get func(string) float64) (operations, bytes float64)
}

// kinds holds all measurements, those of the plan by its names. The others measure a
// step's other kernels, and compare alternatives.
var kinds = map[string]timed{
	plan.Copy:              {lay: layCopy},
	plan.GemmForward:       {lay: layGemmForward},
	plan.GemmInputGradient: {lay: layGemmInputGradient},
	plan.NF4Forward:        {lay: layNF4Forward(anyWay)},
	plan.NF4InputGradient:  {lay: layNF4InputGradient(anyWay)},
	plan.Decode:            {lay: layDecode((*operands).packed)},
	plan.AttentionForward:  {lay: layAttentionForward(nil)},
	plan.AttentionBackward: {lay: layAttentionBackward(nil)},
	plan.CrossEntropy:      {lay: layCrossEntropy(0)},
	plan.AdamW:             {lay: layAdamW(false)},
	plan.AdamW8bit:         {lay: layAdamW(true)},

	"nf4-forward-fused":          {lay: layNF4Forward(fusedWay), cost: productCost},
	"nf4-forward-decoded":        {lay: layNF4Forward(decodedWay), cost: productCost},
	"nf4-input-gradient-fused":   {lay: layNF4InputGradient(fusedWay), cost: productCost},
	"nf4-input-gradient-decoded": {lay: layNF4InputGradient(decodedWay), cost: productCost},
	"decode-nested": {lay: layDecode((*operands).nested), cost: func(get func(string) float64) (float64, float64) {
		return 0, get("in") * get("out") * (0.5 + 1./64 + 4./(64*256) + 2)
	}},
	"quantize": {lay: layQuantize, cost: func(get func(string) float64) (float64, float64) {
		return 0, get("in") * get("out") * (2 + nf4Bytes)
	}},
	"gemv": {lay: layGemv, cost: productCost},

	"lora-down":       {lay: layLoraDown, cost: thinCost("in")},
	"lora-pull":       {lay: layLoraPull, cost: pullCost},
	"lora-gradient-a": {lay: layLoraGradient("in"), cost: thinCost("in")},
	"lora-gradient-b": {lay: layLoraGradient("out"), cost: thinCost("out")},
	"lora-forward":    {lay: layLoraForward, cost: loraCost(1, 1)},
	"lora-backward":   {lay: layLoraBackward, cost: loraCost(1, 2)},

	"attention-forward-capped":   {lay: layAttentionForward(capped), cost: planned(plan.AttentionForward)},
	"attention-forward-biased":   {lay: layAttentionForward(biased), cost: planned(plan.AttentionForward)},
	"attention-forward-dropped":  {lay: layAttentionForward(dropped), cost: planned(plan.AttentionForward)},
	"attention-backward-capped":  {lay: layAttentionBackward(capped), cost: planned(plan.AttentionBackward)},
	"attention-backward-biased":  {lay: layAttentionBackward(biased), cost: planned(plan.AttentionBackward)},
	"attention-backward-dropped": {lay: layAttentionBackward(dropped), cost: planned(plan.AttentionBackward)},
	"cross-entropy-capped":       {lay: layCrossEntropy(30), cost: planned(plan.CrossEntropy)},

	"rmsnorm-forward":    {lay: layNorm(false), cost: movedCost("width", 2)},
	"rmsnorm-backward":   {lay: layNormBackward(false), cost: movedCost("width", 3)},
	"layernorm-forward":  {lay: layNorm(true), cost: movedCost("width", 2)},
	"layernorm-backward": {lay: layNormBackward(true), cost: movedCost("width", 3)},
	"swiglu-forward":     {lay: layActivate(bindings.SiLU, true), cost: movedCost("width", 3)},
	"swiglu-backward":    {lay: layActivateBackward(bindings.SiLU, true), cost: movedCost("width", 5)},
	"geglu-forward":      {lay: layActivate(bindings.GELUTanh, true), cost: movedCost("width", 3)},
	"geglu-backward":     {lay: layActivateBackward(bindings.GELUTanh, true), cost: movedCost("width", 5)},
	"gelu-forward":       {lay: layActivate(bindings.GELU, false), cost: movedCost("width", 2)},
	"gelu-backward":      {lay: layActivateBackward(bindings.GELU, false), cost: movedCost("width", 3)},
	"relu2-forward":      {lay: layActivate(bindings.ReLUSquared, false), cost: movedCost("width", 2)},
	"relu2-backward":     {lay: layActivateBackward(bindings.ReLUSquared, false), cost: movedCost("width", 3)},
	"rope":               {lay: layRoPE(false), cost: movedCost("width", 2)},
	"rope-interleaved":   {lay: layRoPE(true), cost: movedCost("width", 2)},
	"add":                {lay: layAdd(0), cost: movedCost("width", 3)},
	"add-dropped":        {lay: layAdd(0.1), cost: movedCost("width", 3)},
	"clamp":              {lay: layClamp, cost: movedCost("width", 2)},
	"clamp-backward":     {lay: layClampBackward, cost: movedCost("width", 3)},
	"copy-heads":         {lay: layCopyHeads, cost: movedCost("width", 2)},
	"embed":              {lay: layEmbed(false), cost: movedCost("width", 2)},
	"embed-accumulate":   {lay: layEmbed(true), cost: movedCost("width", 3)},
	"embed-backward":     {lay: layEmbedBackward, cost: movedCost("width", 5)}, // bf16 once, float32 read and written
	"head-loss": {lay: layHeadLoss, cost: func(get func(string) float64) (float64, float64) {
		in, out, tokens := get("in"), get("vocabulary"), get("tokens")
		return 2 * 2 * in * out * tokens, 2 * (in*out + 2*tokens*in)
	}},
	"gradient-norm": {lay: layGradNorm, cost: func(get func(string) float64) (float64, float64) { return 0, 4 * get("parameters") }},
}

// nf4Bytes is the bytes per 4-bit weight with one float32 scale per 64.
const nf4Bytes = 0.5 + 4./64

func productCost(get func(string) float64) (operations, bytes float64) {
	in, out, tokens := get("in"), get("out"), get("tokens")
	return 2 * in * out * tokens, in*out*nf4Bytes + 2*tokens*(in+out)
}

// thinCost returns the cost of a product of [tokens, width] with an adapter's matrix of
// that width.
func thinCost(side string) func(func(string) float64) (float64, float64) {
	return func(get func(string) float64) (operations, bytes float64) {
		width, rank, tokens := get(side), get("rank"), get("tokens")
		return 2 * width * rank * tokens, 2*tokens*(width+rank) + 2*width*rank
	}
}

// pullCost returns the cost of U and dB: dY once, and the partial sums written and read.
func pullCost(get func(string) float64) (operations, bytes float64) {
	out, rank, tokens := get("out"), get("rank"), get("tokens")
	columns := ceil(int(out), pulledOuts)
	pieces := pulledPieces(int(tokens), columns)
	sums := 8 * rank * (float64(columns)*tokens + float64(pieces)*out)
	operands := 2*rank*(float64(pieces)*out+float64(columns)*tokens) + 2*rank*tokens + 8*rank*out // B, XA, U, dB
	return 4 * out * rank * tokens, 2*tokens*out + sums + operands
}

// loraCost returns the cost of a linear layer with its adapter: base products with the
// weight, and thin products with each of A and B.
func loraCost(base, thin float64) func(func(string) float64) (float64, float64) {
	return func(get func(string) float64) (operations, bytes float64) {
		in, out, rank, tokens := get("in"), get("out"), get("rank"), get("tokens")
		return 2 * tokens * (base*in*out + thin*rank*(in+out)), base*in*out*nf4Bytes + 2*tokens*(in+out)
	}
}

// planned returns the plan's cost of another name at the same shape: the extras of
// attention and the losses add no product and no significant bytes.
func planned(what string) func(func(string) float64) (float64, float64) {
	return func(get func(string) float64) (operations, bytes float64) {
		m := plan.Measurement{What: what}
		for _, f := range plan.Of(what)[0].Shape {
			m.Shape = append(m.Shape, plan.Field{Name: f.Name, Value: int64(get(f.Name))})
		}
		return m.Cost()
	}
}

// movedCost returns the cost of reading or writing so many bf16 matrices [tokens, width].
func movedCost(width string, matrices float64) func(func(string) float64) (float64, float64) {
	return func(get func(string) float64) (operations, bytes float64) {
		return 0, 2 * matrices * get("tokens") * get(width)
	}
}

func costOf(m plan.Measurement) (operations, bytes float64) {
	if cost := kinds[m.What].cost; cost != nil {
		return cost(func(name string) float64 { return float64(m.Get(name)) })
	}
	return m.Cost()
}

// measurements returns the plan's measurements, and ours at shapes of Llama 8B with
// adapters of rank 16.
func measurements() []plan.Measurement {
	all := plan.All()
	add := func(what string, shape ...plan.Field) {
		all = append(all, plan.Measurement{What: what, Shape: shape})
	}
	field := func(name string, value int64) plan.Field { return plan.Field{Name: name, Value: value} }
	square, up, down := [2]int64{4096, 4096}, [2]int64{4096, 14336}, [2]int64{14336, 4096}
	for _, w := range [][2]int64{square, up, down} {
		in, out := field("in", w[0]), field("out", w[1])
		add("decode-nested", in, out)
		add("quantize", in, out)
		for _, tokens := range []int64{1, 4} {
			add("gemv", in, out, field("tokens", tokens))
		}
		for _, what := range []string{"nf4-forward", "nf4-input-gradient"} {
			for _, tokens := range []int64{64, 128, 256, 512, 2048} {
				add(what+"-fused", in, out, field("tokens", tokens))
				add(what+"-decoded", in, out, field("tokens", tokens))
			}
		}
		rank := field("rank", 16)
		for _, tokens := range []int64{2048, 8192} {
			add("lora-forward", in, out, rank, field("tokens", tokens))
			add("lora-backward", in, out, rank, field("tokens", tokens))
		}
	}
	for _, tokens := range []int64{512, 2048, 8192} {
		t := field("tokens", tokens)
		for _, width := range []int64{4096, 14336} {
			rank := field("rank", 16)
			add("lora-down", field("in", width), rank, t)
			add("lora-pull", field("out", width), rank, t)
			add("lora-gradient-a", field("in", width), rank, t)
			add("lora-gradient-b", field("out", width), rank, t)
		}
		hidden, inner := field("width", 4096), field("width", 14336)
		for _, pass := range []string{"-forward", "-backward"} {
			add("rmsnorm"+pass, t, hidden)
			add("layernorm"+pass, t, hidden)
			for _, activation := range []string{"swiglu", "geglu", "gelu", "relu2"} {
				add(activation+pass, t, inner)
			}
		}
		for _, what := range []string{"add", "add-dropped", "clamp", "clamp-backward"} {
			add(what, t, hidden)
		}
		for _, what := range []string{"rope", "rope-interleaved", "copy-heads"} {
			add(what, t, hidden, field("head_dim", 128))
		}
		for _, what := range []string{"embed", "embed-accumulate", "embed-backward"} {
			add(what, t, hidden, field("vocabulary", 128256))
		}
	}
	for _, pass := range []string{plan.AttentionForward, plan.AttentionBackward} {
		for _, with := range []string{"-capped", "-biased", "-dropped"} {
			add(pass+with, plan.Of(pass)[0].Shape...)
		}
	}
	add("cross-entropy-capped", plan.Of(plan.CrossEntropy)[0].Shape...)
	add("head-loss", field("tokens", 2048), field("in", 4096), field("vocabulary", 128256))
	adam := plan.Of(plan.AdamW)[0]
	add("gradient-norm", adam.Shape...)
	return all
}
