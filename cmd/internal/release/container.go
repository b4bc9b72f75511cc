package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"qlora/bindings/cuda"
	"qlora/internal/atomicfile"
)

// writeContainerfile writes a Containerfile into a folder of packages, which is its
// context, for a processor.
func writeContainerfile(folder, arch string) error {
	program, err := packed(folder, programPackage, arch)
	if err != nil {
		return err
	}
	packages := []string{program}
	needed := 0
	if kernels, err := packed(folder, kernelsPackage, arch); err == nil {
		packages = append(packages, kernels)
		if needed, _ = cuda.Describe(false).Requires(); needed == 0 {
			return errors.New("the library of kernels does not say which driver it needs: run `make cuda`")
		}
	}
	return atomicfile.WriteFile(filepath.Join(folder, "Containerfile"), []byte(containerfile(packages, needed)), 0o644)
}

// packed returns the name of a package in a folder.
func packed(folder string, p debianPackage, arch string) (string, error) {
	found, err := filepath.Glob(filepath.Join(folder, p.name+"_*_"+arch+".deb"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s has %d packages %s for %s; run `make dist`", folder, len(found), p.name, arch)
	}
	return filepath.Base(found[0]), nil
}

// containerfile returns the text of a Containerfile that installs packages of its context
// and nothing else. cuda is the major version of CUDA that the kernels need; 0: no kernels.
func containerfile(packages []string, cuda int) string {
	var b strings.Builder
	b.WriteString(`# qlora in a container. The context is the folder of the packages:
#
#   podman build --tag qlora .          # or docker build --file Containerfile --tag qlora .
#   podman run --rm --network none qlora demo
`)
	if cuda > 0 {
		b.WriteString(`#   podman run --rm --network none --device nvidia.com/gpu=all qlora doctor      # docker: --gpus all
`)
	}
	b.WriteString(`#   podman run --rm --network none --volume "$PWD:/work" qlora train --config run.yaml
#
# The packages are all that it needs: nothing is fetched when it is built but the base, nothing when
# it runs. docker writes files as root unless it gets --user "$(id -u):$(id -g)".
FROM debian:bookworm-slim
RUN --mount=type=bind,target=/packages dpkg --install`)
	for _, name := range packages {
		b.WriteString(" /packages/" + name)
	}
	b.WriteString("\n")
	if cuda > 0 {
		fmt.Fprintf(&b, `# The host's driver: compute has libcuda.so.1 and the compiler of PTX, utility has NVML. Drivers that are too old
# are refused at the start.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility NVIDIA_REQUIRE_CUDA="cuda>=%d.0"
`, cuda)
	}
	b.WriteString(`# Caches of a user without a home.
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["qlora"]
CMD ["doctor"]
`)
	return b.String()
}
