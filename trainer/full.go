package trainer

import (
	"fmt"
	"path/filepath"
	"strings"

	"qlora/internal/diskfull"
)

// full returns the error of a run that a full disk stopped, as one sentence with what was
// kept; any other error as it is.
func (t *Trainer) full(err error, step int) error {
	if !diskfull.Is(err) {
		return err
	}
	dir := t.Args.OutputDir
	if where := diskfull.Folder(err, dir); !strings.HasPrefix(where, filepath.Clean(dir)) {
		dir = where // of the logs
	}
	kept := "nothing was saved before: free some space and start again"
	if newest, _, _ := NewestCheckpoint(t.Args.OutputDir); newest != "" {
		kept = fmt.Sprintf("%s is kept: free some space and continue with `resume_from_checkpoint`", newest)
	}
	return diskfull.Errorf(err, "the disk of %s is full, so the run stopped at step %d of %d; %s", dir, step, t.length.Steps, kept)
}
