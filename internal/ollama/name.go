package ollama

import (
	"fmt"
	"path"
	"strings"

	"qlora/option"
)

// A Name is the name of a model in Ollama: HOST/NAMESPACE/MODEL:TAG.
type Name struct{ Host, Namespace, Model, Tag string }

// ParseName reads a name as Ollama does. What is missing is registry.ollama.ai, library
// and latest.
func ParseName(s string) (Name, error) {
	n := Name{Host: "registry.ollama.ai", Namespace: "library", Tag: "latest"}
	refuse := func() (Name, error) {
		return Name{}, option.Errorf("ollama_name", s, "it must be NAME, NAME:TAG or NAMESPACE/NAME:TAG, of letters, digits, \"_\", \"-\" and \".\"")
	}
	rest := s
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		rest, n.Tag = rest[:i], rest[i+1:]
	}
	parts := strings.Split(rest, "/")
	n.Model = parts[len(parts)-1]
	switch len(parts) {
	case 3:
		n.Host, n.Namespace = parts[0], parts[1]
	case 2:
		n.Namespace = parts[0]
	case 1:
	default:
		return refuse()
	}
	if !valid(n.Host, 350, ".:") || !valid(n.Namespace, 80, "") || !valid(n.Model, 80, ".") || !valid(n.Tag, 80, ".") {
		return refuse()
	}
	return n, nil
}

// valid reports whether a part of a name has 1 to most letters, digits, "_" and "-", and
// others after the first.
func valid(part string, most int, others string) bool {
	for i, c := range []byte(part) {
		letter := c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '-' && strings.IndexByte(others, c) < 0) {
			return false
		}
	}
	return len(part) >= 1 && len(part) <= most
}

// path returns the path of the name's manifest in a store.
func (n Name) path() string { return path.Join("manifests", n.Host, n.Namespace, n.Model, n.Tag) }

// String returns the name as `ollama run` takes it.
func (n Name) String() string {
	short := n.Model + ":" + n.Tag
	if n.Namespace != "library" || n.Host != "registry.ollama.ai" {
		short = n.Namespace + "/" + short
	}
	if n.Host != "registry.ollama.ai" {
		short = fmt.Sprintf("%s/%s", n.Host, short)
	}
	return short
}
