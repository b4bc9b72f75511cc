package hub

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// CardFile is the repository's card.
const CardFile = "README.md"

// pushed matches the files of a model's or an adapter's folder that others need. What a run
// leaves besides, its checkpoints, options and logs, may name folders and records of this
// machine.
var pushed = regexp.MustCompile(`^(?:[^.][^/]*\.(?:safetensors|gguf|json|jinja|model|tiktoken|txt)|README\.md|LICENSE[^/]*|NOTICE[^/]*|loss\.png)$`)

// ModelFolder returns the files of a folder to push, and those that are left out. It
// returns an error for a folder that has no model and no adapter.
func ModelFolder(dir string) (names, left []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		switch {
		case err != nil:
			return nil, nil, err
		case strings.HasPrefix(e.Name(), "."):
		case info.Mode().IsRegular() && pushed.MatchString(e.Name()) && !slices.Contains(ofRun, e.Name()):
			names = append(names, e.Name())
		default:
			left = append(left, e.Name())
		}
	}
	has := func(ending string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, ending) })
	}
	configured := has("adapter_config.json") || has("config.json")
	if !has(".gguf") && (!configured || !has(".safetensors")) {
		return nil, nil, fmt.Errorf("%s: it has no adapter and no model to push: adapter_config.json or config.json with *.safetensors", dir)
	}
	return names, left, nil
}

// ofRun are files of a run that are no part of what it made.
var ofRun = []string{
	"all_results.json", "eval_results.json", "manifest.json", "train_results.json", "trainer_state.json", "training_progress.json", "training_run.json",
}
