# Palco. One word does one thing; `make help` lists them. Everything lands in .venv and in the crate's target directory.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
STAMPS := .venv/stamps
CRATE := sfu/dataplane
CRATES := $(CRATE) benchmarks/load
CARGO := cargo
MANIFEST := --manifest-path $(CRATE)/Cargo.toml
FUZZ_SECONDS ?= 60
WORKERS ?= auto

say = @printf '\033[1m==> %s\033[0m\n' "$(1)"

.PHONY: help run build test check live bench peers fuzz lock clean

help: ## list what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

run: build ## set everything up and start Palco in development mode
	$(call say,Starting Palco (Ctrl-C stops it))
	@exec $(BIN)/palco up

build: $(STAMPS)/native ## make .venv with the palco command in it

test: check live ## everything: check, then real processes, sockets and clients (minutes)

check: build ## format, lint, types, unit tests (seconds when warm)
	$(call say,ruff)
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet . || { $(BIN)/ruff check .; $(BIN)/ruff format --check .; }
	$(call say,mypy)
	@$(BIN)/mypy --no-error-summary
	@deploy/check-tools rust-lints
	$(call say,rustfmt)
	@for crate in $(CRATES); do $(CARGO) fmt --manifest-path $$crate/Cargo.toml --check; done
	$(call say,clippy)
	@for crate in $(CRATES); do \
		$(CARGO) clippy --manifest-path $$crate/Cargo.toml --quiet --locked --all-targets -- -D warnings; \
	done
	$(call say,cargo test)
	@$(CARGO) test $(MANIFEST) --quiet --locked --no-default-features
	$(call say,pytest (no processes, no clients))
	@$(BIN)/pytest -q -m "not live" -n $(WORKERS)

live: build $(STAMPS)/clients ## only the tests with real processes and clients
	$(call say,pytest (real processes, sockets, clients))
	@$(BIN)/pytest -q -m live

bench: build ## latency and CPU per delivered packet, as a table
	$(call say,Benchmark)
	@$(BIN)/python -m benchmarks run

peers: build ## fetch and build the servers that `make bench` can measure beside Palco
	@$(BIN)/python -m benchmarks.peers install

fuzz: build ## every fuzz target for a minute (FUZZ_SECONDS=60)
	@deploy/check-tools fuzz
	@cd $(CRATE) && for target in $$($(CARGO) +nightly fuzz list); do \
		printf '\033[1m==> fuzz %s, %s s\033[0m\n' "$$target" "$(FUZZ_SECONDS)"; \
		$(CARGO) +nightly fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS) -max_len=2048 -print_final_stats=1; \
	done
	$(call say,Fuzzing the mixer for $(FUZZ_SECONDS) s)
	@PALCO_FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/pytest -q -m "live or not live" tests/sfu/audio/test_fuzz.py

lock: $(STAMPS)/dependencies ## renew requirements.lock from pyproject.toml
	$(call say,Resolving for CPython 3.11 and newer)
	@{ echo '# Pinned versions of everything `make` installs, for CPython 3.11 and newer. Renew with `make lock`.'; \
	   $(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --no-header --no-annotate \
	     --no-emit-index-url --extra dev --extra bench --extra tracing pyproject.toml; } > requirements.lock.new
	@for version in 3.11 3.13 3.14; do \
		$(BIN)/uv pip compile --quiet --python-version $$version --no-header --no-emit-index-url requirements.lock.new >/dev/null; \
	done
	@mv requirements.lock.new requirements.lock

clean: ## remove what make made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis $(CRATE)/target sfu/_dataplane*.so tests/interop/node_modules

# Each stamp says that a step is done for the files it depends on.

$(STAMPS)/tools: deploy/check-tools
	@PYTHON=$(PYTHON) deploy/check-tools build
	@test -x $(BIN)/python || { printf '\033[1m==> Making .venv\033[0m\n'; $(PYTHON) -m venv .venv; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dependencies: requirements.lock $(STAMPS)/tools
	$(call say,Installing the locked dependencies into .venv (a minute or two the first time))
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

RUST_SOURCES := $(CRATE)/Cargo.toml $(CRATE)/Cargo.lock $(shell find $(CRATE)/src -name '*.rs')

$(STAMPS)/native: pyproject.toml $(RUST_SOURCES) $(STAMPS)/dependencies
	$(call say,Building the native core (a minute or two the first time))
	@PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 VIRTUAL_ENV=$(CURDIR)/.venv PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/maturin develop --release --locked --quiet
	@touch $@

$(STAMPS)/clients: tests/setup tests/interop/package-lock.json $(STAMPS)/dependencies
	$(call say,Setting up the clients that the live tests use)
	@tests/setup
	@touch $@
