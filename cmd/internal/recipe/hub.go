package recipe

import (
	"os"
	"regexp"

	"qlora/cmd/internal/options"
)

// hubName matches the name of a repository on the Hugging Face Hub.
var hubName = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[\w.-]+$`)

// onHub reports whether a path is a name on the Hub and no file or folder here.
func onHub(path string) bool {
	_, err := os.Stat(path)
	return err != nil && hubName.MatchString(path)
}

// model is the rule of the base's name.
func model(_ *reader, e options.Entry) options.Step {
	return give("model=" + e.Text)
}
