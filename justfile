# `just` lists the recipes. Everything works without just: each recipe is a shell command.

_list:
    @just --list --unsorted

# Run everything that CI runs
check:
    .ci/run

# Run the tests that need Rust only
test *args:
    cargo test {{args}}

# Run the tests against every supported version of Ollama and its real clients
real *args:
    tests/real/install.sh all
    cargo test -- --ignored --skip automatic_limit --skip batch_over_sockets --skip healthy_demo {{args}}

# Watch what `max_streams = "auto"` finds for a simulated and a real Ollama, one test after the other: half an hour of a
# quiet machine
automatic-limit:
    tests/real/install.sh
    cargo test --test proxy --test real -- --ignored --nocapture --test-threads=1 --skip ollama_0_33 automatic_limit

# Compare the scheduler with its model in a hundred thousand random scenarios
scheduler cases="100000":
    PROPTEST_CASES={{cases}} cargo test --release --package streamgauge --lib scheduler::dispatcher

# Compare the prompts that are suspected to be cut with those that a real Ollama cuts: 3,000 that fit and 2,000
# that are cut, for an hour or more. Ollama 0.12 (`0_12`) needs several times as long
truncation prompts="4200" version="0_34":
    tests/real/install.sh
    PROMPTS={{prompts}} cargo test --test real -- --ignored --nocapture ollama_{{version}}::cut_prompts

# Send 200 requests to three simulated Ollamas of different speed, and compare the time with the best schedule: two minutes of a quiet machine
batch:
    cargo test --test proxy -- --ignored --nocapture batch_over_sockets

# Report a recording of ten million chunks, and check its memory: half a gigabyte on disk
report-memory:
    cargo test --release --package streamgauge-lab --test analysis_memory -- --ignored

# Run half an hour of the demo and of steady clients, and check that no alert fires but those that the demo intends
healthy-demo minutes="30":
    tests/real/install.sh
    HEALTHY_DEMO_MINUTES={{minutes}} cargo test --test monitoring healthy_demo -- --ignored --nocapture

# Send a million streams, with every fault of clients and upstreams
chaos streams="1000000":
    STREAMS={{streams}} cargo test --release --test chaos

# Run mixed load, reloads, an unstable upstream, scrapes and the page for some seconds, and check that nothing grows
soak seconds="3600":
    SOAK_SECONDS={{seconds}} cargo test --release --test soak -- --nocapture

# Run several sidecars on a real Redis, with every fault of the store, and print what was measured. To use another
# server, such as a valkey-server, give its path
fleet server="":
    tests/real/install.sh
    STREAMGAUGE_TEST_STORE={{server}} cargo test --test fleet -- --include-ignored --nocapture

# Fuzz each parser for some seconds (needs nightly Rust and `cargo install cargo-fuzz`). libFuzzer starts without Rust's
# runtime, so that a connection that its peer closed would end the process by SIGPIPE
fuzz seconds="600":
    trap '' PIPE; \
    for target in ndjson sse final_record peek coded configuration recording proxy; do \
        mkdir -p fuzz/target/corpus/$target && \
        cargo +nightly fuzz run --sanitizer none $target fuzz/target/corpus/$target fuzz/corpus/$target -- \
            -max_total_time={{seconds}} -rss_limit_mb=2048 -timeout=10 || exit 1; \
    done

# Test the atomics under Miri with sixteen seeds (needs nightly Rust with miri and rust-src)
miri:
    MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-many-seeds=0..16" \
        cargo +nightly miri test --package streamgauge --no-default-features --lib -- connection::waiting

# Build HEAD with the oldest versions that Cargo.toml allows (needs nightly Rust)
minimal:
    rm -rf target/minimal && mkdir -p target/minimal && git archive HEAD | tar -x -C target/minimal
    cd target/minimal && cargo +nightly update -Z direct-minimal-versions && cargo check --locked --all-features --all-targets

# Build with the oldest Rust that Cargo.toml promises
oldest-rust:
    cargo +$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) check --locked --all-features --all-targets

# Build the release in two folders and compare the bytes
reproducible:
    .ci/reproducible

# Write the crates of the binary as CycloneDX (needs `cargo install cargo-cyclonedx`)
sbom:
    cargo cyclonedx --format json --spec-version 1.5 --describe binaries --no-build-deps
    mkdir -p target && mv streamgauge_bin.cdx.json target/streamgauge.cdx.json

# Check that the API is compatible with a revision (needs `cargo install cargo-semver-checks`)
semver base="main":
    cargo semver-checks --workspace --baseline-rev {{base}} --default-features

# Run the benchmarks
bench *args:
    cargo bench {{args}}

# Count the instructions, system calls and allocations of a chunk and a request, and compare with the baseline (needs valgrind)
count *args:
    cargo bench --profile count --package streamgauge --no-default-features --features traces --bench instructions -- {{args}}

# Compare the sidecar with other proxies: cpu, latency, flat, unary, memory, abort, soak, attack, or all of them
bench-peers *args:
    cargo bench --bench peers -- {{args}}

# Measure the dashboards' queries over a day of 16 models, with a real Prometheus
bench-panels:
    tests/real/install.sh
    cargo bench --bench panels

# Measure the cost of streams for a Python client: direct, through the sidecar, coalesced, merged
bench-clients *args:
    cargo bench --bench clients -- {{args}}

# Check format and lints as CI does
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# Build the API documentation
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features --open

# Build the site of docs/ in target/book (needs `cargo install mdbook`)
site *args:
    mdbook build {{args}}

# Take the screenshot of the page for docs/img, from ten minutes of a demo
page-picture:
    PAGE_PICTURE_AFTER=620 cargo test --test page page_of_demo_fills_with_figures -- --ignored
    base64 -d "${CARGO_TARGET_DIR:-target}/tmp/page.webp.base64" >docs/img/page.webp

# Run the sidecar with a simulated Ollama and simulated clients
demo *args:
    cargo run --release -- demo {{args}}

# Run the sidecar in front of an Ollama
serve *args:
    cargo run --release -- serve {{args}}
