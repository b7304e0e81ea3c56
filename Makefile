# Oriel's verbs. `make run` needs Go only; `make test` installs what it needs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

export CGO_ENABLED ?= 0

MODULE   := selfhost/builtin/dist/oriel.wasm
PAGE     := selfhost/page/dist/index.html
GO_SRC    = $(shell find rooms runtime selfhost -name '*.go' -not -path '*/testdata/*')
WASM      = GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags="-s -w"

.PHONY: help run cluster build rooms page edge deploy generate check test test-go test-race test-fuzz torture test-client test-edge test-browser test-edge-browser bench clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

run: build ## start one node with a chat page (ORIEL_LISTEN, ORIEL_DATA)
	@./bin/oriel serve --dev

cluster: build | tools ## start three nodes and a Redis, 127.0.0.1:8081 to 8083
	@selfhost/cluster/dev.sh

build: bin/oriel ## the oriel binary, with the rooms and the page inside

bin/oriel: $(MODULE) $(PAGE) $(GO_SRC) go.mod go.sum
	go build -trimpath -o $@ ./selfhost/cmd/oriel

rooms: $(MODULE) ## the module of the kinds that ship

$(MODULE): $(GO_SRC) go.mod go.sum
	$(WASM) -o $@ ./rooms/shipped

page: $(PAGE) ## the chat page, bundled by esbuild (a Go tool: no Node)

PAGE_SRC = $(shell find selfhost/page/src rooms/client/ts/src -type f)

$(PAGE): $(PAGE_SRC) go.mod
	go tool esbuild selfhost/page/src/main.ts selfhost/page/src/theme.ts selfhost/page/src/style.css \
		selfhost/page/src/index.html selfhost/page/src/favicon.svg --loader:.html=copy --loader:.svg=copy \
		--bundle --minify --format=esm --target=es2022 --log-level=warning --outdir=$(dir $@)

EDGE := edge/build/app/index.ts

# Always: modules come from anywhere, and Go's cache knows what has changed.
.PHONY: $(EDGE)
$(EDGE): $(PAGE)
	edge/build.sh app

edge: node_modules/.package-lock.json $(EDGE) ## the same rooms under workerd, no account needed (ORIEL_EDGE_LISTEN)
	edge/dev.sh

deploy: node_modules/.package-lock.json $(EDGE) ## build for Cloudflare, check the size (ORIEL_UPLOAD_LIMIT) and deploy (ORIEL_ENV: an environment of wrangler.toml)
	npm run --silent size:edge
	npx wrangler deploy --env "$${ORIEL_ENV:-}"

generate: ## tables for TypeScript, from Go
	go generate ./rooms/abi

check: node_modules/.package-lock.json $(MODULE) $(EDGE) ## formats, vet, linters, types: no tests
	@test -z "$$(gofmt -l rooms runtime selfhost edge)" || { echo "gofmt would change:"; gofmt -l rooms runtime selfhost edge; exit 1; }
	go vet ./...
	GOOS=darwin go vet ./runtime/... ./selfhost/...
	GOOS=windows go vet ./runtime/... ./selfhost/...
	GOOS=wasip1 GOARCH=wasm go build -o /dev/null ./rooms/shipped
	go tool staticcheck ./...
	npm run --silent check

test: check test-go test-race test-fuzz test-client test-edge test-browser test-edge-browser ## everything; installs what it needs

test-go: $(MODULE) $(PAGE) | tools ## Go: unit, conformance, crash and hostile-input tests
	go test -timeout 15m ./...

# The race detector needs cgo, and takes long on what computes: -short leaves that out.
test-race: $(MODULE) $(PAGE) | tools ## Go again, under the race detector
	CGO_ENABLED=1 go test -race -short -timeout 15m ./...

# So many runs and not so many seconds: when a time ends, go test may fail a target that has found
# nothing (go.dev/issue/75804), and does on busy machines.
FUZZTIME ?= 30000x
test-fuzz: | tools ## every fuzz target for FUZZTIME each
	@grep -rlE '^func Fuzz' --include='*_test.go' rooms runtime selfhost edge | xargs -n1 dirname | sort -u | while read -r dir; do \
		for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | sed 's/func //'); do \
			echo "fuzz $$dir $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) ./$$dir >.fuzz.log 2>&1 || { cat .fuzz.log; exit 1; }; \
		done; \
	done; rm -f .fuzz.log

torture: | tools ## break a cluster's nodes, links and Redis, ORIEL_TORTURE_ROUNDS times (not part of `make test`, which has a short run)
	ORIEL_TORTURE_ROUNDS=$${ORIEL_TORTURE_ROUNDS:-300} go test ./selfhost/e2e -run '^TestTorture$$' -v -timeout 2h

test-client: node_modules/.package-lock.json ## the TypeScript client
	npm run --silent test:client

test-edge: node_modules/.package-lock.json $(MODULE) ## the Durable Object host under workerd; what a deployment uploads
	npm run --silent test:edge
	npm run --silent size:edge

test-browser: node_modules/.package-lock.json bin/oriel | tools ## the page in real Chromium
	ORIEL_BIN=$(CURDIR)/bin/oriel npm run --silent test:browser

test-edge-browser: node_modules/.package-lock.json $(PAGE) | tools ## the same page against wrangler dev
	npm run --silent test:edge:browser

bench: node_modules/.package-lock.json bin/oriel | tools ## every figure of the README: one line each, "name value unit"
	go build -o bin/oriel-bench ./selfhost/cmd/oriel-bench
	./bin/oriel-bench --module $(MODULE) --oriel bin/oriel
	ORIEL_BENCH_MODULE=$(CURDIR)/$(MODULE) go test ./runtime -run '^$$' -bench '^Benchmark(Swap|Create)$$' | ./bin/oriel-bench --convert
	npm run --silent bench:edge

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Debian packages that the tests need and that are not there yet.
.PHONY: tools
tools:
	@need=(); \
	command -v chromium >/dev/null || need+=(chromium); \
	command -v gcc >/dev/null || need+=(gcc libc6-dev); \
	command -v redis-server >/dev/null || need+=(redis-server); \
	if (($${#need[@]})); then \
		sudo=(); [[ $$(id -u) == 0 ]] || sudo=(sudo); \
		"$${sudo[@]}" apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive "$${sudo[@]}" apt-get install -y -qq --no-install-recommends "$${need[@]}"; \
	fi

clean: ## remove what the builds made
	rm -rf bin data node_modules .wrangler .fuzz.log $(MODULE) edge/build rooms/client/ts/dist
	find selfhost/page/dist -mindepth 1 -not -name .gitignore -delete
