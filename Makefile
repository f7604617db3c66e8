# One recipe per chore; each sets up what it needs. `make demo` shows the main job, `make test` tests it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# PyTorch for the notebook of model slots, if a wheel lies here; without it that notebook is skipped.
TORCH ?= $(wildcard ../shared/wheels/torch-*.whl)
# The browser that the tests of the view drive.
CHROMIUM ?= $(firstword $(foreach name,chromium chromium-browser google-chrome google-chrome-stable,$(shell command -v $(name))))
export CHROMIUM
RUST_SOURCES := $(shell find native client-rs notebooks tests/programs -name '*.rs' -not -path '*/target/*') Cargo.toml Cargo.lock \
	$(wildcard native/*/Cargo.toml) native/Cargo.toml client-rs/Cargo.toml client-rs/macros/Cargo.toml \
	notebooks/cart_pole/Cargo.toml tests/programs/Cargo.toml
# The oldest Rust that compiles this.
RUST_VERSION := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# What is tested from Rust, with the steps at which tests end a process, the worker for tests of programs, and what costs no
# call anything.
FEATURES := pycrust-client/fault-points,pycrust-client/testing,pycrust-client/chrono,pycrust-client/time
TESTED := --workspace --exclude pycrust-native --features $(FEATURES)
# What of the client is compiled for those who ask for it. Apart: with it each call does more, and the examples are measured.
OPTIONAL := pycrust-client/metrics,pycrust-client/ndarray,pycrust-client/opentelemetry,pycrust-client/tower
# Those that are given away on crates.io.
PUBLISHED := $(addprefix -p pycrust-,protocol schema transport engine macros build client)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export CARGO_TERM_COLOR ?= never

# Building takes minutes, so each step says what it is about to do, and cargo what it compiles.
SAY = @printf '\n\033[1m%s\033[0m\n'

# The last commit that spoke protocol version 1, for the tests of versions; where there is no history (an unpacked archive),
# they are skipped.
OLDER_COMMIT := 24005c3cd7002c66db5feb73228009d3031ec52b
OLDER := $(if $(shell git cat-file -t $(OLDER_COMMIT) 2>/dev/null),target/older/.built)

.PHONY: demo lab check crates test test-rust test-loom test-memory test-threads test-miri nightly fuzz test-python front-end conformance lint \
	docs docs-blocks format setup build tools bench bench-ported bench-rust soak clean browser notebooks pictures wheels sdist check-wheels check-sdist test-pythons \
	licenses workflows rust msrv version check-tag publish-crates github-release

demo: $(VENV)/.extension $(VENV)/.cart_pole
	$(SAY) "Running notebook 02 in a kernel of its own beside the Rust control loop, for half a minute"
	$(BIN)/python notebooks/demo.py

lab: build
	cd notebooks && ../$(BIN)/jupyter lab 02_control_loop.ipynb

test: browser lint test-rust test-loom test-python

# For every day: the linters and the quick tests.
check: lint
	$(SAY) "Unit tests and guards"
	$(BIN)/python -m pytest --quiet -n 2 --dist loadfile tests/unit tests/guards

build: setup $(VENV)/.extension $(VENV)/.client

setup: $(VENV)/.installed

# What building takes, checked before anything is installed.
tools:
	@$(PYTHON) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Needs Python 3.11 or newer with venv; $(PYTHON) is not (name another one: make PYTHON=python3.12 …)." >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "Needs Rust $(RUST_VERSION) or newer (cargo): see rustup.rs." >&2; exit 1; }
	@rustc --version | awk -v least=$(RUST_VERSION) '{ split($$2, has, "."); split(least, needs, "."); \
		exit has[1] < needs[1] || (has[1] == needs[1] && has[2] + 0 < needs[2] + 0) }' || \
		{ echo "Needs Rust $(RUST_VERSION) or newer; this is $$(rustc --version): rustup update." >&2; exit 1; }
	@command -v cc >/dev/null || { echo "Needs a C compiler (cc): for instance the package build-essential." >&2; exit 1; }

# The demo needs no more than this.
$(VENV)/.demo: pyproject.toml | tools
	$(SAY) "Installing a kernel and what builds the extension into $(VENV) (60 MB to download)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --group demo
	touch $@

$(VENV)/.installed: $(VENV)/.demo
	$(SAY) "Installing what developing needs into $(VENV) (400 MB)"
	$(BIN)/pip install --quiet --group dev
	$(if $(TORCH),$(BIN)/pip install --quiet $(TORCH))
	@# The browser tests run with this ipykernel, too.
	$(BIN)/pip install --quiet --no-deps --upgrade --target $(VENV)/ipykernel-7.3 'ipykernel==7.3.*'
	touch $@

$(VENV)/.extension: $(VENV)/.demo $(RUST_SOURCES)
	$(SAY) "Building the Python extension (one to three minutes the first time)"
	@# The group is named, since it would install `dev` otherwise.
	PIP_QUIET=1 $(BIN)/maturin develop --release --features fault-points --group demo
	touch $@

$(VENV)/.cart_pole: $(VENV)/.demo $(RUST_SOURCES)
	$(SAY) "Building the control loop (a minute the first time)"
	@# With the extension's feature: what it has compiled is taken as it is.
	cargo build --release -p cart_pole --features pycrust-client/fault-points
	touch $@

$(VENV)/.client: $(VENV)/.installed $(RUST_SOURCES)
	$(SAY) "Building the Rust client's examples, and the programs of tests (up to three minutes)"
	@# The packages and features of `test-rust`, so that nothing is compiled twice.
	cargo build --release $(TESTED) --examples --bins
	cargo build --release $(TESTED) --features $(OPTIONAL) --example traced
	touch $@

# The documentation's blocks of Rust, which the tests write into the file BLOCKS; the example is named so that the features are
# those of the build above.
docs-blocks:
	PYCRUST_DOCS_BLOCKS=$(BLOCKS) cargo build --release --quiet $(TESTED) --features $(OPTIONAL),pycrust-docs/blocks \
		--example traced --bin blocks

# A client as it was then, and a worker that shakes hands and echoes. They share what they depend on with today's build,
# where their crates have a version, and their examples names, of their own.
target/older/.built: | $(VENV)/.client
	$(SAY) "Building a client and a worker of protocol version 1 (a minute)"
	rm -rf target/older
	mkdir -p target/older/src
	git archive $(OLDER_COMMIT) Cargo.toml Cargo.lock native client-rs | tar -x -C target/older/src
	sed -i 's/^version = "0.1.0"/version = "0.0.1"/' target/older/src/Cargo.toml
	mv target/older/src/client-rs/examples/call.rs target/older/src/client-rs/examples/older_call.rs
	mv target/older/src/native/transport/examples/pingpong.rs target/older/src/native/transport/examples/older_worker.rs
	cd target/older/src && cargo build --release --target-dir $(CURDIR)/target \
		-p pycrust-client -p pycrust-transport --example older_call --example older_worker
	cp target/release/examples/older_call target/release/examples/older_worker target/older
	touch $@

test-rust: build
	$(SAY) "Rust tests (building them takes up to six minutes)"
	@# With what fuzzing has found, and what is made of it.
	cargo test --release --no-fail-fast $(TESTED) --lib --bins --tests
	cargo test --release $(TESTED) --features $(OPTIONAL) --test ndarray --test observability
	cargo test --release --no-fail-fast $(TESTED) --features $(OPTIONAL) --doc

# The crates as they are published: packed, and each built from what was packed, with the others as they were packed.
crates: setup
	$(SAY) "Packing the crates, and building them from that"
	cargo package $(PUBLISHED)

test-loom: setup
	$(SAY) "Models of concurrent code"
	RUSTFLAGS="--cfg loom" cargo test --release --target-dir target/loom -p pycrust-transport --test loom

# Views, lifetimes and hostile frames under AddressSanitizer, which finds what a test can't see: a use after a free, a read
# past the end, a leak. It compiles everything once more, some four minutes of two cores, so it is no part of `make test`.
# Stable Rust has the sanitizer behind a flag of its nightly; nothing but these tests is built with it.
LIBRARIES := $(shell rustc --print target-libdir 2>/dev/null)
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
test-memory: setup
ifeq ($(wildcard $(LIBRARIES)/*_rt.asan.a),)
	@echo "skipped: this Rust toolchain has no AddressSanitizer ($(LIBRARIES)/*_rt.asan.a)"
else
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" cargo test --target $(HOST) --target-dir target/asan --tests --no-fail-fast \
		-p pycrust-protocol -p pycrust-transport -p pycrust-engine
endif

# Threads of one process under ThreadSanitizer, which finds what they share without a lock. Of shared memory it sees what one
# process maps once: other processes, and the same memory mapped twice, are out of its sight. The toolchain's own library is
# compiled without it; tests/sanitizers/std.c tells it of that library's locks, and tsan.supp names the little that is left.
# rustix goes through libc here, where the sanitizer sees what is mapped and what wakes whom; what tests print is not captured,
# which would be done under a lock that is not seen. TOO_SLOW are tests of some milliseconds, of which all takes ten times here.
TOO_SLOW := a_slow_reader_is_not_silence
THREADS := -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer -Clink-arg=@$(CURDIR)/target/tsan/link.args
test-threads: setup
ifeq ($(wildcard $(LIBRARIES)/*_rt.tsan.a),)
	@echo "skipped: this Rust toolchain has no ThreadSanitizer ($(LIBRARIES)/*_rt.tsan.a)"
else
	$(BIN)/python tests/sanitizers/std.py target/tsan
	TSAN_OPTIONS="suppressions=$(CURDIR)/tests/sanitizers/tsan.supp" RUST_TEST_NOCAPTURE=1 RUSTC_BOOTSTRAP=1 RUSTFLAGS="$(THREADS)" \
		cargo test --target $(HOST) --target-dir target/tsan --tests --no-fail-fast --features rustix/use-libc \
		-p pycrust-transport -p pycrust-engine -p pycrust-client -- $(addprefix --skip ,$(TOO_SLOW))
endif

# What is pure under Miri, which finds what the language leaves undefined: reading and writing frames, the client's MessagePack.
MIRI ?= nightly
test-miri: setup
	@if ! cargo +$(MIRI) miri --version >/dev/null 2>&1; then \
		echo "skipped: the toolchain $(MIRI) has no Miri (rustup component add --toolchain $(MIRI) miri rust-src)"; \
	else \
		export MIRIFLAGS=-Zmiri-disable-isolation CARGO_TARGET_DIR=target/miri; \
		cargo +$(MIRI) miri test -p pycrust-protocol && cargo +$(MIRI) miri test -p pycrust-client --lib codec::; \
	fi

# What takes hours or a rare toolchain, for every night; `make -k nightly` goes on after what fails.
nightly: test-loom test-memory test-threads test-miri fuzz soak

# Every reader of bytes that another process has sent, over inputs that coverage leads: libFuzzer under AddressSanitizer
# where the toolchain has it, atheris for Python. `make fuzz TARGETS="payload worker" SECONDS_OF_FUZZ=3600` runs some, or
# for longer; it stops at the first input that fails. What it finds stays in target/fuzz;
# `.venv/bin/python -m tests.fuzz.run --keep` takes the least that reaches as much into tests/fuzz, for `make test-rust` and
# pytest. All is compiled twice more, some ten minutes of two cores.
SECONDS_OF_FUZZ ?= 60
TARGETS ?=
COVERAGE := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares
BUILD_FUZZ := cargo build --profile fuzz --target $(HOST) --target-dir
fuzz: build $(VENV)/.fuzz
	$(SAY) "Building the fuzz targets"
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="$(COVERAGE)$(if $(wildcard $(LIBRARIES)/*_rt.asan.a), -Zsanitizer=address)" \
		$(BUILD_FUZZ) target/fuzz -p pycrust-fuzz --features libfuzzer
	RUSTFLAGS="$(COVERAGE)" PYO3_PYTHON=$(CURDIR)/$(BIN)/python $(BUILD_FUZZ) target/fuzz/python -p pycrust-native
	cc -O2 -shared -fPIC -o target/fuzz/python/coverage.so tests/fuzz/python/coverage.c
	$(SAY) "Fuzzing, $(SECONDS_OF_FUZZ) s each"
	$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS_OF_FUZZ) $(TARGETS)

$(VENV)/.fuzz: $(VENV)/.installed
	$(BIN)/pip install --quiet --group fuzz
	touch $@

test-python: build browser front-end conformance $(VENV)/.docs $(OLDER)
	$(SAY) "Python, notebooks, browser: all of it together"
	@# Two processes, each with files of tests of its own: most of the time a test waits for somebody.
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The documentation site in target/site: pages made of the repository's Markdown, of docstrings and of what commands say, and
# the crates' own documentation. A warning is an error.
RUSTDOC := RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --features $(FEATURES),$(OPTIONAL) --no-deps --quiet
docs: $(VENV)/.docs $(VENV)/.extension
	$(SAY) "Documentation of the crates"
	$(RUSTDOC)
	$(SAY) "The site"
	$(BIN)/python docs/site/pages.py
	@# Its makers say at each build that another program of theirs will take its place.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	cp -r target/doc target/site/rust
	@echo "target/site/index.html"

$(VENV)/.docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --group docs
	touch $@

# What builds and checks the live view's front end: only whoever changes it and the tests need this.
front-end: pycrust/jupyter/view/node_modules/.package-lock.json

# MessagePack's public test suite.
conformance: tests/conformance/node_modules/.package-lock.json

tests/conformance/node_modules/.package-lock.json: tests/conformance/package-lock.json
	cd tests/conformance && npm ci --silent
	touch $@

pycrust/jupyter/view/node_modules/.package-lock.json: pycrust/jupyter/view/package-lock.json
	$(SAY) "Installing what builds and checks the front end"
	cd pycrust/jupyter/view && npm ci --silent
	touch $@

# Said before the tests begin, which take long. In CI it is an error.
browser:
ifeq ($(CHROMIUM),)
	@echo "No Chromium here, so the tests in a browser are left out: install it (Debian: apt install chromium fonts-dejavu)," \
		"or name one (CHROMIUM=/path/to/it)." >&2$(if $(CI), && exit 1)
endif

lint: build front-end
	$(SAY) "Linters and types"
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --features $(FEATURES),$(OPTIONAL) -- -D warnings
	$(RUSTDOC)
	$(BIN)/ruff check pycrust pycrust_pytest.py release tests notebooks client-rs/examples docs/site
	$(BIN)/ruff format --check pycrust pycrust_pytest.py release tests client-rs/examples docs/site
	$(BIN)/pyright
	cd pycrust/jupyter/view && npm run --silent check

# The notebooks, run and saved with what they printed.
notebooks: build
	$(BIN)/python notebooks/save.py $(NOTEBOOKS)

# The README's pictures, of the view while a handler is replaced.
pictures: build browser front-end
	$(BIN)/python -m tests.jupyter.browser.pictures

format:
	cargo fmt --all
	$(BIN)/ruff format pycrust pycrust_pytest.py release tests client-rs/examples docs/site
	$(BIN)/ruff check --fix-only pycrust pycrust_pytest.py release tests client-rs/examples docs/site

# `make bench CASES="calls busy" ROUNDS=3 SECONDS=1` measures some, or for less long.
CASES ?=
ROUNDS ?= 5
SECONDS ?= 2
# PEERS=1 measures the larger peers, too: half a gigabyte to install and ten minutes of two cores to build. CLANG names the
# version of the Clang (17 or newer, with its lld) that Tachyon is built with; without it, Tachyon is left out.
PEERS ?=
CLANG ?=
BUILD_PEERS := PYO3_PYTHON=$(CURDIR)/$(BIN)/python cargo build --release --quiet --manifest-path tests/benchmarks/peers/Cargo.toml \
	--target-dir target/peers
WITH_CLANG := CC=clang-$(CLANG) CXX=clang++-$(CLANG)
# Measured is what wheels have: the profile `dist`.
bench: setup $(VENV)/.bench $(if $(PEERS),$(VENV)/.bench-peers $(if $(CLANG),$(VENV)/.bench-tachyon))
	PIP_QUIET=1 $(BIN)/maturin develop --profile dist --quiet
	cargo build --profile dist --quiet -p pycrust-client -p pycrust-programs --example cameras \
		$(addprefix --bin ,load overload connect payloads rhythm ticks)
	cargo build --profile dist --quiet -p pycrust-transport --example floors
	$(BUILD_PEERS)
	$(BUILD_PEERS) -p pycrust-peers-embedding || echo "PyO3 is left out: it needs a Python with a library to link with"
	$(if $(PEERS),$(BUILD_PEERS) -p pycrust-peers-zenoh)
	$(if $(and $(PEERS),$(CLANG)),$(WITH_CLANG) $(BUILD_PEERS) -p pycrust-peers-tachyon)
	$(BIN)/python -m tests.benchmarks.run $(CASES) --rounds $(ROUNDS) --seconds $(SECONDS)

# Programs as they are used today, on this project and on their own transports; `PROGRAMS="openpi lerobot"` runs some, WRITE=1
# puts the tables into their READMEs and docs/ported.md.
PROGRAMS ?=
WRITE ?=
bench-ported: build $(VENV)/.bench-ported
	cargo build --release --quiet --manifest-path tests/benchmarks/ported/callers/Cargo.toml --target-dir target/ported
	$(BIN)/python -m tests.benchmarks.ported.run $(PROGRAMS) --rounds $(ROUNDS) --seconds $(SECONDS) $(if $(WRITE),--write)

$(VENV)/.bench-ported: $(VENV)/.installed
	$(BIN)/pip install --quiet --group bench-ported
	touch $@

# What frames and the engine alone cost.
bench-rust: setup
	cargo bench -p pycrust-protocol -p pycrust-engine

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/pip install --quiet --group bench
	touch $@

$(VENV)/.bench-peers: $(VENV)/.bench
	$(BIN)/pip install --quiet --group bench-peers
	touch $@

$(VENV)/.bench-tachyon: $(VENV)/.bench
	$(WITH_CLANG) LDFLAGS=-fuse-ld=lld-$(CLANG) $(BIN)/pip install --quiet --group bench-tachyon
	touch $@

# What a release has: wheels below target/wheels, always of the profile `dist`, for the interpreters that PYTHONS names. With
# Zig as the linker they run on every Linux with glibc 2.28 or newer. TARGET names another platform, whose standard library
# the Rust toolchain must have: make wheels TARGET=aarch64-unknown-linux-gnu PYTHONS="python3.11 python3.12". Nothing in
# them tells where they were built.
PYTHONS ?= $(CURDIR)/$(BIN)/python
TARGET ?= $(HOST)
GLIBC ?= 2_28
WHEELS := target/wheels
REMAPPED := --remap-path-prefix=$(CURDIR)=pycrust --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo \
	--remap-path-prefix=$(shell rustc --print sysroot 2>/dev/null)=rust
wheels: $(VENV)/.wheels
	$(SAY) "Building wheels for $(TARGET) (three minutes each)"
	PATH="$(CURDIR)/$(BIN):$$PATH" RUSTFLAGS="$(REMAPPED)" maturin build --profile dist --locked --zig --compatibility manylinux_$(GLIBC) \
		--target $(TARGET) --interpreter $(PYTHONS) --out $(WHEELS)

sdist: $(VENV)/.wheels
	$(BIN)/maturin sdist --out $(WHEELS)

# What wheels hold, of those that lie in target/wheels; and that a wheel comes of the source distribution there, which it does
# with the profile `dist`, too.
check-wheels: $(VENV)/.wheels $(VENV)/.client
	$(BIN)/python -m pytest --quiet tests/release/packages.py -k "not source"

check-sdist: $(VENV)/.wheels
	$(BIN)/python -m pytest --quiet tests/release/packages.py -k source

$(VENV)/.wheels: $(VENV)/.installed
	$(BIN)/pip install --quiet --group wheels
	touch $@

# The tests of Python, against a wheel that is installed for each interpreter of PYTHONS: make test-pythons PYTHONS="python3.12
# python3.14". TESTS="tests/unit" runs some.
TESTS ?=
test-pythons: $(VENV)/.client
	$(BIN)/python -m release.pythons $(PYTHONS) $(if $(TESTS),--tests "$(TESTS)")

# The licences of what wheels are linked with, anew; the tests see whether they are those.
licenses: front-end
	python3 -m release.licenses > licenses/third-party.tmp
	mv licenses/third-party.tmp licenses/third-party.txt

# The toolchain RUST, by rustup, and everything compiled with the oldest one that the manifest allows.
RUST ?= stable
MSRV := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
rust:
	rustup toolchain install $(RUST) --profile minimal --component clippy,rustfmt $(addprefix --target ,$(filter-out $(HOST),$(TARGET)))
	rustup override set $(RUST)

msrv: setup
	rustup toolchain install $(MSRV) --profile minimal
	cargo +$(MSRV) check --locked --workspace --exclude pycrust-fuzz --target-dir target/msrv

# What GitHub runs, checked by actionlint; its Go module is built for it.
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
workflows:
ifeq ($(shell command -v go),)
	@echo "skipped: actionlint needs Go"
else
	go run $(ACTIONLINT) .github/workflows/*.yml
endif

# The next release's number, wherever it stands: make version VERSION=0.3.0. The changelog's top section becomes that release's.
version:
	python3 -m release.version $(VERSION)

# A release is published by .github/workflows/release.yml, which a tag starts: git tag v0.3.0 && git push origin v0.3.0.
TAG ?=
export TAG
check-tag:
	python3 -m release.notes "$$TAG"

publish-crates:
	cargo publish --locked $(PUBLISHED)

github-release:
	python3 -m release.notes "$$TAG" > target/notes.md
	gh release create "$$TAG" --title "$$TAG" --notes-file target/notes.md target/wheels/*

# Everything at once while some are killed, then plans of faults one after the other, each of them for so long. The plans are
# those of the seeds from FIRST_SEED on.
SECONDS_OF_SOAK ?= 300
FIRST_SEED ?= 1000
soak: build
	$(BIN)/python -m tests.soak.run --seconds $(SECONDS_OF_SOAK)
	$(BIN)/python -m tests.soak.faults --seconds $(SECONDS_OF_SOAK) --first $(FIRST_SEED)

clean:
	rm -rf target $(VENV) test-results bench.json bench.svg
