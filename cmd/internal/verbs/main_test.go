package verbs

import (
	"fmt"
	"os"
	"testing"

	"qlora/internal/hubserver"
)

// TestMain gives the tests a Hub without repositories and an empty cache: what names a
// model that is not here is refused by it, with or without a network.
func TestMain(m *testing.M) {
	cache, err := os.MkdirTemp("", "hub")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	server := hubserver.New()
	for _, name := range []string{"HF_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		os.Unsetenv(name)
	}
	os.Setenv("HF_HOME", cache)
	os.Setenv("HF_ENDPOINT", server.Hub.URL)
	code := m.Run()
	server.Close()
	os.RemoveAll(cache)
	os.Exit(code)
}
