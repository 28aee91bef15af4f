# `just` lists what there is. All of it works without just: a recipe is one line of a shell.

_list:
    @just --list --unsorted

# Everything that CI runs
check:
    .ci/run

# The tests that need Rust alone
test *args:
    cargo test {{args}}

# The tests against a real Ollama and its real clients
real *args:
    tests/real/install.sh
    cargo test -- --ignored {{args}}

# A million streams through every fault, at either end
chaos streams="1000000":
    STREAMS={{streams}} cargo test --release --test chaos

# Anything at all into what reads: each target for so many seconds (needs nightly Rust and `cargo install cargo-fuzz`)
fuzz seconds="600":
    for target in ndjson sse final_record peek configuration recording; do \
        mkdir -p fuzz/target/corpus/$target && \
        cargo +nightly fuzz run --sanitizer none $target fuzz/target/corpus/$target fuzz/corpus/$target -- \
            -max_total_time={{seconds}} -rss_limit_mb=2048 -timeout=10 || exit 1; \
    done

# The benchmarks
bench *args:
    cargo bench {{args}}

# The instructions that a record, a chunk, a stream and a request take, beside the baseline (needs valgrind)
count *args:
    cargo bench --profile count --no-default-features --features agent --bench instructions -- {{args}}

# The sidecar beside nginx: cpu, memory, abort, soak, or all four
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
