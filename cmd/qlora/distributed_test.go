package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPlansOfSharedBases runs the commands of the table in docs/distributed.md.
func TestPlansOfSharedBases(t *testing.T) {
	page, err := os.ReadFile("../../docs/distributed.md")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(page), "\n    qlora plan ")
	require.True(t, found, "the page has no command")
	common, after, _ := strings.Cut(after, " …\n")
	rows := 0
	for line := range strings.Lines(after) {
		cells := strings.Split(line, " | ")
		if len(cells) != 4 || !strings.HasPrefix(cells[1], "`--model") {
			continue
		}
		rows++
		options := strings.Replace(strings.Trim(cells[1], "`"), "configs/", "../../configs/", 1)
		args := append([]string{"plan", "--json"}, strings.Fields(common+" "+options)...)
		code, stdout, stderr := run(t, args...)
		require.Zero(t, code, stderr)
		var plan struct {
			Peak   int64 `json:"peak_bytes"`
			Shards int   `json:"shards"`
		}
		require.NoError(t, json.Unmarshal([]byte(stdout), &plan))
		assert.Equal(t, fmt.Sprintf("%d | %.1f |\n", plan.Peak, float64(plan.Peak)/(1<<30)), cells[2]+" | "+cells[3], "bytes and GiB of %s", options)
		assert.True(t, strings.HasPrefix(cells[0], fmt.Sprintf("| %d x ", plan.Shards)), "%s has %d shards", options, plan.Shards)
	}
	require.Positive(t, rows, "the page has no rows")
}
