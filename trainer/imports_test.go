package trainer

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTrainerLinksNothingThatShowsARun checks that package trainer imports no plots,
// events or page; those are in package report.
func TestTrainerLinksNothingThatShowsARun(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "qlora/trainer").Output()
	require.NoError(t, err)
	for path := range strings.FieldsSeq(string(out)) {
		for _, shown := range []string{"gonum.org/v1/plot", "tensorboard", "trainer/report", "internal/figure", "golang.org/x/term"} {
			require.NotContains(t, path, shown)
		}
	}
}
