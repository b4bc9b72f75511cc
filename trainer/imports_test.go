package trainer

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program that links the trainer links nothing that shows a run: no plots, no
// events, no page. Those are package report's.
func TestTrainerLinksNothingThatShowsARun(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "qlora/trainer").Output()
	require.NoError(t, err)
	for path := range strings.FieldsSeq(string(out)) {
		for _, shown := range []string{"gonum.org/v1/plot", "tensorboard", "trainer/report", "internal/figure", "golang.org/x/term"} {
			require.NotContains(t, path, shown)
		}
	}
}
