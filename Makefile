# One recipe per chore; each sets up what it needs. `make demo` shows the main job, `make test` tests it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CHROMIUM := $(shell command -v chromium)
RUST_SOURCES := $(shell find native client-rs -name '*.rs' -not -path '*/target/*') Cargo.toml Cargo.lock \
	$(wildcard native/*/Cargo.toml) native/Cargo.toml client-rs/Cargo.toml
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export CARGO_TERM_COLOR ?= never

.PHONY: demo lab test test-rust test-loom test-python front-end lint format setup build bench soak clean chromium
