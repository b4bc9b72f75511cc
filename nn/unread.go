package nn

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"qlora/checkpoint"
)

// buffers are name suffixes of tensors in older files that no model reads: masks and
// tables that config.json determines.
var buffers = []string{".inv_freq", "attn.bias", "attn.masked_bias", "attention.bias", "attention.masked_bias"}

// Unread returns the sorted names of the base's tensors that the model does not read:
// other parts of a vision-language model, and stored buffers.
func (m *Model) Unread() []string {
	if m.base == nil {
		return nil
	}
	read := map[string]bool{}
	for _, w := range m.weights {
		read[w.stored] = true
	}
	return slices.DeleteFunc(slices.Clone(m.base.Names()), func(name string) bool { return read[name] })
}

// Notes returns messages about the base's tensors: a head that is tied by config.json
// and has a weight of its own, and tensors that are not read, outside the transformer of
// a model that has no other parts.
func (m *Model) Notes() []string {
	var notes []string
	head := m.Stored(m.Head.Name + ".weight")
	if m.declaredTied && !m.Config.Tied {
		notes = append(notes, fmt.Sprintf("tie_word_embeddings is true, but %s has a %s of its own that differs from the embedding: it is used, as by transformers", m.base.Source(), head))
	}
	if m.Config.Part != "" {
		return notes
	}
	unread := slices.DeleteFunc(m.Unread(), func(name string) bool {
		return name == head && m.Config.Tied || slices.ContainsFunc(buffers, func(end string) bool { return strings.HasSuffix(name, end) })
	})
	if len(unread) > 0 {
		const most = 3
		named := strings.Join(unread[:min(most, len(unread))], ", ")
		if len(unread) > most {
			named += ", …"
		}
		notes = append(notes, fmt.Sprintf("%s has tensors that the model does not read: %s (%d in all)", m.base.Source(), named, len(unread)))
	}
	return notes
}

// checkUnread rejects a base with a tensor inside the transformer that config.json
// does not imply: the model would compute something else without it.
func (d *declarer) checkUnread() {
	module, _ := strings.CutSuffix(d.m.Stored(d.m.Embedding.Name+".weight"), ".weight")
	roots := []string{cutLast(module)}
	for _, w := range d.m.weights {
		roots = append(roots, cutLast(w.stored))
	}
	slices.Sort(roots)
	roots = slices.Compact(roots)
	tied := d.m.Stored(d.m.Head.Name + ".weight")
	for _, name := range d.m.Unread() {
		known := name == tied && d.m.Config.Tied || slices.ContainsFunc(buffers, func(end string) bool { return strings.HasSuffix(name, end) })
		if !known && slices.ContainsFunc(roots, func(root string) bool { return strings.HasPrefix(name, root) }) {
			d.fail("%s: tensor %q is not implied by config.json and would be ignored", d.base.Where(name), name)
			return
		}
	}
}

// cutLast returns a name without its last part, as "model.layers.0.".
func cutLast(name string) string { return name[:strings.LastIndexByte(name, '.')+1] }

// tied returns c, or, if the base's head differs from the embedding it is tied to, a
// copy of c that is not tied, as transformers 5 does.
func tied(c *Config, t *Transformer, base checkpoint.Checkpoint) *Config {
	if base == nil || !c.Tied {
		return c
	}
	tensor := func(module string) (checkpoint.Tensor, bool) {
		x, err := base.Tensor(storedName(base, c.Prefixes, module+".weight"))
		return x, err == nil && x.IsDense()
	}
	embedding, there := tensor(t.Embedding.Name)
	head, also := tensor(t.Head.Name)
	if !there || !also || embedding.DType == head.DType && bytes.Equal(embedding.Data(), head.Data()) {
		return c
	}
	apart := *c
	apart.Tied = false
	return &apart
}
