# `just` lists what there is. All of it works without just: a recipe is one line of a shell.

_list:
    @just --list --unsorted

# Everything that CI runs
check:
    .ci/run

# The tests that need Rust alone
test *args:
    cargo test {{args}}

# The tests against every real Ollama that is supported, and its real clients
real *args:
    tests/real/install.sh all
    cargo test -- --ignored {{args}}

# A million streams through every fault, at either end
chaos streams="1000000":
    STREAMS={{streams}} cargo test --release --test chaos

# Mixed load, reloads, an upstream that comes and goes, scrapes and the page, for so many seconds: nothing may grow
soak seconds="3600":
    SOAK_SECONDS={{seconds}} cargo test --release --test soak -- --nocapture

# Anything at all into what reads: each target for so many seconds (needs nightly Rust and `cargo install cargo-fuzz`)
fuzz seconds="600":
    for target in ndjson sse final_record peek coded configuration recording proxy; do \
        mkdir -p fuzz/target/corpus/$target && \
        cargo +nightly fuzz run --sanitizer none $target fuzz/target/corpus/$target fuzz/corpus/$target -- \
            -max_total_time={{seconds}} -rss_limit_mb=2048 -timeout=10 || exit 1; \
    done

# The synchronisation that is made by hand under Miri, in sixteen orders (needs nightly Rust with miri and rust-src)
miri:
    MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-many-seeds=0..16" \
        cargo +nightly miri test --package streamgauge --no-default-features --lib -- connection::waiting

# Builds with the oldest versions that Cargo.toml allows (needs nightly Rust); of what is committed
minimal:
    rm -rf target/minimal && mkdir -p target/minimal && git archive HEAD | tar -x -C target/minimal
    cd target/minimal && cargo +nightly update -Z direct-minimal-versions && cargo check --locked --all-features --all-targets

# Builds with the oldest Rust that Cargo.toml promises
oldest-rust:
    cargo +$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) check --locked --all-features --all-targets

# Two release builds in two folders: are they the same bytes?
reproducible:
    .ci/reproducible

# What is in the binary, as CycloneDX (needs `cargo install cargo-cyclonedx`)
sbom:
    cargo cyclonedx --format json --spec-version 1.5 --describe binaries --no-build-deps
    mkdir -p target && mv streamgauge_bin.cdx.json target/streamgauge.cdx.json

# Whether the API breaks who used that revision (needs `cargo install cargo-semver-checks`)
semver base="main":
    cargo semver-checks --workspace --baseline-rev {{base}} --default-features

# The benchmarks
bench *args:
    cargo bench {{args}}

# The instructions that a record, a chunk, a stream and a request take, beside the baseline (needs valgrind)
count *args:
    cargo bench --profile count --package streamgauge --no-default-features --bench instructions -- {{args}}

# The sidecar beside other proxies: cpu, latency, flat, unary, memory, abort, soak, attack, or all of them
bench-peers *args:
    cargo bench --bench peers -- {{args}}

# The dashboards' queries over a day of 16 models, on a real Prometheus
bench-panels:
    tests/real/install.sh
    cargo bench --bench panels

# What streams cost a Python client: direct, through, coalesced, merged
bench-clients *args:
    cargo bench --bench clients -- {{args}}

# Format and lint, as CI does
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# The API's documentation
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features --open

# The site of docs/, in target/book (needs `cargo install mdbook`)
site *args:
    mdbook build {{args}}

# The picture of the page in docs/img: ten minutes of a demo
page-picture:
    PAGE_PICTURE_AFTER=620 cargo test --test page the_demo_fills_the_page -- --ignored
    base64 -d "${CARGO_TARGET_DIR:-target}/tmp/page.webp.base64" >docs/img/page.webp

# The sidecar with a simulated Ollama and simulated clients
demo *args:
    cargo run --release -- demo {{args}}

# The sidecar in front of an Ollama
serve *args:
    cargo run --release -- serve {{args}}
