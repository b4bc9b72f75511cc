package family

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestModelsPage checks that docs/models.md has a row for every model_type.
func TestModelsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/models.md")
	require.NoError(t, err)
	for _, name := range Types() {
		require.Contains(t, string(page), "`"+name+"`")
	}
}

// TestWalkThrough checks that the family that docs/design.md shows is the one that is
// here.
func TestWalkThrough(t *testing.T) {
	page, err := os.ReadFile("../../docs/design.md")
	require.NoError(t, err)
	file, err := os.ReadFile("arcee.go")
	require.NoError(t, err)
	require.Contains(t, string(page), "```go\n"+string(file)+"```")
}
