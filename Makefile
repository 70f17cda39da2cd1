# Every target does its own set-up: `make run` and `make test` work on a machine that has only Node and npm, or only Bun.
BUN_VERSION := 1.4.5
BUN_DIR := $(CURDIR)/.cache/bun
export PATH := $(BUN_DIR)/node_modules/.bin:$(PATH)
SHELL := /bin/bash
VERSION := $(shell sed -n 's/^  "version": "\(.*\)",/\1/p' package.json)
TARGETS := linux-x64 linux-x64-baseline linux-arm64 linux-x64-musl linux-arm64-musl windows-x64 darwin-arm64
WORKERS := $(wildcard src/scripts/worker.ts src/audio/tag-worker.ts src/library/scan-worker.ts)
BUILD := bun build --compile --minify --sourcemap --bytecode --format=esm --no-compile-autoload-dotenv --no-compile-autoload-bunfig

.PHONY: run test check build release bench demo help install clean
.DEFAULT_GOAL := help

run: install ## start from the sources: port 9763, data in ./data (ARGS="--port 8080")
	bun src/main.ts serve --data ./data $(ARGS)

test: check build ## everything: set-up, checks, build, all tests
	@bash test/run.sh

check: install ## types, lint, format, architecture
	bunx tsc --noEmit
	bunx biome check .
	bun src/config/generate.ts --check
	bun test test/architecture.test.ts

build: dist/lx-music-api-server ## one executable: dist/lx-music-api-server

dist/lx-music-api-server: install $(shell find src config -type f 2>/dev/null) package.json bun.lock
	@mkdir -p dist
	$(BUILD) src/main.ts $(WORKERS) --outfile dist/lx-music-api-server

release: install ## executables for every platform, with checksums
	@mkdir -p dist/release
	@set -e; for target in $(TARGETS); do \
		echo "building $$target"; \
		$(BUILD) --target=bun-$$target src/main.ts $(WORKERS) --outfile dist/release/lx-music-api-server-$(VERSION)-$$target; \
	done
	cd dist/release && sha256sum lx-music-api-server-* > SHA256SUMS

bench: build ## speed: addresses and cache against a bare Bun.serve on the same core, Redis faults, a library of 50,000 files
	bun test/bench/run.ts
	bun test/bench/cache.bench.ts
	bun test/bench/redis-faults.bench.ts
	bun test/bench/library.bench.ts 50000

demo: build ## emulated platforms and the server: plays songs with no internet (ARGS=--once: and ends)
	bun test/demo.ts $(ARGS)

install: node_modules/.installed

node_modules/.installed: package.json bun.lock
	@command -v bun >/dev/null && [ "$$(bun --version)" = "$(BUN_VERSION)" ] || npm install --loglevel=error --no-fund --no-audit --prefix "$(BUN_DIR)" bun@$(BUN_VERSION)
	bun install --frozen-lockfile
	@touch node_modules/.installed

clean: ## remove what was built
	rm -rf dist .cache node_modules

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
