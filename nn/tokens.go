package nn

import (
	"slices"

	"qlora/bindings"
	"qlora/checkpoint"
)

// Tokens are ids whose rows of the embedding and of the head are trained next to
// adapters, as PEFT's trainable_token_indices. Rows of the embedding alone are the
// head's, too, if it is tied; ids of a tied head separate it.
type Tokens struct{ Embedding, Head []int32 }

func (t *Tokens) equal(o *Tokens) bool {
	return slices.Equal(t.Embedding, o.Embedding) && slices.Equal(t.Head, o.Head)
}

// Rows are the trained rows of one table. The table on the device has them in their
// places: [Model.Derive] copies them there.
type Rows struct {
	Module string
	IDs    []int32
	Value  bindings.Tensor // F32 [ids, features]

	stored string          // the table's name in the base
	table  bindings.Tensor // [vocabulary, features]
	grad   bindings.Tensor // F32 [ids + 1, features]; the last row is none's
	placed bool            // a micro-batch has places
	places bindings.Tensor // I32 [1, tokens]: each token's row of grad
	whole  bindings.Tensor // F32, gradient of the table, if a head adds to it; then grad is gathered from it
}

// rowsName is the end of the name of the trained rows of a module.
const rowsName = ".token_adapter.trainable_tokens_delta"

// Name returns the name of the rows' tensor in PEFT.
func (r *Rows) Name() string { return r.Module + rowsName }

// TrainedRows returns the trained rows of the embedding and the head.
func (m *Model) TrainedRows() []*Rows { return m.rows }

// tokensOf returns the trained ids of a module.
func (d *declarer) tokensOf(module string) []int32 {
	t := &d.m.Options.Modules.Tokens
	switch module {
	case d.m.Embedding.Name:
		return t.Embedding
	case d.m.Head.Name:
		return t.Head
	}
	return nil
}

// trainRows lays out the trained rows of a table.
func (d *declarer) trainRows(module, stored string, table bindings.Tensor) *Rows {
	ids := d.tokensOf(module)
	if len(ids) == 0 {
		return nil
	}
	seen := map[int32]bool{}
	for _, id := range ids {
		switch {
		case id < 0 || int(id) >= table.Rows:
			d.fail("trainable_token_indices has %d, but %s has rows 0 to %d", id, module, table.Rows-1)
		case seen[id]:
			d.fail("trainable_token_indices has %d twice", id)
		}
		seen[id] = true
	}
	if d.trains(module) {
		d.fail("%s is in modules_to_save, which trains all its rows, and has trainable_token_indices: leave it out of one", module)
	}
	r := &Rows{Module: module, IDs: ids, stored: stored, table: table, Value: d.m.memory.Arena(bindings.Adapters).New(bindings.F32, len(ids), table.Cols)}
	d.m.rows = append(d.m.rows, r)
	return r
}

// parameter lays out the gradient and the optimizer's state of the rows.
func (r *Rows) parameter(m *Model, state bindings.OptimizerState) bindings.Param {
	a, n := m.memory.Arena(bindings.Gradients), len(r.IDs)
	r.grad = a.New(bindings.F32, n+1, r.table.Cols)
	if r.Module == m.Head.Name || m.Tied() {
		r.whole = a.New(bindings.F32, r.table.Rows, r.table.Cols)
	}
	switch {
	case r.Module == m.Head.Name:
		m.Head.out.DWeight = r.whole
	case !r.whole.Absent():
		m.Embedding.grad = r.whole // the head's too, as it is tied
	}
	return m.parameterWith(r.grad.Head(n), r.Name(), r.Value, bindings.RoleMatrix, state)
}

// placesOf returns each token's row of the gradient.
func (r *Rows) placesOf(ids []int32, pad int32) []int32 {
	at := make(map[int32]int32, len(r.IDs))
	for i, id := range r.IDs {
		if id != pad {
			at[id] = int32(i)
		}
	}
	places := make([]int32, len(ids))
	for i, id := range ids {
		place, ok := at[id]
		if !ok {
			place = int32(len(r.IDs))
		}
		places[i] = place
	}
	return places
}

// runs calls use for each run of consecutive ids: rows [from, to) of the rows are rows
// [first, first+to-from) of the table.
func (r *Rows) runs(use func(from, to, first int)) {
	for from := 0; from < len(r.IDs); {
		to := from + 1
		for to < len(r.IDs) && r.IDs[to] == r.IDs[to-1]+1 {
			to++
		}
		use(from, to, int(r.IDs[from]))
		from = to
	}
}

// scatter copies the rows to their places in the table.
func (r *Rows) scatter(dev bindings.Device) {
	r.runs(func(from, to, first int) {
		dev.Run(&bindings.Copy{Dst: r.table.Slice(first, first+to-from), Src: r.Value.Slice(from, to)})
	})
}

// Gather completes the gradients of a micro-batch: it collects those of trained
// rows from the gradient of the whole table, where a head adds to it. Call it before the
// gradients are read.
func (m *Model) Gather(dev bindings.Device) {
	for _, r := range m.rows {
		if r.whole.Absent() {
			continue
		}
		r.runs(func(from, to, first int) {
			dev.Run(&bindings.Copy{Dst: r.grad.Slice(from, to), Src: r.whole.Slice(first, first+to-from)})
		})
		dev.Run(&bindings.Zero{T: r.whole})
	}
}

// loadRows sets the rows to the base's.
func (m *Model) loadRows(dev bindings.Device, base Weights) error {
	for _, r := range m.rows {
		t, err := base.Tensor(r.stored)
		if err != nil {
			return err
		}
		if err := WriteTensor(dev, r.Value, float32Bytes(rowsOf(t, r.IDs)), bindings.F32); err != nil {
			return err
		}
		if !r.whole.Absent() {
			dev.Run(&bindings.Zero{T: r.whole})
		}
	}
	return nil
}

// rowsOf returns the rows of a matrix with those ids.
func rowsOf(t checkpoint.Tensor, ids []int32) []float32 {
	cols := t.Shape[1]
	values := make([]float32, len(ids)*cols)
	for i, id := range ids {
		t.Floats(values[i*cols:(i+1)*cols], int(id)*cols)
	}
	return values
}
