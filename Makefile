# What can be run here; `make` alone lists it. CI runs `make components ci`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

# Each must stand on its own, as its importers have it.
modules   := $(patsubst %/,%,$(dir $(shell git ls-files go.mod '*/go.mod')))
platforms := linux/arm64 darwin/arm64 windows/amd64

lint    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
apidiff := golang.org/x/exp/cmd/apidiff@v0.0.0-20261113113407-e3970619a1a4

export PATH := $(PATH):$(shell go env GOPATH)/bin
unexport AWS_CA_BUNDLE

root := $(CURDIR)
each = for m in $(modules); do echo "-- $$m"; (cd $$m && export GOWORK=off && $(1)); done

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.PHONY: test
test: ## all tests, once; what needs more than Go is skipped where that is missing
	go test -timeout 30m ./... ./examples/... ./bench/... ./otelwarmcache/...

.PHONY: bench
bench: ## the main measurement with its report
	go run ./bench

.PHONY: lint
lint: ## formatting, go.mod files, vet and linters, in each module
	@unformatted=$$(gofmt -l .)
	[ -z "$$unformatted" ] || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	$(call each,go mod tidy -diff && go build -o /dev/null ./... && go vet ./...)
	golangci-lint version --short 2>/dev/null | grep -qx "$$(sed 's/.*@v//' <<<'$(lint)')" || go install $(lint)
	$(call each,golangci-lint run ./...)
	.ci/links
	.ci/words

.PHONY: large
large: ## nothing built and nothing large is in git
	@git ls-files -z | xargs -0 du -k --apparent-size | awk '$$1 > 500 { print "too large for git:", $$2, $$1 " KiB"; bad = 1 } END { exit bad }'

.PHONY: cross
cross: ## the importable packages build and vet on other platforms
	@for p in $(platforms); do
	  echo "-- $$p"
	  (export GOWORK=off GOOS=$${p%/*} GOARCH=$${p#*/}; go vet ./... && go build ./...)
	done

.PHONY: race
race: ## all tests with the race detector, and the caches on 1, 2 and 4 threads
	@$(call each,$(root)/.ci/test -race -p 3 ./...) # the tests wait for others a third of the time
	.ci/test -race -count=1 -cpu 1,2,4 ./cache ./internal/...

.PHONY: crash
crash: ## a kill and every error at each system call of the file cache; processes that are killed and frozen at random
	WARMCACHE_TEST_ALL=1 .ci/test -count=1 -run 'SystemCall|Hammer' ./filecache

.PHONY: arm
arm: ## the importable packages' tests on arm64, emulated by qemu-user
	@export GOARCH=arm64 CGO_ENABLED=0 WARMCACHE_TEST_EMULATOR=qemu-aarch64-static
	.ci/test -exec $$WARMCACHE_TEST_EMULATOR -skip '^Test($(slow))' ./cache/... ./internal/... ./filecache ./filecache/internal/... ./reuse

# Each takes 7 seconds or more in an emulator, which is also too slow for the attack.
slow := AttackedByAnotherUser|Hammer|ProcessesWithLittleRoom|EveryFaultOfTheDisk|PartsMakeTheObject|ScratchSize|WriteToReadsEachBlockOnce|ConnectionsThatAreCut|SlowConnection|DeadConnections|ZipEntriesWithoutRoom|TreeLimits

.PHONY: api
api: ## what the exported API changed since the last release
	@go install $(apidiff)
	.ci/api

.PHONY: release-check
release-check: ## `go get` of each published module works, from a module proxy in a directory
	@cd .ci/release && GOWORK=off go run .

.PHONY: release
release: ## edit go.mod and go.sum for the version in VERSION: see docs/releasing.md
	@cd .ci/release && GOWORK=off go run . -write

.PHONY: quick
quick: ## the README's commands, the second one briefly
	$(MAKE) test
	go run ./bench -quick

.PHONY: components
components: ## install what some tests need beside Go (Debian, npm, go install)
	@for c in .ci/install/*; do echo "-- $$c"; "$$c"; done

.PHONY: ci
ci: ## everything that must hold before a change lands
	@for t in large lint cross api release-check race 'crash arm' quick; do
	  printf '\n== %s (%ds)\n' "$$t" $$SECONDS
	  $(MAKE) --no-print-directory -j2 $$t # neither crash nor arm keeps two cores busy
	done
