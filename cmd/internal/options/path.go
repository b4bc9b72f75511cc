package options

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
)

// variable matches $NAME and ${NAME}.
var variable = regexp.MustCompile(`\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})`)

// expandPath returns the path that text means in a shell: a leading ~ or ~user is a home
// folder, and $NAME and ${NAME} are environment variables. A file or folder that exists
// under such a name is meant as it is.
func expandPath(text string) (string, error) {
	text, err := expandHome(text)
	if err != nil || !variable.MatchString(text) {
		return text, err
	}
	for _, at := range variable.FindAllStringIndex(text, -1) {
		if exists(text, at[1]) {
			return text, nil
		}
	}
	missing := ""
	expanded := variable.ReplaceAllStringFunc(text, func(name string) string {
		name = strings.Trim(name, "${}")
		value, ok := os.LookupEnv(name)
		if !ok && missing == "" {
			missing = name
		}
		return value
	})
	if missing != "" {
		return "", fmt.Errorf("%s has the environment variable %s, which is not set: set it, or write the path in full", text, missing)
	}
	return expanded, nil
}

// expandHome replaces a leading ~ or ~user by the home folder.
func expandHome(text string) (string, error) {
	rest, ok := strings.CutPrefix(text, "~")
	if !ok {
		return text, nil
	}
	name, below, _ := strings.Cut(rest, string(filepath.Separator))
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("%s needs a home folder, and the environment variable HOME is not set: write the path in full", text)
		}
		return filepath.Join(home, below), nil
	}
	if exists(text, 0) {
		return text, nil
	}
	who, err := user.Lookup(name)
	if err != nil {
		return "", fmt.Errorf("%s begins with the home folder of %s, a user that this machine does not have: write ./%s for a name with ~", text, name, text)
	}
	return filepath.Join(who.HomeDir, below), nil
}

// exists reports whether there is a file under the path up to the end of the name at the
// offset.
func exists(path string, offset int) bool {
	if end := strings.IndexRune(path[offset:], filepath.Separator); end >= 0 {
		path = path[:offset+end]
	}
	_, err := os.Lstat(path)
	return err == nil
}

// paths returns the elements of a list of paths that text gives. They are separated by
// commas, unless a file has text as its name, or text is a JSON object.
func paths(text string) []string {
	if strings.HasPrefix(text, `{"`) {
		return []string{text}
	}
	if _, err := os.Lstat(text); err == nil {
		return []string{text}
	}
	return strings.Split(text, ",")
}
