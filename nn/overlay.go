package nn

import "qlora/bindings"

// An Overlay is a set of adapters of a model. A model may have several, of which one is in
// use at a time: see TakeOff.
type Overlay struct {
	id        *overlayID
	adapters  []*bindings.Adapter // of Projections
	biases    adapterBiases
	head      *HeadAdapter
	embedding *EmbeddingAdapter
}

// An overlayID tells which adapters a model has on.
type overlayID struct{ _ byte }

// TakeOff takes the adapters off the model, which is then the base alone, and returns them.
// Prepare plans for them, too, and Load completes them.
func (m *Model) TakeOff() *Overlay {
	o := m.PutOn(m.Bare())
	m.overlays = append(m.overlays, o)
	return o
}

// Bare returns an overlay without adapters: with it on, the model is the base alone.
func (m *Model) Bare() *Overlay {
	return &Overlay{adapters: make([]*bindings.Adapter, len(m.Projections()))}
}

// PutOn replaces the model's adapters by those of o and returns the former ones.
func (m *Model) PutOn(o *Overlay) *Overlay {
	before := &Overlay{id: m.on, biases: m.biases, head: m.Head.adapter, embedding: m.Embedding.adapter}
	for i, p := range m.Projections() {
		before.adapters = append(before.adapters, p.Adapter)
		p.Adapter = o.adapters[i]
	}
	m.biases, m.Head.adapter, m.Embedding.adapter = o.biases, o.head, o.embedding
	if o.id == nil {
		o.id = new(overlayID)
	}
	m.on = o.id
	return before
}

// with calls do with the adapters of o on. Two adapters on the head may have one weight for
// the loss: it has the B of those that are on.
func (m *Model) with(dev bindings.Device, o *Overlay, do func() error) error {
	before := m.PutOn(o)
	m.Head.adapter.derive(dev)
	err := do()
	m.PutOn(before)
	m.Head.adapter.derive(dev)
	return err
}

// eachOverlay calls do without overlays and with each, and returns the first error.
func (m *Model) eachOverlay(do func() error) error {
	if err := do(); err != nil {
		return err
	}
	for _, o := range m.overlays {
		before := m.PutOn(o)
		err := do()
		*o = *m.PutOn(before) // do may have changed it
		if err != nil {
			return err
		}
	}
	return nil
}
