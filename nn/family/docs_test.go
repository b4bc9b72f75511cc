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
