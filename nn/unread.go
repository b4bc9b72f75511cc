package nn

import (
	"bytes"
	"slices"
	"strings"

	"qlora/checkpoint"
)

// buffers are the ends of names of what older files hold and no model reads: masks and
// tables that follow from config.json.
var buffers = []string{".inv_freq", "attn.bias", "attn.masked_bias", "attention.bias", "attention.masked_bias"}

// Unread returns the names of the tensors of the base that the model does not read, in
// order: those of other parts of a vision-language model, and what is of no use.
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

// checkUnread refuses a base that has more in the transformer than config.json says:
// without it, the model would compute something else.
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
			d.fail("%s: tensor %q is none that config.json implies, and would not be used", d.base.Where(name), name)
			return
		}
	}
}

// cutLast returns a name without its last part: "model.layers.0.".
func cutLast(name string) string { return name[:strings.LastIndexByte(name, '.')+1] }

// tied returns c, or where the base has a head of other values than a tied embedding's,
// a copy that is not tied, as transformers 5 takes it.
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
