# The commands of the project; `make help` lists them. CI calls `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV    := .venv
XLA     := .xla/pjrt_c_api_cpu_plugin.so
KERNEL  := .build/kernel
SPEC    := $(VENV)/share/jupyter/kernels/lohakit/kernel.json
GO_SRC  := $(shell find kernel lohakit -name '*.go' -not -name '*_test.go' -not -path '*/testdata/*' 2>/dev/null) go.mod go.sum

# Jupyter refuses to run as root unless told; in a container one often is.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: help check
check:
	@docker/steps/check.sh

$(VENV)/.ready: docker/steps/requirements.txt docker/steps/constraints.txt docker/steps/python.sh | check
	docker/steps/python.sh $(VENV)
	@touch $@

$(XLA): docker/steps/xla.txt docker/steps/xla.sh | check
	docker/steps/xla.sh .xla
	@touch $@

$(KERNEL): $(GO_SRC) | check
	go build -o $@ ./kernel

$(SPEC): $(KERNEL) $(VENV)/.ready $(XLA)
	$(KERNEL) install --prefix $(VENV)
	@touch $@

.PHONY: setup lab quickstart test cuda race fuzz bench-kernel bench-train bench-sample bench-analysis kills parity fixtures world clean
setup: $(SPEC) ## set up everything: Python environment, XLA plugin, kernel
	@echo "ready: make lab opens JupyterLab, make quickstart runs the first notebook"

lab: setup ## open JupyterLab with the quick start, on 127.0.0.1 with a token
	$(VENV)/bin/jupyter lab --ip 127.0.0.1 $(AS_ROOT) --LabApp.default_url=/lab/tree/notebooks/00_quickstart.ipynb

quickstart: setup ## run the quick start without a browser, to .build/00_quickstart.html
	$(VENV)/bin/jupyter nbconvert --execute --to html --output-dir .build notebooks/00_quickstart.ipynb

test: setup ## run every test and count them
	$(VENV)/bin/python .ci/test.py

cuda: setup ## add the XLA CUDA plugin, for a machine with an NVIDIA GPU
	docker/steps/cuda.sh $(VENV) .xla

race: ## the race detector over the kernel's session code
	go test -race ./kernel/internal/session/... ./kernel/internal/wire/... ./kernel/internal/display/...

fuzz: ## every fuzz target for a minute each
	.ci/fuzz.sh 60s

bench-kernel: setup ## the kernel beside ipykernel
	$(VENV)/bin/python bench/kernel/bench.py

bench-train: $(XLA) ## training beside PyTorch, LyCORIS and bitsandbytes up to 860 M weights; UNet steps; operations (installs PyTorch)
	docker/steps/reference.sh
	go run ./bench/numerics -train mini,half,full
	go run ./bench/numerics -ops
	go run ./bench/numerics -unet narrow,half

bench-sample: $(XLA) ## drawing beside PyTorch and diffusers: UNets up to 860 M weights, an image (installs PyTorch; 5 GB of memory)
	docker/steps/reference.sh
	go run ./bench/numerics -sample tiny,half,image,full

bench-analysis: $(XLA) ## spectra, extraction and merging at full size beside PyTorch (installs PyTorch; 7 GB on disk, hours of full decompositions)
	docker/steps/reference.sh
	go run ./bench/analysis

kills: ## kill a saving process two hundred times and look at what it left (make test does it ten times)
	LOHAKIT_KILLS=200 go test -count 1 -v -run Killed ./lohakit/checkpoint

parity: $(XLA) ## compare with the reference at half and full size, 860 M weights (installs PyTorch; 9 GB of memory)
	docker/steps/parity.sh

fixtures: ## record the reference fixtures again (installs PyTorch and the reference trainers, several GB)
	docker/steps/reference.sh
	.ci/fixtures.sh

world: $(XLA) ## rebuild the miniature world from nothing: judge, base models (hours; resumes)
	go run ./lohakit/world/make all

clean: ## remove what was built; keeps downloads
	rm -rf .build
