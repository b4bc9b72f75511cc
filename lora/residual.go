package lora

// BeginsWithBase reports whether the adapters begin with a part of the base's
// weights, which those are then held without: see Residual.
func (a *Adapters) BeginsWithBase() bool { return len(a.starts) > 0 }

// Residual leaves in w, the original weight [out, in] of the linear layer called
// name, what the base holds under an adapter that begins with a part of it, as PEFT
// computes it when it reads the adapter. It changes nothing of other layers.
func (a *Adapters) Residual(name string, w []float32) {
	for i := range a.starts {
		if s := &a.starts[i]; s.of.Name == name {
			m := matrix(w, s.of.Weight.Out, s.of.Weight.In)
			a.decompose(s, m, 0)
			narrow(w, m)
		}
	}
}
