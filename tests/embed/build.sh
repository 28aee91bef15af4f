#!/usr/bin/env bash
# Builds and runs programs that embed streamgauge, outside of its workspace, by the dependency lines of
# docs/how-to/embed.md: with the default features of `prometheus`, which turn its feature `protobuf` on for every crate
# of the program, and without them.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamgauge/embed
export CARGO_TARGET_DIR=$cache/target
# An embedding program uses neither .cargo/config.toml nor the caller's flags.
export RUSTFLAGS=

# The first TOML block below a heading, with its packages taken from this checkout.
dependencies() {
    awk -v heading="## $1" '
        $0 == heading { below = 1 }
        below && inside && $0 == "```" { exit }
        inside
        below && $0 == "```toml" { inside = 1 }
    ' docs/how-to/embed.md | sed -E \
        -e "s|^streamgauge-([a-z]+) = \"[0-9.]+\"|streamgauge-\1 = { path = \"$root/crates/\1\" }|" \
        -e "s|^(streamgauge = \{ )version = \"[0-9.]+\"|\1path = \"$root\"|"
}

# embed PROGRAM HEADING with|without
embed() {
    local project=$cache/$1-$3-protobuf
    printf '\n== %s, %s protobuf\n' "$1" "$3"
    mkdir -p "$project/src"
    {
        printf '[package]\nname = "%s-%s-protobuf"\nversion = "0.0.0"\nedition = "2024"\n\n' "$1" "$3"
        dependencies "$2"
        printf '\n[profile.dev]\ndebug = false\n'
    } >"$project/Cargo.toml"
    if [ "$3" = without ]; then
        sed -i -E 's|^(prometheus = )("[0-9.]+")|\1{ version = \2, default-features = false }|' "$project/Cargo.toml"
    fi
    cp "tests/embed/$1.rs" "$project/src/main.rs"
    # The versions of this checkout. cargo removes the packages that the program does not use.
    cat Cargo.lock tests/embed/protobuf.lock >"$project/Cargo.lock"
    cargo run --manifest-path "$project/Cargo.toml"
    # Each program is built with the features that it names.
    grep -q "path = \"$root" "$project/Cargo.toml"
    if grep -q '^name = "protobuf"' "$project/Cargo.lock"; then [ "$3" = with ]; else [ "$3" = without ]; fi
}

embed meter "Only the meter" with
embed meter "Only the meter" without
tree=$(cargo tree --edges normal --manifest-path "$cache/meter-without-protobuf/Cargo.toml")
if grep -w tokio <<<"$tree"; then
    echo "the meter brings a runtime" >&2
    exit 1
fi
embed sidecar "The whole sidecar" with
