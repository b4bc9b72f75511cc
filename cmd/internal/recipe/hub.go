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
	step := give("model=" + e.Text)
	if onHub(e.Text) {
		step.Note = "a name on the Hub; first download it to the folder of that name: hf download " + e.Text + " --local-dir " + e.Text
	}
	return step
}

// hubDataset returns a remark on a dataset that must be downloaded, "" if it need not be.
func hubDataset(path string) string {
	if !onHub(path) {
		return ""
	}
	return "a name on the Hub; first download it to the folder of that name: hf download --repo-type dataset " + path + " --local-dir " + path
}
