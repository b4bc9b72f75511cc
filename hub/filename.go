package hub

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName bounds a file's path and each part of it, as file systems do.
const (
	maxName = 1024
	maxPart = 255
)

// checkFileName returns an error for a path that a server gives to a file and that would
// not be below the folder it is written to, here or on another system that shares the
// cache.
func checkFileName(name string) error {
	refuse := func(why string) error {
		return fmt.Errorf("the repository has a file named %q, which is refused: %s", shortened(name), why)
	}
	switch {
	case name == "" || len(name) > maxName:
		return refuse("it is empty or too long")
	case !utf8.ValidString(name):
		return refuse("it is no text")
	case strings.HasPrefix(name, "/") || path.Clean(name) != name:
		return refuse("it is no plain path below the repository")
	case strings.ContainsAny(name, `\:`) || strings.ContainsFunc(name, unicode.IsControl):
		return refuse("it has a character that paths cannot have everywhere")
	}
	for part := range strings.SplitSeq(name, "/") {
		base, _, _ := strings.Cut(strings.ToLower(part), ".")
		switch {
		case part == ".", part == "..", part == ".git":
			return refuse("it leads out of the repository's files")
		case len(part) > maxPart:
			return refuse("it is too long")
		case slices.Contains(devices, base):
			return refuse("Windows takes it for a device")
		}
	}
	return nil
}

// devices are the names that Windows reserves, whatever the ending.
var devices = []string{
	"con", "prn", "aux", "nul",
	"com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
	"lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
}

// shortened returns text for a message.
func shortened(text string) string {
	const most = 120
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
