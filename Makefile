# A target is a few lines: the logic is in scripts/.
SHELL := /bin/bash
.DEFAULT_GOAL := build

.PHONY: setup
setup: ## install into .pyexec/ what is missing
	@scripts/setup.sh

.PHONY: build
build: ## build bin/pyexec
	@scripts/build.sh

.PHONY: run
run: setup build ## serve on $PORT or 8080
	@exec scripts/run.sh

.PHONY: test
test: setup build ## run all tests, Go and Python
	@scripts/test.sh

.PHONY: test-all
test-all: test ## run all tests, and the hostile corpora in every setting, in $REPEAT (3) rounds
	@scripts/hostile.sh --all

.PHONY: hostile
hostile: setup build ## run the hostile scripts of a folder: make hostile CORPUS=DIR
	@scripts/hostile.sh "$(CORPUS)"

.PHONY: image
image: ## build the Docker image python-code-executor
	@scripts/image.sh

.PHONY: image-test
image-test: ## build the image and test it in each environment; options in IMAGE_TEST_ARGS
	@scripts/image-test.sh $(IMAGE_TEST_ARGS)

.PHONY: lint
lint: ## run golangci-lint, pinned
	@scripts/lint.sh run ./...

.PHONY: trace
trace: setup build ## print the trace of one request, as docs/monitoring.md has it
	@TEST_BINARY=bin/pyexec go run ./e2e/trace

.PHONY: api-fuzz
api-fuzz: setup build ## fuzz the API by its document, and send malformed requests, for $FUZZTIME, or two minutes
	@scripts/api-fuzz.sh

.PHONY: monitoring-test
monitoring-test: setup build ## check the dashboard and the alerts with promtool, Prometheus and Grafana's schema
	@scripts/prometheus.sh && TEST_BINARY=bin/pyexec go test -count=1 ./e2e/monitoring

.PHONY: fuzz
fuzz: ## fuzz each target for $FUZZTIME, or a minute
	@scripts/fuzz.sh

.PHONY: fmt
fmt: ## format the Go sources
	@scripts/lint.sh fmt ./...

.PHONY: lock
lock: ## write requirements.txt anew from requirements.in
	@scripts/lock.sh

.PHONY: soak
soak: setup build ## 20 000 runs, a tenth hostile, the zygote killed every few seconds; options in SOAK_ARGS
	@TEST_BINARY=bin/pyexec go run ./e2e/soak $(SOAK_ARGS)

.PHONY: bench
bench: setup build ## measure against references; options in BENCH_ARGS, as -quick
	@go run ./e2e/bench $(BENCH_ARGS)

.PHONY: clean
clean: ## remove what build and setup made
	rm -rf bin .pyexec

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
