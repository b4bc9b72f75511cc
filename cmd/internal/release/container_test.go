package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const wantContainerfile = `FROM debian:bookworm-slim
RUN --mount=type=bind,target=/packages dpkg --install /packages/qlora_1.2.3_amd64.deb /packages/qlora-cuda_1.2.3_amd64.deb
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility NVIDIA_REQUIRE_CUDA="cuda>=13.0"
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["qlora"]
CMD ["doctor"]
`

// TestContainerfile checks the instructions with and without the kernels for GPUs.
func TestContainerfile(t *testing.T) {
	instructions := func(text string) string {
		var b strings.Builder
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "#") {
				b.WriteString(line)
			}
		}
		return b.String()
	}
	both := []string{"qlora_1.2.3_amd64.deb", "qlora-cuda_1.2.3_amd64.deb"}
	require.Equal(t, wantContainerfile, instructions(containerfile(both, 13)))
	without := containerfile(both[:1], 0)
	require.NotContains(t, without, "NVIDIA")
	require.NotContains(t, without, "nvidia.com")
	for _, text := range []string{containerfile(both, 13), without} {
		for _, fetching := range []string{"apt-get", "curl", "wget", "pip ", "http:", "https:", "ADD "} {
			require.NotContains(t, text, fetching)
		}
	}
}

func TestContainerfileOfAFolder(t *testing.T) {
	dir := t.TempDir()
	require.ErrorContains(t, writeContainerfile(dir, "amd64"), "0 packages qlora for amd64; run `make dist`")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "qlora_1.2.3_amd64.deb"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "qlora_1.2.3_arm64.deb"), nil, 0o600))
	require.NoError(t, writeContainerfile(dir, "amd64"))
	text, err := os.ReadFile(filepath.Join(dir, "Containerfile"))
	require.NoError(t, err)
	require.Contains(t, string(text), "dpkg --install /packages/qlora_1.2.3_amd64.deb\n")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "qlora-cuda_1.2.3_amd64.deb"), nil, 0o600))
	t.Setenv("QLORA_CUDA_LIBRARY", filepath.Join(dir, "absent.so"))
	require.ErrorContains(t, writeContainerfile(dir, "amd64"), "run `make cuda`")
}
