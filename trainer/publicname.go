package trainer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// hubName matches the name of a model on the Hugging Face Hub.
var hubName = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$`)

// localNames are names of folders that people keep models in, and no one's on the Hub.
var localNames = []string{"checkpoint", "checkpoints", "data", "home", "model", "models", "mnt", "out", "output", "outputs", "results", "tmp", "workspace"}

// PublicName returns the base's name for people on other machines: on the Hub, if the
// folder says it, else the last part of the folder's path.
func (b *Base) PublicName() string {
	if b.Name != filepath.Clean(b.Folder) { // a name that the caller chose
		return b.Name
	}
	if name := b.hubName(); name != "" {
		return name
	}
	path := b.Folder
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return filepath.Base(path)
}

// loadName returns the name under which PEFT finds the base: that on the Hub for a
// snapshot in the Hub's cache, else the folder's path.
func (b *Base) loadName() string {
	if name := cachedName(b.Folder); name != "" && b.Name == filepath.Clean(b.Folder) {
		return name
	}
	return b.Name
}

// hubName returns the base's name on the Hub, or "" if nothing says it: the folder's
// place in the Hub's cache, the remote of a git clone, or _name_or_path in config.json.
func (b *Base) hubName() string {
	if name := cachedName(b.Folder); name != "" {
		return name
	}
	if name := clonedName(b.Folder); name != "" {
		return name
	}
	var file struct {
		Name string `json:"_name_or_path"`
	}
	if b.Config == nil || json.Unmarshal(b.Config.Raw, &file) != nil || !hubName.MatchString(file.Name) {
		return ""
	}
	owner, _, _ := strings.Cut(file.Name, "/")
	if _, err := os.Stat(file.Name); err == nil || slices.Contains(localNames, strings.ToLower(owner)) {
		return ""
	}
	return file.Name
}

// cachedName returns the name of a snapshot in the Hub's cache:
// models--org--name/snapshots/revision.
func cachedName(folder string) string {
	abs, err := filepath.Abs(folder)
	if folder == "" || err != nil {
		return ""
	}
	for part := range strings.SplitSeq(abs, string(filepath.Separator)) {
		if rest, ok := strings.CutPrefix(part, "models--"); ok {
			if name := strings.Replace(rest, "--", "/", 1); hubName.MatchString(name) {
				return name
			}
		}
	}
	return ""
}

// remote matches the Hub's address in a git configuration.
var remote = regexp.MustCompile(`(?m)^\s*url\s*=\s*\S*(?:huggingface\.co|hf\.co)[/:](\S+?)(?:\.git)?/?\s*$`)

// clonedName returns the name of the repository that the folder is a clone of.
func clonedName(folder string) string {
	text, err := readBounded(filepath.Join(folder, ".git", "config"), 1<<16)
	if folder == "" || err != nil {
		return ""
	}
	if m := remote.FindSubmatch(text); m != nil && hubName.Match(m[1]) {
		return string(m[1])
	}
	return ""
}
