package llamacpp

import (
	"strconv"
	"strings"
)

// Stored returns the name that a tensor of a folder has in the model's file, "" if in none.
func (m *Model) Stored(name string) string {
	name = strings.Replace(name, "language_model.", "", 1)
	if buffers.MatchString(name) || m.isBeside(name) || m.isTiedHead(name) {
		return ""
	}
	r, layer, suffix, number, ok := m.byHF(name)
	switch {
	case !ok:
		return ""
	case r.stack != notStacked:
		return join(r.hf, layer, "") + "." + strconv.Itoa(number) + suffix
	}
	return join(r.hf, layer, suffix)
}
