package lora

// ChangesBase reports whether the adapters were initialized from the base's weights,
// which are then stored without that part: see Residual.
func (a *Adapters) ChangesBase() bool { return len(a.starts) > 0 }

// Residual leaves in w, the original weight [out, in] of the linear layer called
// name, what the base stores under an adapter that was initialized from it, as PEFT
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
