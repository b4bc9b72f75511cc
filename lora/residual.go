package lora

// ChangesBase reports whether the adapters are initialized from the base's weights, so
// that the base stores only the [Adapters.Residual].
func (a *Adapters) ChangesBase() bool { return len(a.starts) > 0 }

// Residual replaces w, the original weight [out, in] of the linear layer called name,
// by what the base stores under an adapter that is initialized from it, computed as
// PEFT does on reading. It leaves other layers unchanged.
func (a *Adapters) Residual(name string, w []float32) {
	for i := range a.starts {
		if s := &a.starts[i]; s.of.Name == name {
			m := matrix(w, s.of.Weight.Out, s.of.Weight.In)
			a.decompose(s, m, 0)
			narrow(w, m)
		}
	}
}
