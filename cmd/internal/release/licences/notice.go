package licences

import (
	"bytes"
	"fmt"
	"strings"
)

// Write writes the components as a table with their licences, and then each text once
// with the components that it is of.
func Write(b *bytes.Buffer, components []Component) {
	type notice struct{ of, text string }
	var notices []*notice
	seen := map[string]*notice{}
	for _, c := range components {
		name := strings.TrimSpace(c.Name + " " + c.Version)
		fmt.Fprintf(b, "%s: %s\n", name, strings.Join(c.Kinds(), ", "))
		for _, f := range c.Files {
			heading := name + ": " + f.Path
			if n := seen[f.Text]; n != nil {
				n.of += "\n" + heading
				continue
			}
			n := &notice{heading, f.Text}
			seen[f.Text] = n
			notices = append(notices, n)
		}
	}
	for _, n := range notices {
		fmt.Fprintf(b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), n.of, n.text)
	}
}
