// Package pyjson reads JSON as Python's json module writes it, with the numbers NaN,
// Infinity and -Infinity, which JSON does not have.
package pyjson

import "bytes"

// mark begins the text that stands for a number that JSON does not have.
const mark = "@number "

var names = [][]byte{[]byte("NaN"), []byte("Infinity"), []byte("-Infinity")}

// Quote returns text with a JSON string in place of each NaN, Infinity and -Infinity
// outside strings, so that the result is JSON if the rest of text is.
func Quote(text []byte) []byte {
	if !bytes.Contains(text, names[0]) && !bytes.Contains(text, names[1]) {
		return text
	}
	var out []byte
	quoted, escaped := false, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case escaped:
			escaped = false
		case quoted:
			quoted, escaped = c != '"', c == '\\'
		case c == '"':
			quoted = true
		default:
			if name := numberAt(text[i:]); name != nil {
				out = append(append(append(append(out, '"'), mark...), name...), '"')
				i += len(name) - 1
				continue
			}
		}
		out = append(out, c)
	}
	return out
}

func numberAt(text []byte) []byte {
	for _, name := range names {
		if bytes.HasPrefix(text, name) {
			return name
		}
	}
	return nil
}

// Unquote undoes Quote.
func Unquote(text []byte) []byte {
	if !bytes.Contains(text, []byte(mark)) {
		return text
	}
	for _, name := range names {
		text = bytes.ReplaceAll(text, append(append([]byte(`"`+mark), name...), '"'), name)
	}
	return text
}
