package dataset

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A usage records which names occur in a file with a value and which of them change what
// the model sees or learns. It belongs to one goroutine.
type usage struct {
	fields, keys names          // of records, and of messages
	left         names          // seen: roles whose messages the template leaves out
	roles        map[string]int // messages of roles that are not usual
	tools        string         // the field of the tools
	padding      int64          // tokens removed because attention_mask is 0
	blank        int            // answers without text
}

// names are the names that occur, those that are read, and those that are read but whose
// value was not used in a record.
type names struct{ seen, read, lost map[string]bool }

func newNames() names { return names{map[string]bool{}, map[string]bool{}, map[string]bool{}} }

func newUsage() *usage {
	return &usage{fields: newNames(), keys: newNames(), left: newNames(), roles: map[string]int{}, tools: "tools"}
}

// follow returns an empty usage that knows what is read, so that a worker does not find
// it out again.
func (u *usage) follow() *usage {
	v := newUsage()
	maps.Copy(v.keys.read, u.keys.read)
	maps.Copy(v.fields.read, u.fields.read)
	return v
}

// add adds what a worker has seen.
func (u *usage) add(v *usage) {
	for _, pair := range [][2]names{{u.fields, v.fields}, {u.keys, v.keys}, {u.left, v.left}} {
		maps.Copy(pair[0].seen, pair[1].seen)
		maps.Copy(pair[0].read, pair[1].read)
		maps.Copy(pair[0].lost, pair[1].lost)
	}
	for role, n := range v.roles {
		u.roles[role] += n
	}
	u.padding += v.padding
	u.blank += v.blank
}

// replaced marks a field that `columns` leaves out or replaces by another.
const replaced = "\x00"

// see notes the record's fields that have a value.
func (r *record) see() {
	if r.usage == nil {
		return
	}
	seen := r.usage.fields.seen
	for name, text := range r.texts {
		if !seen[name] && !isEmpty(text) {
			seen[name] = true
		}
	}
	for name, raw := range r.fields {
		if _, isText := r.texts[name]; !isText && !seen[name] && !isEmpty(string(raw)) {
			seen[name] = true
		}
	}
}

// isEmpty reports whether a value has nothing that could be used.
func isEmpty(raw string) bool {
	return raw == "" || raw == "null" || raw == `""` || raw == "[]" || raw == "{}" || raw == `"[]"` || raw == `"{}"`
}

// use notes that a field is read.
func (r *record) use(name string) {
	if r.usage != nil && !r.usage.fields.read[name] {
		r.usage.fields.read[name] = true
	}
}

// lose notes that the value of a field that is read otherwise was not used.
func (r *record) lose(name string) {
	if r.usage != nil {
		r.usage.fields.lost[name] = true
	}
}

// unused returns the names that were seen but not read, in order: fields, by their names
// in the file, then keys of messages, then roles that a template leaves out.
func (u *usage) unused(columns []column) (fields, keys []string) {
	for _, name := range u.fields.unread() {
		name = strings.TrimPrefix(name, replaced)
		if i := slices.IndexFunc(columns, func(c column) bool { return c.target == name && c.from != "" }); i >= 0 && !u.fields.seen[replaced+name] {
			name = columns[i].from
		}
		fields = append(fields, name)
	}
	slices.Sort(fields)
	keys = u.keys.unread()
	for _, role := range slices.Sorted(maps.Keys(u.left.seen)) {
		keys = append(keys, "all of "+role)
	}
	return slices.Compact(fields), keys
}

func (n names) unread() []string {
	var left []string
	for name := range n.seen {
		if !n.read[name] || n.lost[name] {
			left = append(left, name)
		}
	}
	slices.Sort(left)
	return left
}

// enumerated lists names for a line, bounded in number and length.
func enumerated(names []string) string {
	const most = 12
	more := len(names) - most
	if more > 0 {
		names = names[:most]
	}
	short := make([]string, len(names))
	for i, name := range names {
		short[i] = shown([]byte(name))
	}
	if more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(short, ", "), more)
	}
	return strings.Join(short, ", ")
}

// unusedLine returns "; not used: …", or "" if everything was used.
func unusedLine(fields, keys []string) string {
	switch {
	case len(fields) == 0 && len(keys) == 0:
		return ""
	case len(keys) == 0:
		return "; not used: " + enumerated(fields)
	case len(fields) == 0:
		return "; not used of messages: " + enumerated(keys)
	}
	return "; not used: " + enumerated(fields) + "; of messages: " + enumerated(keys)
}

// count counts an answer without text: of it only the end is trained on.
func (w *worker) count(answer string) {
	if strings.TrimSpace(answer) == "" {
		w.usage.blank++
	}
}
