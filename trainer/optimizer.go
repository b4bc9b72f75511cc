package trainer

import "qlora/bindings"

// optimizer is the rule that the parameters are moved by, and what it keeps of them.
func (a *Args) optimizer() bindings.State {
	return bindings.State{Rule: bindings.AdamW{Beta1: a.AdamBeta1, Beta2: a.AdamBeta2, Eps: a.AdamEpsilon}}
}
